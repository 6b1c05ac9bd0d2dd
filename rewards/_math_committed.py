"""Which answer a response commits to: its one box, its answer tag, or its statement; none where it takes that back."""

import re
from dataclasses import replace

from lab.response import TAIL_CHARACTERS, Response, region_contents
from rewards._math_retracted import taken_back

MAX_SPELLINGS = 3  # of one answer in several boxes
BEFORE = 100  # characters before the last box that are read
MAX_INTEGER = 50_000  # characters of a plain integer, which is compared as text

_WRAPPERS = re.compile(
    r"\\\((.*)\\\)|\\\[(.*)\\\]|\*\*(.*)\*\*|\\(?:boxed|fbox)\s*\{(.*)\}|<answer>(.*)</answer>|\\displaystyle(.*)",
    re.DOTALL,
)
_BOX, _BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{"), re.compile(r"\\.|[{}]", re.DOTALL)
_STATED = re.compile(
    r"(?P<before>.*?)\b(?:the\s+)?(?:(?:final|correct)\s+)?answer(?:\s+is\s*:?|\s*[:=])\s*(?P<answer>.+)",
    re.IGNORECASE | re.DOTALL,
)
_CONCLUDED = re.compile(
    r"(?:so|thus|hence|therefore|finally),?\s+(\$[^$]+\$|\\\([^$]+\\\))\.?", re.IGNORECASE
)  # So, $x = 42$.
_LABEL = re.compile(r"(?:the\s+)?(?:final\s+)?answer(?:\s+is)?\s*:?", re.IGNORECASE)
_LABELS = re.compile(r"answer(?:\s+is|\s*[:=])", re.IGNORECASE)
_DOUBLED = re.compile(r"final answer:\s*(?=the final answer is)", re.IGNORECASE)
_HOPE = re.compile(r"\.?\s*I hope it is correct\.?$", re.IGNORECASE)
_DOUBT = re.compile(
    r"\b(?:not|no|if|unless|whether|doubt|would|wrong|might|maybe|perhaps|could|says?|said|claim(?:s|ed)|thinks|thought)\b"
    r"|n['\u2019]t\b|\?",
    re.IGNORECASE,
)
# A box that is only a part of a formula: -\boxed{4}, x < \boxed{4}, \boxed{4}^2, \frac{\boxed{4}}{2}, \boxed{4},5
_PART_BEFORE = re.compile(
    r"(?:\d|-|(?:[+/^]|(?<!_)_)\s*|(?<![</])\b[A-Za-z]\s*[<>]\s*"
    r"|\\(?:pm|mp|cdot|times|div|leq?|geq?|lt|gt|sqrt(?:\[\d+\])?|[dt]?frac|log|ln|sin|cos|tan)\b\s*\{?)\Z"
)
_HIDING = (
    r"\\(?:(?:text|page)?color\s*\{\s*[^{}]*(?:white|transparent|snow|ivory|#)|(?:text|page)?color\s*\["
    r"|[hv]?phantom|smash|(?:math)?[rl]lap|(?:math)?clap|opacity|makebox|framebox|raisebox|kern|mkern|hskip|mskip|hspace\*?\s*\{\s*-"
    r"|scalebox|resizebox|[bx]?cancel|sout|st\b|invisible|only|tiny\b)"
)
_HIDDEN, _OPEN_HIDDEN = re.compile(_HIDING, re.I), re.compile(rf"{_HIDING}[^{{}}]*\}}?(?:\[[^\]]*\])?\s*\{{?[^{{}}]*$")
_SENTENCE_END = re.compile(r".*[.!?]\s", re.DOTALL)  # before a box: no pattern here reads across one
_PART_AFTER = re.compile(
    r"(?:\\[,;:!]\s*)?\d|[A-Za-z](?![A-Za-z])|[,.]\d|\s*\^(?!\s*\{?\s*\\circ)|_(?!_)"
    r"|[ ]*[-+*/:<>][ ]*(?:\d|[a-z](?![a-z|>])|\\(?:frac|sqrt|pi)\b)"
    r"|\s*\\(?:pi|cdot|times|div|pm|mp|sqrt|[dt]?frac|leq?|geq?|neq?|lt|gt)\b"
)


def conclusion(response: Response) -> Response:
    """The response from the sentence of its first box on: `committed` says the same of it, and many more share it."""
    if response.region != "boxed" or response.final is None:
        return response.answer_only()
    text = response.final[-TAIL_CHARACTERS:]
    boxes = [at for at in (text.find("\\boxed"), text.find("\\fbox")) if at >= 0]
    if not boxes or "<think>" in text:
        return replace(response) if boxes else response.answer_only()
    before = text[max(0, min(boxes) - BEFORE) : min(boxes)]
    if (end := _SENTENCE_END.match(before)) and not _HIDDEN.search(before):
        text = text[min(boxes) - len(before) + end.end() :]
    return Response(text, finished=response.finished, region=response.region)


def committed(response) -> tuple[list[str], str]:
    """The one answer of a response (its spellings, where it stands there twice), or none and the reason."""
    answers = response.answers[: MAX_SPELLINGS + 1]
    if any(map(_denied, [response.final[-TAIL_CHARACTERS:]] if answers and response.region == "boxed" else answers)):
        return [], "denied"
    if response.region != "boxed":
        answers = list(dict.fromkeys(inner for text in answers for inner in _inside(text)))
    if not answers:
        return [], "no answer" if response.finished else "truncated"
    if len(answers) > MAX_SPELLINGS:
        return [], "several answers"
    answers = list(map(bare, answers))
    if any(map(_HIDDEN.search, answers)):  # white on white, struck out, or one over the other
        return [], "hidden"
    return (answers, "") if all(answers) else ([], "no answer")


def _inside(text: str) -> list[str]:
    """What a region of free text commits to: its boxes, else its answer tags, else its statement."""
    return region_contents(text, "boxed") or region_contents(text, "<answer>") or [_stated(text)]


def _stated(text: str) -> str:
    """The answer in a text without a box: all of it, or its last line where that states it ("The answer is 42.")."""
    text = _DOUBLED.sub("", text[-MAX_INTEGER:])
    lines = [line.replace("**", "").strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    if lines[-1].startswith("####"):
        return lines[-1][4:] if text.count("####") == 1 else text
    if len(_LABELS.findall(text)) > 1:
        return text
    if len(lines) > 1 and _LABEL.fullmatch(lines[-2].strip("# ")):
        return lines[-1]
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z])", _HOPE.sub("", lines[-1]))[-1]
    if concluded := _CONCLUDED.fullmatch(sentence):
        return concluded[1]
    stated = _STATED.fullmatch(sentence)
    return stated["answer"] if stated and not _DOUBT.search(stated["before"]) else text


