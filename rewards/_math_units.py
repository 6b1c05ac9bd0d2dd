"""Units behind (or a currency sign before) a number: 10 km, 5 m/s^2, 45°, 50 %, $3.50, 12 apples."""

import re
from fractions import Fraction
from typing import NamedTuple

from rewards._math_tokens import Token, Unreadable


class Unit(NamedTuple):
    """dimension: sorted (base, exponent) pairs; factor: its size in base units.

    droppable  the bare number means the same: "12 apples" and "12", "45°" and "45", but not "5 million" and "5"
    """

    dimension: tuple[tuple[str, int], ...]
    factor: Fraction
    droppable: bool = True


def _scaled(base: str, names: dict[str, object]) -> dict[str, tuple[str, Fraction]]:
    return {name: (base, Fraction(factor)) for spelled, factor in names.items() for name in spelled.split()}


UNITS: dict[str, tuple[str, Fraction]] = {
    **_scaled("m", {
        "m meter meters metre metres": 1, "km kilometer kilometers kilometre kilometres": 1000, "dm decimeter": "0.1",
        "cm centimeter centimeters centimetre centimetres": "0.01", "mm millimeter millimeters millimetre": "0.001",
        "microm um micrometer micrometers micrometre micron microns": "1e-6", "nm nanometer nanometers": "1e-9",
        "angstrom angstroms": "1e-10", "pm picometer picometers": "1e-12", "fm": "1e-15",
        "in inch inches": "0.0254", "ft foot feet": "0.3048", "yd yard yards": "0.9144",
        "mi mile miles": "1609.344",
    }),
    **_scaled("kg", {
        "kg kilogram kilograms": 1, "g gram grams": "0.001", "mg milligram milligrams": "1e-6", "microg": "1e-9",
        "ton tons tonne tonnes": 1000, "lb lbs pound pounds": "0.45359237", "oz ounce ounces": "0.028349523125",
    }),
    **_scaled("s", {
        "s sec secs second seconds": 1, "ms millisecond milliseconds": "0.001", "micros microsecond": "1e-6",
        "ns nanosecond nanoseconds": "1e-9", "min mins minute minutes": 60,
        "h hr hrs hour hours": 3600, "day days": 86400, "week weeks": 604800,
    }),
    **_scaled("litre", {"l L liter liters litre litres": 1, "ml mL milliliter milliliters millilitre": "0.001"}),
    **_scaled("dollar", {"dollar dollars usd USD": 1, "cent cents": "0.01"}),
    **_scaled("euro", {"euro euros EUR": 1}),
    **_scaled("pound sterling", {"GBP": 1}),
    **_scaled("N", {"mN": "0.001", "N newton newtons": 1, "kN": 1000, "MN": 10**6}),
    **_scaled("J", {"mJ": "0.001", "J joule joules": 1, "kJ": 1000, "MJ": 10**6}),
    **_scaled("W", {"mW": "0.001", "W watt watts": 1, "kW": 1000, "MW": 10**6, "GW": 10**9}),
    **_scaled("Pa", {"Pa pascal pascals": 1, "kPa": 1000, "MPa": 10**6, "GPa": 10**9}),
    **_scaled("Hz", {"mHz": "0.001", "Hz hertz": 1, "kHz": 1000, "MHz": 10**6, "GHz": 10**9}),
    **_scaled("V", {"mV": "0.001", "V volt volts": 1, "kV": 1000, "MV": 10**6}),
    **_scaled("ampere", {"mA": "0.001", "A amp amps ampere amperes": 1}),
    **_scaled("tesla", {"mT": "0.001", "T tesla": 1}),
    **_scaled("eV", {"meV": "0.001", "eV": 1, "keV": 1000, "MeV": 10**6, "GeV": 10**9}),
    **_scaled("ohm", {"ohm ohms": 1, "kohm": 1000, "Mohm": 10**6}),
    **_scaled("K", {"K kelvin": 1}), **_scaled("mol", {"mol mole moles": 1}),
    **_scaled("year", {"year years yr yrs": 1, "month months": Fraction(1, 12)}),
    **_scaled("degree", {"degree degrees deg": 1}), **_scaled("radian", {"rad radian radians": 1}),
    **_scaled("percent", {"percent percentage pct": 1}),
    **_scaled("", {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12,
                   "quadrillion": 10**15, "dozen": 12, "score": 20, "gross": 144, "lakh": 10**5, "crore": 10**7}),
}  # fmt: skip
_PREFIXES = {"nano": "1e-9", "micro": "1e-6", "milli": "0.001", "kilo": 1000, "mega": 10**6}
_PREFIXED = ("watt", "volt", "ampere", "amp", "joule", "newton", "pascal", "hertz", "ohm", "second", "tesla")
UNITS |= {
    f"{prefix}{name}{plural}": (UNITS[name][0], UNITS[name][1] * Fraction(factor))
    for prefix, factor in _PREFIXES.items()
    for name in _PREFIXED
    for plural in ("", "s")
}
DERIVED = {"Hz": {"s": -1}, "N": {"kg": 1, "m": 1, "s": -2}, "J": {"kg": 1, "m": 2, "s": -2}}
DERIVED |= {"W": {"kg": 1, "m": 2, "s": -3}, "Pa": {"kg": 1, "m": -1, "s": -2}}
BASES = {base for base, _ in UNITS.values()}
_COMPOUND = re.compile(r"(\d{1,9})\s*([A-Za-z]+)\s*(?:,|,?\s*and)?\s*(\d{1,9}(?:\.\d{1,9})?)\s*([A-Za-z]+)")
COMPOUNDS = {"mph": "mile per hour", "kph": "km per hour", "kmh": "km per hour", "fps": "foot per second"}
SIGNS = {"%": "percent", "$": "dollar"}  # behind a number
POWERS = {"square": 2, "squared": 2, "sq": 2, "cu": 3, "cubic": 3, "cubed": 3}

