"""math: the answer is mathematically the gold: number, formula, set, interval, equation, matrix, unit or words."""

import re
from fractions import Fraction
from functools import lru_cache

from lab import Score, reward
from lab.response import region_contents
from rewards._math_compare import equal, value_of
from rewards._math_forms import is_literal
from rewards._math_reader import read
from rewards._math_tokens import Token, Unreadable, tokens
from rewards._math_tree import Node, number
from rewards._math_units import DENIALS, STOP_WORDS, UNITS, Unit, compound, read_unit
from rewards._math_values import exact
from rewards._math_words import labelled, meaning, point_in_time, same_time, unboxed, words

LETTERS = ("name", "word", "text")
MAX_CHARACTERS = 2_000
MAX_SPELLINGS = 3  # of one answer in several boxes
MAX_INTEGER = 50_000  # characters of a plain integer, which is compared as text

_INTEGER = re.compile(r"([+-]?)0*(\d+)")
_WRAPPERS = re.compile(
    r"\\\((.*)\\\)|\\\[(.*)\\\]|\*\*(.*)\*\*|\\(?:boxed|fbox)\s*\{(.*)\}|<answer>(.*)</answer>|\\displaystyle(.*)",
    re.DOTALL,
)
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
    r"\b(?:not|no|if|unless|whether|doubt|would|wrong|might|maybe|perhaps|could|say|says)\b|n['\u2019]t\b|\?", re.I
)
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|cannot|never|neither|nor|instead\s+of|rather\s+than|other\s+than|anything\s+but|unlike)|n['\u2019]t"
    r"|\u2260|\\neq?)\s*(?:be\s+|equal\s+to\s+)?[\s$*(\\\[]*$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(r"[\s$*)\\\].,]*(?:(?:is|was)\s+(?:wrong|incorrect|false|not)\b|or\s)", re.IGNORECASE)
_NAMED = re.compile(r"\\text\s*\{([^{}]*?)(?:\s*[=:]\s*\}|\s*\}\s*[=:])\s*(.+)", re.DOTALL)
_SOMETHING = re.compile(
    r"([^=<>\d,;]{1,60})=(.+)", re.DOTALL
)  # \\det A = 3, x^* = 3: a name that the reader does not know
_SAID = re.compile(r"\\text\s*\{\s*(?:the\s+)?(?:final\s+)?answer(?:\s+is)?:?\s*\}", re.IGNORECASE)
_UNIT_FRACTION = re.compile(
    r"\\[dt]?frac\s*\{\s*\\(?:text|mathrm)\{([^{}]*)\}\s*\}\s*\{\s*\\(?:text|mathrm)\{([^{}]*)\}"
)
_CURRENCIES = {"\\$": "dollar", "USD": "dollar", "\\euro": "euro", "\u20ac": "euro", "EUR": "euro"}
_CURRENCIES |= {"\\pounds": "GBP", "\u00a3": "GBP", "GBP": "GBP", "\u20b9": "rupee", "\u00a5": "yen"}
_CURRENCY = re.compile(
    r"([+-]?)\s*(?:(?:US\s*)?(\\\$|\\euro\b|\\pounds\b|[\u20ac\u00a3\u20b9\u00a5]|USD\b|EUR\b|GBP\b)"
    r"|\\(?:text|mathrm)\s*\{\s*(USD|EUR|GBP)\s*\})[\s~]*"
)
_PER = re.compile(r"(?<=\d)\s*/\s*\\(?:text|mathrm)\s*\{\s*")
_SHARE_OF = re.compile(
    r"(?<=[\d}%])\s*(?:\\text\s*\{)?\s*of (?:the|an?|all|each|every|its|his|her|their) ([a-z ]{1,60})\}?"
)
_CELSIUS, _FAHRENHEIT = ((Node("sym", data=letter),) for letter in "CF")
_SHORT_UNIT = re.compile(r"(-?[\d.,/]+)(\s*)((?:min|[mgsLNJWVKh])(?:\^\{?[23]\}?)?(?:\s*/\s*[smh](?:\^\{?2\}?)?)?)")


@reward(reads=["answer"], range=(0, 1), version="1", sees="answer", imports=["mpmath"])
def math_answer(response, row):
    r"""1 when the response commits to exactly one evaluated answer that equals row["answer"]; else 0.

    Reads the answer region; in the region "everything" it looks for the one `\boxed{…}` after the thinking, or a whole
    text or last line that is nothing but the answer. Compares numbers exactly (1/3 is not 0.333), formulas to 45 digits
    at several values of their symbols, and like with like: {1,2}, (1,2) and [1,2] differ, 10 km is 10000 m, not 10 m.
    Wrong: several different answers, a chain of equalities, hedges, and what is not evaluated as far as the gold is
    (`123 \times 456`, `\sqrt{16}`, 84/2). Right: 42., 1\,234, 1e6, 0.\overline{3}, x = 42, 45°, 2 \le x < 5 for [2,5),
    x = 3, y = 4 for (3,4), "no solution" for \emptyset, an option's letter with its text, for either.
    Edge cases: `\log` without a base equals neither ln nor log10; a/bc is ambiguous, so it only equals itself; a text
    that cannot be read only equals itself; over 2,000 characters is wrong (50,000 for a plain integer); powers and
    factorials too large to be worked out are wrong at once. Unscorable where the gold is blank.
    Source: the identity test by random points (Schwartz 1980, Zippel 1979), in place of a simplifier that can hang; the
    list of traps comes from the public issues of math-verify and of trainers that use it.
    """
    gold = bare(str(row["answer"]))
    if not gold:
        return Score(None, "the gold answer is blank")
    answers, reason = committed(response)
    if not answers:
        return Score(0.0, reason)
    for answer in answers:
        if not same(gold, answer):
            return Score(0.0, "not equal" if len(answers) == 1 else "several answers")
    return Score(1.0)