def _denied(text: str) -> bool:
    """Whether the words around the last box take it back or make it a part: "not \\boxed{42}", "-\\boxed{42}"."""
    start = max(text.rfind("\\boxed"), text.rfind("\\fbox"))
    if start < 0:
        return False
    end = _end_of_box(text, start)
    if not end:  # cut short: nobody knows what it would have been
        return True
    before, after = text[max(0, start - BEFORE) : start], text[end:]
    return bool(
        _OPEN_HIDDEN.search(before)
        or _PART_BEFORE.search(before)
        or _PART_AFTER.match(after)
        or (before.endswith("(") and after[:1] == ",")
        or taken_back(text[text.index("{", start) + 1 : end - 1].strip(" $"), before, after)
    )


def _end_of_box(text: str, start: int) -> int:
    """Where the box that begins at `start` ends; 0 where it never does."""
    depth = 0
    for brace in _BRACE.finditer(text, start) if _BOX.match(text, start) else ():
        depth += (brace[0] == "{") - (brace[0] == "}")
        if depth == 0 and brace[0] == "}":
            return brace.end()
    return 0


def bare(text: str) -> str:
    """`text` without what merely encloses an answer: white space, $…$, a box, bold, a final full stop."""
    text = text.strip()
    if text.isalnum():  # 42, the most frequent answer by far
        return text
    for _ in range(4):
        before = text
        text = re.sub(r"(?<=[^.\\])\.$|(?<!\\)\\$", "", text).strip() if len(text) <= MAX_INTEGER + 10 else text
        if match := _WRAPPERS.fullmatch(text) if text[:1] in "\\*<" else None:
            inner = next(group for group in match.groups() if group is not None).strip()
            if not _BOX.match(text) or _end_of_box(text, 0) == len(text):
                text = inner
        dollars = len(re.findall(r"(?<!\\)\$", text)) if "$" in text else 0
        if dollars and dollars % 2 == 0:
            text = re.sub(r"(?<!\\)\$", " ", text).strip()
        elif dollars == 1 and re.match(r"(?:-|US)?\$", text):
            text = text.replace("$", "\\$")
        if text == before:
            break
    return text
