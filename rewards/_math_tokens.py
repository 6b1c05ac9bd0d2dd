"""The tokens of a mathematical answer, written in LaTeX, plain text or Unicode."""

import re
from fractions import Fraction
from typing import NamedTuple

MAX_TOKENS = 1_500
MAX_POWER_OF_TEN = 2_000  # in 1e2000: what is larger is not read
MAX_DIGITS = 4_000  # Python converts no longer literal to an integer


class Unreadable(ValueError):
    """The text is no mathematics that this reader knows, or it is ambiguous; the message says where."""


class Token(NamedTuple):
    kind: str  # num, name (one letter or a Greek one), word, text, command, env, end, field, op
    value: object
    spaced: bool = False  # white space stands before it
    raw: str = ""


UNICODE = {
    "\u2212": "-", "\u2013": "-", "\u00d7": r"\times ", "\u00b7": r"\cdot ", "\u22c5": r"\cdot ", "\u00f7": r"\div ",
    "\u03c0": r"\pi ", "\u221a": r"\surd ", "\u221e": r"\infty ", "\u00b0": r"^\circ ", "\u2264": r"\le ",
    "\u2265": r"\ge ", "\u2260": r"\ne ", "\u222a": r"\cup ", "\u2229": r"\cap ", "\u2208": r"\in ", "\u00b1": r"\pm ",
    "\u2213": r"\mp ", "\u2248": r"\approx ", "\u2205": r"\emptyset ", "\u211d": r"\mathbb{R}", "\u2124": r"\mathbb{Z}",
    "\u2115": r"\mathbb{N}", "\u211a": r"\mathbb{Q}", "\u2044": "/", "\u2032": "'", "\u00a0": " ", "\u2009": " ",
    "\u202f": " ", "\u03b1": r"\alpha ", "\u03b2": r"\beta ", "\u03b3": r"\gamma ", "\u03b8": r"\theta ",
    "\u03bb": r"\lambda ", "\u03bc": r"\mu ", "\u03c6": r"\phi ", "\u03c9": r"\omega ", "\u2220": r"\angle ",
    "\u20ac": r"\euro ", "\u00a3": r"\pounds ", "\u2228": r"\vee ", "\u2227": r"\wedge ", "\u2216": r"\setminus ",
    "\u2026": "...", "\u27e8": r"\langle ", "\u27e9": r"\rangle ",
}  # fmt: skip
SUPERSCRIPTS = str.maketrans("\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b", "0123456789-")
VULGAR = {"\u00bd": "1/2", "\u2153": "1/3", "\u2154": "2/3", "\u00bc": "1/4", "\u00be": "3/4", "\u215b": "1/8"}

FUNCTIONS = {
    "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "ln", "log", "lg", "exp",
    "arcsin", "arccos", "arctan", "cis", "max", "min", "gcd", "lcm",
}  # fmt: skip
SYNONYMS = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "sfrac": "frac", "nicefrac": "frac",
    "dbinom": "binom", "tbinom": "binom", "lvert": "|", "rvert": "|",
    "vert": "|", "mid": "|", "lbrace": "{", "rbrace": "}", "leq": "le", "geq": "ge", "leqslant": "le", "bigcup": "cup",
    "bigcap": "cap", "bmod": "mod", "pmod": "mod",
    "geqslant": "ge", "neq": "ne", "ast": "times", "cdotp": "cdot", "varnothing": "emptyset", "lbrack": "[",
    "rbrack": "]", "lor": "vee", "land": "wedge", "dots": "ldots", "cdots": "ldots", "asin": "arcsin",
    "acos": "arccos", "atan": "arctan", "degree": "circ", "infin": "infty", "backslash": "setminus", "sim": "approx",
    "thickapprox": "approx", "simeq": "approx", "lt": "<", "gt": ">", "colon": ":",
}  # fmt: skip
_GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau "
    "upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell hbar"
)
GREEK = frozenset(_GREEK.split())
_SILENT = (
    "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr displaystyle textstyle scriptstyle "
    "bf it rm sf tt large Large LARGE therefore limits nolimits quad qquad thinspace medspace enspace negthinspace"
)
SILENT = frozenset(_SILENT.split())
FONTS = "underline|mathbf|mathit|boldsymbol|bm|mathsf|mathcal|vec|overrightarrow|mathop|mathfrak"
MARKS = "overline|bar|hat|widehat|tilde|widetilde|dot|ddot"  # over a name they make another name
TEXTS = "text|textbf|textit|textrm|textnormal|textsf|texttt|mbox|hbox|mathrm|operatorname|rm|emph"