# ---- which answer


def committed(response) -> tuple[list[str], str]:
    """The one answer of a response (its spellings, where it stands there twice), or none and the reason."""
    answers = response.answers[: MAX_SPELLINGS + 1]
    if response.region != "boxed":
        if any(map(_denied, answers)):
            return [], "denied"
        answers = list(dict.fromkeys(inner for text in answers for inner in _inside(text)))
    if not answers:
        return [], "no answer" if response.finished else "truncated"
    if len(answers) > MAX_SPELLINGS:
        return [], "several answers"
    answers = list(map(bare, answers))
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
    """Whether the words right around the last box take it back: "is not \\boxed{42}", "\\boxed{42} is wrong"."""
    start = max(text.rfind("\\boxed"), text.rfind("\\fbox"))
    if start < 0 or not (inside := region_contents(text[start:], "boxed")):
        return False
    end = text.index("}", text.index(inside[0], start) + len(inside[0])) + 1
    before, after = text[max(0, start - 60) : start], text[end : end + 60]
    return bool(_DENIED_BEFORE.search(before) or _DENIED_AFTER.match(after))


def bare(text: str) -> str:
    """`text` without what merely encloses an answer: white space, $…$, a box, bold, a final full stop."""
    text = text.strip()
    for _ in range(4):
        before = text
        text = re.sub(r"(?<=[^.\\])\.$|(?<!\\)\\$", "", text).strip() if len(text) <= MAX_INTEGER + 10 else text
        if match := _WRAPPERS.fullmatch(text) if text[:1] in "\\*<" else None:
            inner = next(group for group in match.groups() if group is not None).strip()
            if "boxed" not in text or _balanced(inner):
                text = inner
        dollars = len(re.findall(r"(?<!\\)\$", text)) if "$" in text else 0
        if dollars and dollars % 2 == 0:
            text = re.sub(r"(?<!\\)\$", " ", text).strip()
        elif dollars == 1 and re.match(r"(?:-|US)?\$", text):
            text = text.replace("$", "\\$")
        if text == before:
            break
    return text