# Words that are no unit: beside them stands a value that is denied or hedged, bounded, or another one than it seems.
_DENIALS = (
    "about above allegedly almost apparently approx approximate approximately aren arguably around assume assuming "
    "barely believe below but can cannot cant check could couldn depending disputed double doubt doubtful "
    "doubtfully either else estimated exceeds except false fewer guess guessed guessing half hardly hope hopefully "
    "if impossible inaccurate incorrect incorrectly instead ish isn isnt least less let likely may maybe might most "
    "near nearly need neither never no none nonsense nope nor not off or otherwise over perhaps plausible plausibly "
    "possible possibly presumably probable probably questionable rather reject rejected roughly say see seem "
    "seemingly seems should shouldn so-called speculative suppose supposedly suspect tentative tentatively testing "
    "than think thrice triple try trying twice uncertain unclear under unknown unless unlike unlikely unsure until "
    "unverified nan null undefined wait want wasn when whenever where without would wouldn wrong wrongly"
)
DENIALS = frozenset(_DENIALS.split())
_STOP_WORDS = (
    "a also an and another answer any at because between by choose close conjugate correct cubed decreased divided "
    "does eight eighth eighths eighty eleven equals error estimate even exactly excluding factorial factorials few "
    "fifth fifths fifty five for forty four fourth fourths from given greater halves hence however hundredth "
    "hundredths i in increased infinitely inverse is it its just many maximum minimum minus mistake mod modulo "
    "modulus more multiplied nd negated negative nine ninety number often one only opposite pi plus positive "
    "quarter quarters rd reciprocal remainder root seven seventy several since six sixth sixths sixty some "
    "sometimes sorry squared st subfactorial subtracted ten tenth tenths th that the then there third thirds thirty "
    "this though thousandth thousandths three thus times to total transpose transposed true twelve twenty two "
    "undefined was when where which while with yes you zero"
)
STOP_WORDS = DENIALS | frozenset(_STOP_WORDS.split())
_HARMLESS = (  # in a sentence around a number, though they are no unit
    "a an answer at exactly for given hence i in is it its just maximum minimum of only remainder since so "
    "that the then there this thus to total true was yes you"
)
HARMLESS = frozenset(_HARMLESS.split())


