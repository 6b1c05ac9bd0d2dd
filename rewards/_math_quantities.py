"""A number or formula with its unit: 5 km, $5 million, 45°, 75 %, \\frac38 of the pizza; read, and compared."""

import re
from fractions import Fraction
from functools import lru_cache

from rewards._math_compare import equal, value_of
from rewards._math_forms import is_literal
from rewards._math_reader import read
from rewards._math_tokens import Token, Unreadable
from rewards._math_tree import Node, number
from rewards._math_units import BASES, DENIALS, STOP_WORDS, UNITS, Unit, compound, read_unit
from rewards._math_values import exact
from rewards._math_words import unboxed

_NAMED = re.compile(r"\\text\s*\{([^{}]*?)(?:\s*[=:]\s*\}|\s*\}\s*[=:])\s*(.+)", re.DOTALL)
_SAID = re.compile(r"\\text\s*\{\s*(?:the\s+)?(?:final\s+)?answer(?:\s+is)?:?\s*\}", re.IGNORECASE)
_WORD = r"\\(?:text|mathrm)\s*\{[^{}]*\}(?:\^\{?\d\}?)?"
_PRODUCT = rf"\{{\s*({_WORD}(?:(?:\s|~|\\cdot|\\[,;: ])*{_WORD}){{0,3}})\s*\}}"
_UNIT_FRACTION = re.compile(rf"\\[dt]?frac\s*{_PRODUCT}\s*{_PRODUCT}")
_MACRO = re.compile(r"\\(?:text|mathrm)\s*\{([^{}]*)\}|\\cdot|\\[,;: ]|~")
_CURRENCIES = {"\\$": "dollar", "USD": "dollar", "\\euro": "euro", "\u20ac": "euro", "EUR": "euro"}
_CURRENCIES |= {"\\pounds": "GBP", "\u00a3": "GBP", "GBP": "GBP", "\u20b9": "rupee", "\u00a5": "yen"}
_SPELLED_CURRENCY = re.compile(  # \textdollar 5, \text{\$}5, \text{\$5}
    r"\\(?:text|math)(dollar|euro|sterling)(?![A-Za-z])(?:\s*\{\})?|\\(?:text|mathrm)\s*\{\s*\\\$\s*([\d,.]*)\s*\}"
)
_TEXT_CURRENCY = re.compile(r"\\(?:text|mathrm)\s*\{\s*([\u20ac\u00a3\u20b9\u00a5])\s*\}")
_SIGNS = {"dollar": "\\$", "euro": "\\euro ", "sterling": "\\pounds "}
_CURRENCY = re.compile(
    r"([+-]?)\s*(?:(?:US\s*)?(\\\$|\\euro\b|\\pounds\b|[\u20ac\u00a3\u20b9\u00a5]|USD\b|EUR\b|GBP\b)"
    r"|\\(?:text|mathrm)\s*\{\s*(USD|EUR|GBP)\s*\})(?:[\s~]|\\[,;:! ])*"
)
_PER = re.compile(r"(?<=\d)\s*/\s*\\(?:text|mathrm)\s*\{\s*")
_SHARE_OF = re.compile(
    r"(?<=[\d}%])\s*(?:\\text\s*\{)?\s*of (?:the|an?|all|each|every|its|his|her|their) ([a-z ]{1,60})\}?"
)
_CELSIUS, _FAHRENHEIT = ((Node("sym", data=letter),) for letter in "CF")
_SHORT_UNIT = re.compile(r"(-?[\d.,/]+)(\s*)((?:min|[mgsLNJWVKh])(?:\^\{?[23]\}?)?(?:\s*/\s*[smh](?:\^\{?2\}?)?)?)")


Quantity = tuple[Node, Unit | None]


def same_quantity(gold: str, answer: str) -> bool:
    (value, unit), answered = _read(gold), _read(answer)
    if _quantities_equal((value, unit), answered):
        return True
    if unit and _SHORT_UNIT.fullmatch(answer):  # 18m is 18 metres where the gold has a length, and 18·m elsewhere
        return _quantities_equal((value, unit), _read(answer, attached=True))
    return False


