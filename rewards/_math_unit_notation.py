r"""The many ways of setting a unit, as words: \mu m, \AA, k\Omega, siunitx's macros, degrees with their minutes."""

import re
from fractions import Fraction

_ANGSTROM = re.compile(r"\\AA(?![A-Za-z])|\\mathring\s*\{\s*(?:\\(?:text|mathrm)\s*\{\s*A\s*\}|A)\s*\}")
_SEXAGESIMAL = re.compile(
    r"(?<![\d.])(\d{1,4})\s*\^\s*\{?\s*\\circ\s*\}?\s*(?:\\[,;: ]\s*)?(\d{1,2})\s*'(?!')"
    r"(?:\s*(?:\\[,;: ]\s*)?(\d{1,2})\s*'')?"
)
_SIUNITX = re.compile(r"\\(?:SI|qty)\s*\{([^{}]{1,40})\}\s*\{([^{}]{1,80})\}")
_SI_PREFIX = re.compile(r"\b(micro|nano|milli|centi|kilo|mega|giga) ")
_TEXT = r"\\(text|mathrm)\s*\{\s*"
_MICRO = re.compile(rf"(?:micro|\\mu)\s*{_TEXT}|{_TEXT}\\mu\s*\}}?\s*(?:{_TEXT})?")
_OHM = re.compile(
    r"(?<=\d)(?:\s|~|\\[,;: ])*(?:(?:\\(?:text|mathrm)\s*\{\s*([kM])\s*\}\s*)?\\Omega"
    r"|\\(?:text|mathrm)\s*\{\s*([kM]?)\s*\\Omega\s*\})\s*$"
)


def spelled_units(text: str) -> str:
    """`text` with such units as a word in `\\text{…}` behind their number, and minutes of arc as degrees."""
    text = _SEXAGESIMAL.sub(_in_degrees, text)
    text = _SIUNITX.sub(lambda m: rf"{m[1]}\text{{ {_spelled_unit(m[2])}}}", text)
    text = _ANGSTROM.sub(r"\\text{ angstrom}", text)
    text = _MICRO.sub(lambda m: rf"\{next(filter(None, m.groups()))}{{ micro", text)
    return _OHM.sub(lambda m: rf"\text{{ {m[1] or m[2] or ''}ohm}}", text)


def _in_degrees(match: re.Match) -> str:
    """23° 30' as the degrees that it is."""
    degrees = int(match[1]) + Fraction(int(match[2]), 60) + Fraction(int(match[3] or 0), 3600)
    return rf"\frac{{{degrees.numerator}}}{{{degrees.denominator}}}^\circ "


def _spelled_unit(unit: str) -> str:
    r"""siunitx's `\kilo\gram\per\second\squared` as words."""
    return _SI_PREFIX.sub(r"\1", re.sub(r"\\([A-Za-z]+)", r" \1 ", unit).replace("  ", " "))