_GAP = r"(?:(?:\\!)?,\\!|\{,\}|\\,|\\ |\\;|\\:|\\!|~| )"
_GROUPED = re.compile(rf"(?<![\d.,])\d{{1,3}}(?:{_GAP}\d{{3}})+(?![\d])(?!{_GAP}?\d)", re.ASCII)
_BRACED = re.compile(r"(?<![\\^_a-zA-Z}])\{([:.;=<>+-])\}")  # 3{:}30
_DEGREE = re.compile(r"(?<!\^)(?<!\^\{)\\degree(?![A-Za-z])")
_COLOR = re.compile(r"\\(?:text)?color\s*\{\w+\}")
_ENCLOSED_DIGITS = re.compile(
    r"(?<![A-Za-z\d)])\(([\dA-F]+)\)(?=_)|\\(?:text|mathrm)\s*\{([\dA-F]+)\}(?=_)"
)  # (1011)_2
_UNIT_VECTOR = re.compile(  # \hat{i}, \hat{\mathbf{i}}, \hat\imath are \mathbf{i}
    r"\\(?:hat|widehat)\s*(?:\{\s*(?:\\(?:mathbf|boldsymbol|bm|mathrm)\s*\{\s*([ijk])\s*\}|\\([ij])math|([ijk]))\s*\}"
    r"|\\([ij])math\b|\s([ijk])\b)"
)
_INTEGER_CLAUSE = re.compile(  # "for any integer k", "where k is an integer", "(k \in \mathbb{Z})", at the end
    r"(?:\\q?quad|\\?[\s,;~])*(?:\((?P<inside>[a-z]\s?\\in\s?[^()]{1,20})\)|(?:\\text\s?\{)?[\s,]*(?:"
    r"(?:for|where|with) (?:(?:any|all|every|some|each) )?integers?\s?\}?\s?(?P<letter>[a-z])"
    r"|(?:(?:for|where|with|and)\b)?(?: (?:any|all|every|some|each))?\s?\}?\s?(?P<named>[a-z])"
    r"\s?(?:\\text\s?\{)?\s?(?:is|are|be) (?:an |any )?integers?)\}?)$"
)
_SLANTED = re.compile(r"\^\{?(\d{1,9})\}?\s*/\s*_\{?(\d{1,9})\}?")  # ^3/_4
_TURNED = re.compile(  # ]1, 2] is (1, 2], and [1, 2[ is [1, 2)
    r"([\[\]])(?!\s*\{)([^\[\](),;]*[^\[\](),;\s][,;][^\[\](),;]*[^\[\](),;\s](?<!sqrt)\s*)([\[\]])"
)
_COMMAS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d)(?!,\d)", re.ASCII)
_DOTTED = r"(?P<head>\d{0,20}\.\d{0,12}?)(?P<period>\d{1,6}?)(?P=period){2,20}(?:\.\.\.|\\[lc]?dots\b)"
_TOKEN = re.compile(
    rf"""(?P<space>(?:\s|~|\\[,;:!\ >])+)
      | (?P<repeating>\d*\.\d*\\(?:overline|dot|bar)\s*\{{?\d+\}}?)
      | (?P<dotted>{_DOTTED})
      | (?P<digits>(?=[\dA-F]*[A-F])[\dA-F]{{2,30}})(?=_\{{?\s*(?:1[1-6]\b|\\text\{{(?:twelve|sixteen)))
      | (?P<num>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?)
      | \\begin\{{(?P<env>\w+\*?)\}}(?:\{{[lcr|]+\}})?
      | \\end\{{(?P<end>\w+\*?)\}}
      | \\(?:{TEXTS})\*?\s*\{{(?P<text>(?:[^{{}}]|\{{[^{{}}]*\}})*)\}}
      | \\mathbb\s*(?:\{{(?P<field>[A-Z])\}}|(?P<field1>[A-Z]))
      | \\(?:{FONTS})\s*\{{(?P<font>[^{{}}]*)\}}
      | \\(?:{FONTS})\s*(?P<font1>(?<=\s)[A-Za-z]|\\[A-Za-z]+)
      | (?P<marked>\\(?:{MARKS})(?:\s*\{{[A-Za-z]{{1,3}}\}}|\s+[A-Za-z](?![A-Za-z])))
      | \\(?P<command>[A-Za-z]+)
      | (?P<op>\\\\(?:\[\d[\d.]*\s?[a-z]{{2}}\])?|\\[{{}}|%$]|\*\*|<=|>=|!=|[-+*/^_=<>()\[\]{{}}|,;:&!'%$])
      | (?P<letters>[A-Za-z]+)""",
    re.VERBOSE | re.ASCII,
)
_UNIT_POWERS = re.compile(r"[A-Za-z](?:[A-Za-z\s~/]|\\cdot|\\[,;: ]|\^(?:-?\d|\{-?\d\}))*")
_OPERATORS = {
    "**": "^", "<=": "le", ">=": "ge", "!=": "ne", "\\%": "%", "\\$": "$", "\\\\": "newline", "\\|": "norm",
    "\\{": "{set", "\\}": "set}",
}  # fmt: skip