def _balanced(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


# ---- the same?


@lru_cache(maxsize=16_384)
def same(gold: str, answer: str) -> bool:
    """Whether two bare answers say the same, `answer` being evaluated as far as `gold`."""
    if len(answer) > (MAX_INTEGER if answer[-1:].isdigit() else MAX_CHARACTERS):
        return False
    whole = _INTEGER.fullmatch(gold), _INTEGER.fullmatch(answer)
    if all(whole):
        (sign, digits), (other_sign, other_digits) = (match.groups() for match in whole)
        return digits == other_digits and (digits == "0" or (sign == "-") == (other_sign == "-"))
    if len(answer) > MAX_CHARACTERS:
        return False
    phrases = words(gold), words(answer)
    if phrases[0] and phrases[0] == phrases[1]:
        return True
    meant = meaning(gold), meaning(answer)
    if any(meant):
        return same(meant[0] or gold, meant[1] or answer)
    if (moment := point_in_time(answer)) and (gold_moment := point_in_time(gold)):
        return same_time(gold_moment, moment)
    option = labelled(answer)
    if option and not labelled(gold):
        return same(gold, option[0] if len(phrases[0] or "") == 1 else option[1])
    try:
        return _readings_equal(gold, answer)
    except Unreadable:
        named = _SOMETHING.fullmatch(answer)
        if named and "=" not in gold and not DENIALS & set(re.findall("[a-z]+", named[1].lower())):
            return same(gold, bare(named[2]))
        return _spelled_alike(gold, answer)
    except RecursionError:  # a thousand fractions one in another: nobody's answer
        return False


def _spelled_alike(gold: str, answer: str) -> bool:
    try:
        return _spelling(gold) == _spelling(answer)
    except Unreadable:
        return gold == answer


def _spelling(text: str) -> list[tuple]:
    r"""The tokens of a text, letters being letters in `\text{March }3` and in `March 3`."""
    return [("letters" if token.kind in LETTERS else token.kind, token.value) for token in tokens(text)]


def _readings_equal(gold: str, answer: str) -> bool:
    (value, unit), answered = _read(gold), _read(answer)
    if _quantities_equal((value, unit), answered):
        return True
    if unit and _SHORT_UNIT.fullmatch(answer):  # 18m is 18 metres where the gold has a length, and 18·m elsewhere
        return _quantities_equal((value, unit), _read(answer, attached=True))
    return False


Quantity = tuple[Node, Unit | None]


@lru_cache(maxsize=4_096)
def _read(text: str, attached: bool = False) -> Quantity:
    """The tree of a bare answer and its unit, which is also `attached` (18m). Raises Unreadable."""
    if (match := _NAMED.fullmatch(text)) and not DENIALS & set(match[1].lower().split()):
        text = match[2]  # \text{Area} = 42
    text = _SAID.sub("", text)
    if len(text) < 100 and (whole := compound(unboxed(text))):
        return number(whole[0]), read_unit([Token("text", whole[1])])
    text = _UNIT_FRACTION.sub(r"\\text{\1/\2", text)
    text = _PER.sub(r" \\text{per ", text)
    text = _without_whole(text)
    if (short := _SHORT_UNIT.fullmatch(text)) and (short[2] or attached):
        text = rf"{short[1]} \text{{{short[3]}}}"
    if currency := _CURRENCY.match(text):
        return _money(_CURRENCIES[currency[2] or currency[3]], *read(currency[1] + text[currency.end() :]))
    node, rest = read(text)
    name, value = value_of(node)
    if value.kind == "mul" and value.parts[0].kind == "degree" and value.parts[1:] in (_CELSIUS, _FAHRENHEIT):
        rest, value = [Token("name", value.parts[1].data), *rest], value.parts[0]
    if value.kind == "degree":  # 45°, or x = 45°, or 20 °C
        scale = [token.value for token in rest]
        if scale in ([], ["C"], ["F"]):
            inner = value.parts[0] if name is None else node._replace(parts=(name, value.parts[0]))
            return inner, Unit(((" ".join(["degree", *scale]), 1),), Fraction(1))
    return node, read_unit(rest)


def _money(currency: str, node: Node, rest: list[Token]) -> Quantity:
    """An amount with its currency sign before it and perhaps "million" or "per pound" behind it."""
    behind = read_unit(rest) or Unit((), Fraction(1))
    if any(power > 0 for _, power in behind.dimension):
        raise Unreadable("a currency before and a unit behind")
    if not behind.dimension and behind.factor != 1:
        if exact(node) is None:
            raise Unreadable("a multiple of no number")
        return number(exact(node) * behind.factor), Unit(((currency, 1),), Fraction(1))
    return node, Unit(tuple(sorted([*behind.dimension, (currency, 1)])), behind.factor)


def _without_whole(text: str) -> str:
    r"""A share without what it is a share of: `\frac38 of the pizza`."""
    match = _SHARE_OF.search(text) if " of " in text or "{of " in text else None
    if not match or match.end() != len(text):
        return text
    plain = all(word not in STOP_WORDS and UNITS.get(word, "unit")[0] for word in match[1].split())
    return text[: match.start()] if plain else text


def _quantities_equal(gold: Quantity, answer: Quantity) -> bool:
    (value, unit), (answered, answer_unit) = gold, answer
    if unit and answer_unit:
        if {unit.dimension, answer_unit.dimension} == {(("degree", 1),), (("radian", 1),)}:
            return equal(*_in_radians(gold, answer))
        if unit.dimension != answer_unit.dimension:
            return False
        return _equal_scaled(value, answered, answer_unit.factor / unit.factor)
    if not unit and not answer_unit:
        return equal(value, answered)
    one = unit or answer_unit
    if one.dimension == (("percent", 1),):
        ratio = Fraction(1, 100) if answer_unit else Fraction(100)
        share = value if answer_unit else answered  # 75 % is 0.75; but 600 % for a gold of 6 is the question itself
        whole = exact(share) is not None and exact(share).denominator == 1
        # 0.08 % is not 0.08, nor 7/4 % 7/4; but 12.5 % is what a gold of 12.5 asks for
        added = unit is None and exact(value) is not None and (abs(exact(value)) < 1 or value.kind != "num")
        return (not added and equal(value, answered)) or (not whole and _equal_scaled(value, answered, ratio))
    if one.dimension == (("degree", 1),):
        if equal(*_in_radians(gold, answer)):
            return True
        if exact(value) is None:  # a multiple of pi is in radians where nothing else is said
            return False
    if not one.dimension:  # a multiplier: 5 million
        return _equal_scaled(value, answered, one.factor if answer_unit else 1 / one.factor)
    return equal(value, answered)


def _in_radians(*angles: Quantity) -> list[Node]:
    return [Node("degree", (node,)) if unit and unit.dimension == (("degree", 1),) else node for node, unit in angles]


def _equal_scaled(gold: Node, answer: Node, ratio) -> bool:
    """Whether answer × ratio is the gold, where a change of units makes the ratio."""
    if ratio == 1:
        return equal(gold, answer)
    value = exact(answer)
    return value is not None and is_literal(answer) and exact(gold) == value * ratio
