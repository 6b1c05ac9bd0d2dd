"""Answers in words: phrases and what they mean, the letters of options, times of the day."""

import re
from itertools import takewhile

from rewards._math_units import HARMLESS, STOP_WORDS

_TEXT = re.compile(r"\\(?:text\w*|mathrm|mathbf|mbox|operatorname|emph)\s*\{([^{}]*)\}")
_GAP = re.compile(r"\\[ ,;:!]|~|\\q?quad\b")
_SENTENCE = re.compile(r"[A-Za-z][A-Za-z' ,.-]*[A-Za-z]")
_TOLD_OF = re.compile(  # "the series diverges", "Alice wins", "an equilateral triangle"
    r"(?:series|sequence|integral|limit|sum) (?:is )?([a-z]+)|([a-z]+) (?:wins|triangle|function|number|matrix)"
)
_ARTICLE = re.compile(r"(?:an?|the)\s+(?=\w)")
_LETTER = re.compile(r"(?:(?:option|choice|answer)\s+)?\(?\s*([A-Za-z])\s*[).]?", re.IGNORECASE)
_LABELLED = re.compile(  # \textbf{(B)}\ 12
    r"\\(?:text\w*|mathrm|mathbf|mbox)\s*\{\s*\(([A-E])\)[ ~\\]*"
    r"(?:\}(?:\s|~|\\[ ,;:!]|\\q?quad\b)*(\S.*)|([^{}\s][^{}]*)\})",
    re.DOTALL,
)
_TWICE = re.compile(r"(\d{1,2}|[A-Za-z]+) ?\((\d{1,2}|[A-Za-z]+)\)")
_SENTENCE_WITH_NUMBER = re.compile(r"([A-Za-z ,.:]*?) ?((?:\\?\$)?\d[\d,]*(?:\.\d+)?(?:\\?%)?) ?([A-Za-z ,.]*)")
_OTHER_THINGS = (  # words that make a number another one, or the name of something
    "square cube power sum product difference quotient log logarithm percent option choice question step case problem "
    "exercise example equation figure part page version attempt say says said claims claimed think thinks thought"
)
_CHANGES = (STOP_WORDS - HARMLESS).union(_OTHER_THINGS.split())
_SECOND_OPTION = re.compile(r"[A-E]\)|\b(?:or|not|maybe)\b")
_EXCEPT = re.compile(r"(?:all )?real numbers except (?:for )?(?:x = )?(\S{1,40})")
_ORDINAL = re.compile(r"(?:the )?(\d{1,9}) ?(?:\^ ?)?\{? ?(st|nd|rd|th) ?\}?", re.IGNORECASE)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"(?P<day>\d{1,2}) ?(?:\^ ?\{? ?)?(?:st|nd|rd|th)? ?\}?"
_WEEKDAY = r"(?:(?P<weekday>mon|tues|wednes|thurs|fri|satur|sun)day,? )?"
_DATES = [
    re.compile(rf"(?:on )?{_WEEKDAY}(?:the )?{order}(?:,? ?(?P<year>\d{{4}}))?", re.IGNORECASE)
    for order in (f"{_MONTH} {_DAY}", f"{_DAY} ?(?:of )?{_MONTH}")
]
_ISO_DATE = re.compile(r"(\d{4}) ?- ?(0[1-9]|1[0-2]) ?- ?(0[1-9]|[12]\d|3[01])")
_CLOCK = re.compile(r"(\d{1,2})(?: ?: ?(\d\d))?\s*(?:([ap])\.?\s?m\.?)?", re.IGNORECASE)

_SAME_PHRASE = {
    "dne": "does not exist", "no solutions": "no solution", "no solution exists": "no solution",
    "no solutions exist": "no solution", "no real solutions": "no real solution",
    "infinitely many solutions": "infinitely many",
    "infinite solutions": "infinitely many",
}  # fmt: skip
_ORDINALS = [
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth",
]  # fmt: skip
_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_MEANING = {
    **{word: str(value) for value, word in enumerate(_NUMBERS)},
    "empty set": r"\emptyset", "no solution": r"\emptyset", "no real solution": r"\emptyset",
    "all real numbers": r"\mathbb{R}", "all reals": r"\mathbb{R}", "real numbers": r"\mathbb{R}",
    "set of all real numbers": r"\mathbb{R}", "infinity": r"\infty", "positive infinity": r"\infty",
    "negative infinity": r"-\infty",
}  # fmt: skip


def words(text: str) -> str | None:
    """A text of words alone, in lower case: "no solution"; an option's letter keeps its case: "(B)" is "B"."""
    text = unboxed(text).strip(" .$*\\")
    if match := _LETTER.fullmatch(text):
        return match[1]
    if not _SENTENCE.fullmatch(text) or not (re.search("[A-Za-z]{3}", text) or text.lower() == "no"):
        return None
    phrase = _ARTICLE.sub("", " ".join(text.lower().split()), count=1) if len(text) > 3 else text.lower()
    phrase = re.sub(r"^(?:it|this|that) (?:is|was|will be) (?:on )?(?:an? |the )?(?=[a-z]+$)", "", phrase)
    phrase = re.sub(r"^there (?:is|are) (?=no |none$)", "", phrase)
    if told := _TOLD_OF.fullmatch(phrase):
        phrase = told[1] or told[2]
    return _SAME_PHRASE.get(phrase, phrase)