def tokens(text: str) -> list[Token]:
    """The tokens of `text`. Raises Unreadable for a character or a construct outside mathematics."""
    found, position, spaced = [], 0, False
    text = plain(text)
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise Unreadable(f"the character {text[position]!r}")
        position = match.end()
        kind = match.lastgroup
        if kind == "space":
            spaced = True
            continue
        new = list(_tokens_of(kind, match[kind], match[0]))
        if new:
            found.append(new[0]._replace(spaced=spaced))
            found += new[1:]
            spaced = False
        if len(found) > MAX_TOKENS:
            raise Unreadable(f"more than {MAX_TOKENS} tokens")
    return found


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
    text = _ENCLOSED_DIGITS.sub(r"\1\2", text)
    text = _UNIT_VECTOR.sub(lambda m: next(filter(None, m.groups())), text)
    if "integer" in text or (r"\in" in text and text.endswith(")")):
        text = text[:-80] + _INTEGER_CLAUSE.sub(_membership, text[-80:])
    text = _SLANTED.sub(r"\\frac{\1}{\2}", text)
    text = _TURNED.sub(_turned_round, text)
    text = _GROUPED.sub(lambda m: re.sub(r"\D", "", m[0]), text)
    return _COMMAS.sub(lambda m: m[0] if _bracketed(text, m.start()) else m[0].replace(",", ""), text)


def _membership(match: re.Match) -> str:
    inside, letter, named = match.groups()
    return ", " + (inside or rf"{letter or named}\in\mathbb{{Z}}")


def _turned_round(match: re.Match) -> str:
    opening, inside, closing = match.groups()
    if opening + closing == "[]":
        return match[0]
    return ("(" if opening == "]" else "[") + inside + (")" if closing == "[" else "]")


def _bracketed(text: str, position: int) -> bool:
    """Whether a bracket is open at `position`: there a comma separates items, it does not group digits."""
    before = text[:position].replace("\\{", "(").replace("\\}", ")")
    return sum(before.count(c) for c in "([") > sum(before.count(c) for c in ")]")


