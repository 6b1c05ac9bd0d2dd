"""language: the response is written in the asked-for language, told by its script and its commonest words."""

import re
import unicodedata
from collections import Counter
from functools import lru_cache

from lab import Score, reward

MAX_CHARACTERS = 50_000
ENOUGH = 5  # common words, of any language, before they are trusted

# language → the scripts it is written in, as they stand at the head of Unicode's character names
SCRIPTS = {
    "zh": ("CJK",), "ja": ("HIRAGANA", "KATAKANA", "CJK"), "ko": ("HANGUL",), "ru": ("CYRILLIC",), "uk": ("CYRILLIC",),
    "ar": ("ARABIC",), "hi": ("DEVANAGARI",), "el": ("GREEK",), "he": ("HEBREW",), "th": ("THAI",),
}  # fmt: skip
# Written in the Latin script: told apart by words that are frequent in one and rare in the others.
COMMON_WORDS = {
    "en": "the of and to is that it for was with as be by this are from have not or which we you if then so but",
    "de": "der die und das ist nicht ein eine zu den mit von auf für sich dem des im wir sind wird auch aber wenn",
    "fr": "le les des et est une dans que qui pour pas sur avec ce nous sont au du il donc mais ou cette on plus",
    "es": "el los las y es una que por con para del se lo como pero más son entonces su este esta si hay muy cada",
    "it": "il gli di che è un una per non con sono del della si ma anche come più questo dei nel abbiamo quindi",
    "pt": "o os as e é um uma que para com não do da em se mas como mais são isso então ao pela temos também",
    "nl": "de het een en is van dat niet op met voor zijn er maar ook dus als we dit aan wordt bij naar uit",
}
_NO_PROSE = re.compile(r"```.*?```|`[^`\n]*`|\$[^$\n]*\$|\\[A-Za-z]+|https?://\S+|</?[a-z_]{1,30}>", re.DOTALL)


@reward(reads=[], range=(0, 1), version="1")
def in_language(response, row, *, language: str = "en", reasoning_only: bool = False):
    """The share (0 to 1) of the response that is written in `language`.

    Reads the response's text, no row field; code, formulas and tags are left out. The value is the share of letters in
    the language's script; for one in the Latin script times the share of its own among the common words found, once
    there are 5. `reasoning_only` looks at the thinking alone. Blank: 0. Figures without a letter: 1, they have no
    language. Known: en de fr es it pt nl, and by script alone zh ja ko ru uk ar hi el he th.
    It cannot tell languages of one script apart beyond that list (Russian from Ukrainian, Japanese without kana from
    Chinese, Swedish from English in short texts), judge grammar, or tell nonsense made of common words from prose.
    Source: the language consistency reward of DeepSeek-R1 (arXiv:2501.12948), without a language model.
    """
    if language not in SCRIPTS and language not in COMMON_WORDS:
        raise ValueError(f"language={language!r}: use one of {', '.join([*COMMON_WORDS, *SCRIPTS])}")
    text = response.reasoning if reasoning_only else response.text
    prose = _NO_PROSE.sub(" ", text[-MAX_CHARACTERS:])
    letters = Counter(script for character in prose if (script := _script(character)))
    total = sum(letters.values())
    if not total:
        return float(any(character.isdigit() for character in text[-MAX_CHARACTERS:]))
    share = sum(letters[script] for script in SCRIPTS.get(language, ("LATIN",))) / total
    if language == "ja" and not letters["HIRAGANA"] + letters["KATAKANA"] and total >= 20:
        return Score(0.0, "no kana")
    words = _share_of_words(prose, language) if language in COMMON_WORDS else 1.0
    return Score(share * words, f"{share:.0%} of the letters, {words:.0%} of the words")


def _share_of_words(prose: str, language: str) -> float:
    found = Counter(re.findall(r"[^\W\d_]+", prose.lower()))
    hits = {name: sum(found[word] for word in words.split()) for name, words in COMMON_WORDS.items()}
    best = max(hits.values())
    if best < ENOUGH:
        return 1.0
    return hits[language] / best


@lru_cache(maxsize=65_536)
def _script(character: str) -> str:
    """LATIN, CYRILLIC, CJK …; "" for what is no letter."""
    return unicodedata.name(character, "").partition(" ")[0] if character.isalpha() else ""