@lru_cache(maxsize=4_096)
def _read(text: str, attached: bool = False) -> Quantity:
    """The tree of a bare answer and its unit, which is also `attached` (18m). Raises Unreadable."""
    if (match := _NAMED.fullmatch(text)) and not DENIALS & set(match[1].lower().split()):
        text = match[2]  # \text{Area} = 42
    text = _SPELLED_CURRENCY.sub(lambda sign: _SIGNS.get(sign[1]) or rf"\${sign[2]}", _SAID.sub("", text))
    text = _TEXT_CURRENCY.sub(r"\1", text)
    if len(text) < 100 and (whole := compound(unboxed(text))):
        return number(whole[0]), read_unit([Token("text", whole[1])])
    text = _UNIT_FRACTION.sub(lambda m: rf"\text{{ {_words_of(m[1])}/{_words_of(m[2])}}}", text)
    text = _PER.sub(r" \\text{per ", text)
    text = _without_whole(text)
    if (short := _SHORT_UNIT.fullmatch(text)) and (short[2] or attached):
        text = rf"{short[1]} \text{{{short[3]}}}"
    if currency := _CURRENCY.match(text):
        return _money(_CURRENCIES[currency[2] or currency[3]], *read(currency[1] + text[currency.end() :]))
    node, rest = read(text)
    name, value = value_of(node)
    value = _sign_inside(value)
    if value.kind == "mul" and value.parts[0].kind == "degree" and value.parts[1:] in (_CELSIUS, _FAHRENHEIT):
        rest, value = [Token("name", value.parts[1].data), *rest], value.parts[0]
    if value.kind == "degree":  # 45°, or x = 45°, or 20 °C
        scale = [token.value for token in rest]
        if scale in ([], ["C"], ["F"]):
            inner = value.parts[0] if name is None else node._replace(parts=(name, value.parts[0]))
            return inner, Unit(((" ".join(["degree", *scale]), 1),), Fraction(1))
    return node, read_unit(rest)


def _words_of(product: str) -> str:
    return " ".join(_MACRO.sub(lambda m: f" {m[1] or ''}", product).split())


def _sign_inside(value: Node) -> Node:
    """-40° as the degrees of -40, and -40 °C likewise."""
    inner = value.parts[0] if value.kind == "neg" else value
    degree = inner.parts[0] if inner.kind == "mul" else inner
    if inner is value or degree.kind != "degree" or degree.parts[0].kind != "num":
        return value
    signed = Node("degree", (number(-degree.parts[0].data),))
    return inner._replace(parts=(signed, *inner.parts[1:])) if inner.kind == "mul" else signed


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
    words = match[1].split()
    if any(word in STOP_WORDS or not UNITS.get(word, "unit")[0] for word in words):
        return text
    return text[: match.start()] + (rf"\text{{ {words[0]}}}" if len(words) == 1 and words[0] in UNITS else "")


def _quantities_equal(gold: Quantity, answer: Quantity) -> bool:
    (value, unit), (answered, answer_unit) = gold, answer
    if unit and answer_unit:
        if {unit.dimension, answer_unit.dimension} == {(("degree", 1),), (("radian", 1),)}:
            return equal(*_in_radians(gold, answer))
        if unit.dimension != answer_unit.dimension:
            currency = len(unit.dimension) == 1 and unit.dimension[0][0] in _CURRENCIES.values()
            per = [(base, power) for base, power in answer_unit.dimension if power > 0] == list(unit.dimension)
            return currency and per and equal(value, answered)  # $5 is $5 per pound
        return _equal_scaled(value, answered, answer_unit.factor / unit.factor)
    if not unit and not answer_unit:
        return equal(value, answered)
    one = unit or answer_unit
    if one.dimension == (("percent", 1),):
        ratio = Fraction(1, 100) if answer_unit else Fraction(100)
        share = value if answer_unit else answered  # 75 % is 0.75; but 600 % for a gold of 6 is the question itself
        whole = exact(share) is not None and exact(share).denominator == 1
        # 0.08 % is not 0.08, nor 7/4 % 7/4. But a bare gold of 12.5 or 56 may well be a number of percent, as GSM8K's
        # are, and which it is only the question tells.
        added = unit is None and exact(value) is not None and (abs(exact(value)) < 1 or value.kind != "num")
        return (not added and equal(value, answered)) or (not whole and _equal_scaled(value, answered, ratio))
    if one.dimension == (("degree", 1),):
        if equal(*_in_radians(gold, answer)):
            return True
        if exact(value) is None:  # a multiple of pi is in radians where nothing else is said
            return False
    if not one.droppable:  # a multiplier: 5 million, 5 million people
        plain = all(base not in BASES for base, _ in one.dimension)
        return plain and _equal_scaled(value, answered, one.factor if answer_unit else 1 / one.factor)
    return equal(value, answered)


def _in_radians(*angles: Quantity) -> list[Node]:
    return [Node("degree", (node,)) if unit and unit.dimension == (("degree", 1),) else node for node, unit in angles]


def _equal_scaled(gold: Node, answer: Node, ratio) -> bool:
    """Whether answer × ratio is the gold, where a change of units makes the ratio."""
    if ratio == 1:
        return equal(gold, answer)
    value = exact(answer)
    return value is not None and is_literal(answer) and exact(gold) == value * ratio