def meaning(text: str) -> str | None:
    """The mathematics that a phrase stands for, as LaTeX: "all real numbers"; None for any other."""
    if "except" in text and (match := _EXCEPT.fullmatch(unboxed(text))):
        return rf"\mathbb{{R}}\setminus\{{{match[1]}\}}"
    return _MEANING.get(words(text))


def in_words_too(text: str) -> tuple[str, str] | None:
    """The number and its word where a text gives both: "5 (five)", "five (5)"."""
    match = _TWICE.fullmatch(unboxed(text)) if len(text) < 60 and text.rstrip("} ").endswith(")") else None
    if not match or not any(part.lower() in _NUMBERS for part in match.groups()):
        return None
    return match[1], match[2]


def sentence(text: str) -> str | None:
    r"""The one number of `\text{He watched 3 episodes}`, with the words behind it as its unit; None for other texts."""
    match = _SENTENCE_WITH_NUMBER.fullmatch(unboxed(text)) if len(text) < 200 and "\\text" in text else None
    before, behind = ([w.strip(",.:;") for w in match[k].lower().split()] for k in (1, 3)) if match else ((), ())
    if not (before or behind) or not _CHANGES.isdisjoint([*before, *behind]):
        return None
    unit = list(takewhile(lambda word: word not in HARMLESS, behind[:3]))
    return f"{match[2]}\\text{{ {' '.join(unit)}}}" if unit else match[2]


def unboxed(text: str) -> str:
    r"""A text with the words of its `\text{…}` as plain words."""
    return " ".join(_GAP.sub(" ", _TEXT.sub(r" \1 ", text)).split())


def ordinal(text: str) -> int | None:
    r"""The place that "3rd", `3^{\text{rd}}` and "third" name; None for any other text."""
    if len(text) > 60:
        return None
    plain = unboxed(text)
    if plain.lower() in _ORDINALS:
        return _ORDINALS.index(plain.lower()) + 1
    match = _ORDINAL.fullmatch(plain)
    place = int(match[1]) if match else 0
    ending = "th" if place // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return place if match and match[2].lower() == ending else None


def date(text: str) -> tuple | None:
    """(month, day, year, weekday) of "March 3rd", "3 March 2024", "Friday, March 3"; None for any other text."""
    plain = unboxed(text) if len(text) < 100 else ""
    if iso := _ISO_DATE.fullmatch(plain):
        return int(iso[2]), int(iso[3]), iso[1], ""
    match = next(filter(None, (pattern.fullmatch(plain) for pattern in _DATES)), None)
    if not match:
        return None
    month = _MONTHS.index(match["month"][:3].lower()) + 1
    return month, int(match["day"]), match["year"], (match["weekday"] or "").lower()


def labelled(text: str) -> tuple[str, str] | None:
    r"""The letter and the text of an option that is given with both: `\textbf{(B)}\ 12`."""
    match = _LABELLED.fullmatch(text)
    content = match and (match[2] or match[3])
    committed = match and content[0] not in "+-*/^_=<>," and not _SECOND_OPTION.search(content)
    return (match[1], content) if committed else None


def point_in_time(text: str) -> tuple | None:
    """What kind of moment a text tells ("ordinal", "date" or "clock") and which; None for any other text."""
    if not any(c.isdigit() for c in text[:100]) and text.lower() not in _ORDINALS and "text" not in text:
        return None
    return next(((kind.__name__, told) for kind in (ordinal, date, clock) if (told := kind(text))), None)


def same_time(gold: tuple, answer: tuple) -> bool:
    """Whether two moments are one; the answer may tell more: the half of the day, the weekday, the year."""
    (kind, told), (other_kind, other) = gold, answer
    if kind != other_kind:
        return False
    if kind == "clock" and len(told) == 3 and len(other) == 2 and other[0] > 12:
        other = (other[0] - 12, other[1], "p")
    if kind == "date":
        return told[:2] == other[:2] and all(a in (None, "", b) for a, b in zip(told[2:], other[2:], strict=True))
    return told in (other, other[:2]) if kind == "clock" else told == other


def clock(text: str) -> tuple | None:
    """Hour and minute, and "a" or "p" where a half of the day is told: 3:30, 2:45 p.m., 5 pm, 15:30. None: no time."""
    match = _CLOCK.fullmatch(unboxed(text).replace("{:}", ":")) if len(text) < 80 else None
    if not match or not (match[2] or match[3]) or int(match[1]) > (12 if match[3] else 24) or int(match[2] or 0) > 59:
        return None
    return int(match[1]), int(match[2] or 0), *([match[3].lower()] if match[3] else [])