def _tokens_of(kind: str, value: str, raw: str):
    if kind == "num":
        yield Token("num", number(value), raw=value)
    elif kind == "repeating":
        yield Token("num", repeating(value), raw=value)
    elif kind == "digits":  # of a base above ten
        yield Token("digits", value, raw=value)
    elif kind in ("env", "end"):
        yield Token(kind, value.rstrip("*"))
    elif kind in ("field", "field1"):
        yield Token("field", value)
    elif kind == "text":
        yield from _text(value.strip(" ~"), raw)
    elif kind == "letters":
        yield from _letters(value)
    elif kind == "dotted":  # 0.333...
        yield Token("num", dotted(value), raw=value)
    elif kind in ("font", "font1"):
        yield from tokens(value)
    elif kind == "marked":
        yield Token("name", re.sub(r"[\s{}]+", "", value))
    elif kind == "command":
        yield from _command(value)
    else:
        value = value.partition("[")[0] or value  # \\\\[4pt] is a line break
        yield Token("op", _OPERATORS.get(value, value))


def _text(value: str, raw: str):
    if "^" in value and _UNIT_POWERS.fullmatch(value):  # \mathrm{m\,s^{-2}}
        for word, digits, sign in re.findall(r"([A-Za-z]+)|(\d)|([-^/])", re.sub(r"\\cdot|\\[,;: ]|~", " ", value)):
            yield Token("text", word) if word else Token("num", Fraction(digits)) if digits else Token("op", sign)
    elif re.search(r"[\d\\$=+]", value) or not re.search(r"[A-Za-z.]", value):  # \text{42}: mathematics in a text box
        yield from tokens(value)
    elif value == "mod":
        yield Token("command", value)
    elif value == "cis" or not raw.startswith("\\text") and (value in FUNCTIONS or value in ("e", "i", "d")):
        yield from _letters(value)
    elif value:
        yield Token("text", value)


def _letters(value: str):
    """A run of letters: a known name, else its letters one by one where it is short enough to be a product."""
    lowered = SYNONYMS.get(value.lower(), value.lower())
    if value in FUNCTIONS or lowered in ("arcsin", "arccos", "arctan") or value in ("sqrt", "pi", "infty"):
        yield Token("command", {"sqrt": "surd"}.get(value, lowered))
    elif lowered in ("infinity", "inf"):
        yield Token("command", "infty")
    elif len(value) == 1:
        yield Token("name", value)
    else:
        yield Token("word", value)


def _command(value: str):
    value = SYNONYMS.get(value, value)
    if value in SILENT:
        return
    if len(value) == 1:
        yield Token("op", {"{": "{set", "}": "set}"}.get(value, value))
    elif value in GREEK:
        yield Token("name", value)
    else:
        yield Token("command", value)


def number(literal: str) -> Fraction:
    """The value of "12", "1.5" or "1e6", exactly."""
    digits, _, power = literal.lower().partition("e")
    if len(digits) > MAX_DIGITS or len(power) > 5 or abs(int(power or 0)) > MAX_POWER_OF_TEN:
        raise Unreadable("a number too long")
    return Fraction(f"{digits}e{power or 0}")


def repeating(literal: str) -> Fraction:
    r"""The value of `0.1\overline{6}`, exactly."""
    head, tail = re.fullmatch(r"(\d*\.\d*)\\\w+\s*\{?(\d+)\}?", literal).groups()
    if len(literal) > 200:
        raise Unreadable("a number too long")
    decimals = len(head.partition(".")[2])
    return Fraction(f"0{head}0") + Fraction(int(tail), (10 ** len(tail) - 1) * 10**decimals)


def dotted(literal: str) -> Fraction:
    """The value of "0.1666...", whose last digits stand there at least three times, exactly."""
    match = re.fullmatch(_DOTTED, literal, re.ASCII)
    return repeating(f"{match['head']}\\overline{{{match['period']}}}")
