"""Answers in words: phrases and what they mean, the letters of options, times of the day."""

import re

_TEXT = re.compile(r"\\(?:text\w*|mathrm|mathbf|mbox|operatorname|emph)\s*\{([^{}]*)\}")
_GAP = re.compile(r"\\[ ,;:!]|~|\\q?quad\b")
_SENTENCE = re.compile(r"[A-Za-z][A-Za-z' ,.-]*[A-Za-z]")
_ARTICLE = re.compile(r"(?:an?|the)\s+(?=\w)")
_LETTER = re.compile(r"(?:(?:option|choice|answer)\s+)?\(?\s*([A-Za-z])\s*[).]?", re.IGNORECASE)
_LABELLED = re.compile(  # \textbf{(B)}\ 12
    r"\\(?:text\w*|mathrm|mathbf|mbox)\s*\{\s*\(([A-E])\)[ ~\\]*"
    r"(?:\}(?:\s|~|\\[ ,;:!]|\\q?quad\b)*(\S.*)|([^{}\s][^{}]*)\})",
    re.DOTALL,
)
_SECOND_OPTION = re.compile(r"[A-E]\)|\b(?:or|not|maybe)\b")
_EXCEPT = re.compile(r"(?:all )?real numbers except (?:for )?(?:x = )?(\S{1,40})")
_CLOCK = re.compile(r"(\d{1,2})(?::(\d\d))?\s*(?:([ap])\.?\s?m\.?)?", re.IGNORECASE)

_SAME_PHRASE = {
    "dne": "does not exist", "no solutions": "no solution", "no solution exists": "no solution",
    "no solutions exist": "no solution", "no real solutions": "no real solution",
    "infinitely many solutions": "infinitely many",
    "infinite solutions": "infinitely many",
}  # fmt: skip
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
    phrase = re.sub(r"^there (?:is|are) (?=no )", "", phrase)
    return _SAME_PHRASE.get(phrase, phrase)


def meaning(text: str) -> str | None:
    """The mathematics that a phrase stands for, as LaTeX: "all real numbers"; None for any other."""
    if "except" in text and (match := _EXCEPT.fullmatch(unboxed(text))):
        return rf"\mathbb{{R}}\setminus\{{{match[1]}\}}"
    return _MEANING.get(words(text))


def unboxed(text: str) -> str:
    r"""A text with the words of its `\text{…}` as plain words."""
    return " ".join(_GAP.sub(" ", _TEXT.sub(r" \1 ", text)).split())


def labelled(text: str) -> tuple[str, str] | None:
    r"""The letter and the text of an option that is given with both: `\textbf{(B)}\ 12`."""
    match = _LABELLED.fullmatch(text)
    content = match and (match[2] or match[3])
    committed = match and content[0] not in "+-*/^_=<>," and not _SECOND_OPTION.search(content)
    return (match[1], content) if committed else None


def clock(text: str) -> tuple | None:
    """Hour and minute, and "a" or "p" where a half of the day is named: 3:30, 2:45 p.m., 5 pm. None for no time."""
    match = _CLOCK.fullmatch(unboxed(text.replace("{:}", ":"))) if len(text) < 80 else None
    if not match or not (match[2] or match[3]) or int(match[1]) > (12 if match[3] else 24) or int(match[2] or 0) > 59:
        return None
    return int(match[1]), int(match[2] or 0), *([match[3].lower()] if match[3] else [])