def read_unit(rest: list[Token]) -> Unit | None:
    """The unit that the tokens `rest` are; None for no tokens. Raises Unreadable for anything else."""
    words = _words(rest)
    if not words:
        return None
    if len(words) > 12:
        raise Unreadable("too many words for a unit")
    exponents: dict[str, int] = {}
    factor, sign, pending, last, unknown, multiplied = Fraction(1), 1, 1, "", [], False
    for word in words:
        if word in ("/", "per"):
            sign, last = -1, ""
        elif isinstance(word, int) or (word in POWERS and last and word.endswith("ed")):
            power = word if isinstance(word, int) else POWERS[word]
            if last == "unit":  # units^2
                continue
            if _base(last) not in exponents:
                raise Unreadable("a power of no unit")
            factor *= UNITS.get(last, ("", Fraction(1)))[1] ** (sign * (power - 1))
            exponents[_base(last)] += sign * (power - 1)
        elif word in POWERS:
            pending = POWERS[word]
        elif word in ("unit", "units", "old"):  # "12 square units" says no more than 12
            last, pending = "unit", 1
        elif word in UNITS:
            base, size = UNITS[word]
            factor *= size ** (sign * pending)
            multiplied |= not base
            if base:
                exponents[base] = exponents.get(base, 0) + sign * pending
            last, pending = word, 1
        else:
            unknown.append(_noun(word))
            exponents[unknown[-1]] = sign
            last = word
    if pending != 1:
        raise Unreadable("a power of no unit")
    if len(unknown) > 3:
        raise Unreadable("too many words for a unit")
    for derived in DERIVED.keys() & exponents.keys():
        times = exponents.pop(derived)
        for base, power in DERIVED[derived].items():
            exponents[base] = exponents.get(base, 0) + times * power
    dimension = tuple(sorted((base, power) for base, power in exponents.items() if power))
    return Unit(dimension, factor, droppable=not multiplied)


def compound(text: str) -> tuple[Fraction, str] | None:
    """The whole of "5 hours and 30 minutes" in its smallest unit, and that unit; None for any other text."""
    match = _COMPOUND.fullmatch(text)
    if not match:
        return None
    large, small = UNITS.get(match[2], ("", 0)), UNITS.get(match[4], ("", 0))
    if not large[0] or large[0] != small[0] or large[1] <= small[1]:
        return None
    return Fraction(match[1]) * large[1] / small[1] + Fraction(match[3]), match[4]


def _base(word: str) -> str:
    return UNITS[word][0] if word in UNITS else _noun(word)


def _noun(word: str) -> str:
    word = word.lower()
    if word in STOP_WORDS or not word.replace("-", "").isalpha() or word.startswith("-"):
        raise Unreadable(f"{word!r} is no unit")
    return word[:-1] if word.endswith("s") and len(word) > 3 else word


def _words(rest: list[Token]) -> list[str | int]:
    words: list[str | int] = []
    raising, sign = False, 1
    for token in rest:
        value = str(token.value)
        if token.kind == "num" and raising and token.value.denominator == 1 and 1 <= token.value <= 9:
            words.append(sign * int(token.value))
            raising, sign = False, 1
        elif token.kind == "op" and value == "-" and raising:
            sign = -1
        elif token.kind == "op" and words and (value in "{}" or (value in "()" and "/" in words)):
            continue
        elif token.kind == "op" and value == "^" and words and not raising:
            raising = True
        elif raising and value == "circ":
            words.append("degree")
            raising = False
        elif token.kind == "op" and value in SIGNS and SIGNS[value] not in words:
            words.append(SIGNS[value])
        elif token.kind == "op" and value == "/":
            words.append("/")
        elif token.kind == "command" and value in ("cdot", "times") and words:
            continue
        elif token.kind in ("text", "word", "name"):
            value = COMPOUNDS.get(value, value)
            words += [word.strip(".,()") for word in value.replace("/", " / ").split() if word.strip(".,()")]
        else:
            raise Unreadable(f"{value!r} is no unit")
    return words
