"""A mathematical answer in plain LaTeX: without Unicode, separators in long numbers, and other manners of writing."""

import re

from rewards._math_shorthand import written_out
from rewards._math_unit_notation import spelled_units

UNICODE = {
    "\u2212": "-", "\u2013": "-", "\u00d7": r"\times ", "\u00b7": r"\cdot ", "\u22c5": r"\cdot ", "\u00f7": r"\div ",
    "\u03c0": r"\pi ", "\u221a": r"\surd ", "\u221e": r"\infty ", "\u00b0": r"^\circ ", "\u2264": r"\le ",
    "\u2265": r"\ge ", "\u2260": r"\ne ", "\u222a": r"\cup ", "\u2229": r"\cap ", "\u2208": r"\in ", "\u00b1": r"\pm ",
    "\u2213": r"\mp ", "\u2248": r"\approx ", "\u2205": r"\emptyset ", "\u211d": r"\mathbb{R}", "\u2124": r"\mathbb{Z}",
    "\u2115": r"\mathbb{N}", "\u211a": r"\mathbb{Q}", "\u2044": "/", "\u2032": "'", "\u00a0": " ", "\u2009": " ",
    "\u202f": " ", "\u2220": r"\angle ", "\u00b5": "micro", "\u00c5": r"\text{ angstrom}",
    "\u212b": r"\text{ angstrom}",
    "\u20ac": r"\euro ", "\u00a3": r"\pounds ", "\u2228": r"\vee ", "\u2227": r"\wedge ", "\u2216": r"\setminus ",
    "\u2026": "...", "\u00a2": r"\text{ cents}", "\u27e8": r"\langle ", "\u27e9": r"\rangle ", "\u03f5": r"\epsilon ",
    "\u03d5": r"\phi ", "\u2126": r"\Omega ",
}  # fmt: skip
_SMALL = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho varsigma sigma tau "
    "upsilon phi chi psi omega"
)
_LARGE = {3: "Gamma", 4: "Delta", 8: "Theta", 11: "Lambda", 14: "Xi", 16: "Pi", 18: "Sigma"}
_LARGE |= {21: "Phi", 23: "Psi", 24: "Omega"}
UNICODE |= {chr(0x3B1 + i): rf"\{name} " for i, name in enumerate(_SMALL.split())}
UNICODE |= {chr(0x390 + i): rf"\{name} " for i, name in _LARGE.items()}
SUPERSCRIPTS = str.maketrans("\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b", "0123456789-")
VULGAR = {"\u00bd": "1/2", "\u2153": "1/3", "\u2154": "2/3", "\u00bc": "1/4", "\u00be": "3/4", "\u215b": "1/8"}

_GAP = r"(?:(?:\\!)?,\\!\s?|\{,\}|\\,|\\ |\\;|\\:|\\!|~| )"
_GROUPED = re.compile(rf"(?<![\d.,])\d{{1,3}}(?:{_GAP}\d{{3}})+(?![\d])(?!{_GAP}?\d)", re.ASCII)
_NO_DELIMITER = re.compile(r"\\(?:left|right)\s*\.")
_LINES = re.compile(r"\\begin\s*\{(aligned|align\*?|gathered|split|cases)\}(.{1,500}?)\\end\s*\{\1\}", re.DOTALL)
_BETWEEN_COLUMNS = re.compile(  # 2x, & \text{if } x < 1, \\
    r"[\s,;.]*&\s*(?:\\(?:text|mathrm)\s*\{\s*(?:if|for|when|where)\s*\}|\\q?quad|\\[ ,;])*|[\s,;.]+(?=\\\\|$)"
)
_ALIGNED = re.compile(r"&(?=\s*(?:[=<>]|\\(?:leq?|geq?|neq?|lt|gt|in)\b))")
_FOR_ALL = re.compile(
    r"[\s,]*(?:\\q?quad\s*)?(?:(?:\\text\s?\{\s?)?\bfor (?:all|every|any)(?: real(?: numbers?)?)?\s?\}?|\\forall)"
    r"\s?\$?[a-z](?:\s?\\in\s?\\(?:mathbb\s?\{?R\}?|R))?\}?$"
)
_CONSTANT_CLAUSE = re.compile(  # "for some constant c", "where c is an arbitrary constant", at the end
    r"(?:\\q?quad|\\?[\s,;~])*(?:\\text\s?\{)?[\s,]*\b(?:(?:for|where|with|and) )?(?:(?:any|all|every|some|each|an?) )?"
    r"(?:(?:real|arbitrary) )*(?:constants?\s?\}?\s?\$?[a-zC]\$?|\}?\s?\$?[a-zC]\$?\s?(?:\\text\s?\{)?\s?(?:is|being) "
    r"(?:an? |any |some |the )?(?:(?:real|arbitrary) )*constant(?: of integration)?)\.?\}?$"
)
_CONDITION = re.compile(
    r"(?:\\q?quad|\\?[\s,;~])+\(([a-z]\s?(?:[<>]|\\(?:leq?|geq?|neq?|in)\b)[^()]{1,30})\)$"
)  # (x \ne 1)
_BRACED = re.compile(r"(?<![\\^_a-zA-Z}])\{([:.;=<>+-])\}")  # 3{:}30
_DEGREE = re.compile(r"(?<!\^)(?<!\^\{)\\degree(?![A-Za-z])")
_E_NOTATION = re.compile(  # 6.02\text{e}23, 1.6\mathrm{e}{-19}; but 3\mathrm{e}-1 is 3e - 1
    r"(?<=\d)\\(?:text(?:rm)?\s*\{\s*[eE]\s*\}(?=[+-]?\d|\{)|mathrm\s*\{\s*[eE]\s*\}(?=\{))\{?([+-]?\d+)\}?"
)
_PRIME = re.compile(r"\^\s*(?:\{\s*((?:\\prime\s*){1,2})\}|(\\prime)(?![A-Za-z]))")
_COLOR = re.compile(r"\\(?:text)?color\s*\{\w+\}")
_ENCLOSED_DIGITS = re.compile(
    r"(?<![A-Za-z\d)])\(([\dA-F]+)\)(?=_)|\\(?:text|mathrm)\s*\{([\dA-F]+)\}(?=[\dA-F]*_)"
)  # (1011)_2
_UNIT_VECTOR = re.compile(  # \hat{i}, \hat{\mathbf{i}}, \hat\imath are \mathbf{i}
    r"\\(?:hat|widehat)\s*(?:\{\s*(?:\\(?:mathbf|boldsymbol|bm|mathrm)(?:\s*\{\s*([ijk])\s*\}|\s+([ijk]))|\\([ij])math"
    r"|([ijk]))\s*\}|\\([ij])math\b|\s([ijk])\b)"
)
_INTEGER_CLAUSE = re.compile(  # "for any integer k", "where k is an integer", at the end
    r"(?:\\q?quad|\\?[\s,;~])*(?:\\text\s?\{)?[\s,]*(?:"
    r"(?:for|where|with) (?:(?:any|all|every|some|each) )?integers?\s?\}?\s?(?P<letter>[a-z])"
    r"|(?:(?:for|where|with|and)\b)?(?: (?:any|all|every|some|each))?\s?\}?\s?(?P<named>[a-z])"
    r"\s?(?:\\text\s?\{)?\s?(?:is|are|be) (?:an |any )?integers?)\}?$"
)
_SLANTED = re.compile(r"\^\{?(\d{1,9})\}?\s*/\s*_\{?(\d{1,9})\}?")  # ^3/_4
_TURNED = re.compile(  # ]1, 2] is (1, 2], and [1, 2[ is [1, 2)
    r"([\[\]])(?!\s*\{)([^\[\](),;]*[^\[\](),;\s][,;][^\[\](),;]*[^\[\](),;\s](?<!sqrt)\s*)([\[\]])"
)
_COMMAS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d)(?!,\d)", re.ASCII)


def plain(text: str) -> str:
    """`text` with Unicode mathematics as LaTeX, and without the separators inside long numbers."""
    if not text.isascii():
        text = re.sub(
            "[\u2070\u00b9\u00b2\u00b3\u2074-\u2079\u207b]+", lambda m: f"^{{{m[0].translate(SUPERSCRIPTS)}}}", text
        )
        text = re.sub(f"[{''.join(VULGAR)}]", lambda m: rf"\frac{{{VULGAR[m[0]].replace('/', '}{')}}}", text)
        text = "".join(UNICODE.get(character, character) for character in text)
    text = _DEGREE.sub(r"^\\circ ", text)
    text = _BRACED.sub(r"\1", text)
    text = _COLOR.sub("", text)
    text = _E_NOTATION.sub(r"e\1", text)
    text = _PRIME.sub(lambda m: "'" * (m[1] or m[2]).count("prime"), text.replace("{}^", "^"))
    text = written_out(spelled_units(text))
    text = _NO_DELIMITER.sub("", text)
    text = _LINES.sub(_listed, text)
    text = _ENCLOSED_DIGITS.sub(r"\1\2", text)
    text = _UNIT_VECTOR.sub(lambda m: next(filter(None, m.groups())), text)
    text = text[:-80] + _end_rewritten(text[-80:])
    text = _SLANTED.sub(r"\\frac{\1}{\2}", text)
    text = _TURNED.sub(_turned_round, text)
    text = _GROUPED.sub(lambda m: re.sub(r"\D", "", m[0]), text)
    return _COMMAS.sub(lambda m: m[0] if _bracketed(text, m.start()) else m[0].replace(",", ""), text)


def _end_rewritten(end: str) -> str:
    """What stands behind a formula: "where k is an integer" as one more item, "for all x" not at all."""
    if "integer" in end:
        end = _INTEGER_CLAUSE.sub(lambda m: rf", {m['letter'] or m['named']}\in\mathbb{{Z}}", end)
    if "constant" in end:
        end = _CONSTANT_CLAUSE.sub("", end)
    if end.endswith(")"):
        end = _CONDITION.sub(r", \1", end)
    return _FOR_ALL.sub("", end) if "for" in end else end


def _listed(match: re.Match) -> str:
    """The lines of an aligned environment as a list; one with columns of its own stays as it is."""
    lines = _ALIGNED.sub("", match[2]).strip().removesuffix(r"\\")
    if match[1] == "cases" and "&" in lines:
        return rf"\begin{{cases}}{_BETWEEN_COLUMNS.sub(lambda m: '&' if '&' in m[0] else '', lines)}\end{{cases}}"
    return match[0] if "&" in lines else re.sub(r"[\s,;]*\\\\[\s,;]*", ", ", lines)


def _turned_round(match: re.Match) -> str:
    opening, inside, closing = match.groups()
    if opening + closing == "[]":
        return match[0]
    return ("(" if opening == "]" else "[") + inside + (")" if closing == "[" else "]")


def _bracketed(text: str, position: int) -> bool:
    """Whether a bracket is open at `position`: there a comma separates items, it does not group digits."""
    before = text[:position].replace("\\{", "(").replace("\\}", ")")
    return sum(before.count(c) for c in "([") > sum(before.count(c) for c in ")]")
