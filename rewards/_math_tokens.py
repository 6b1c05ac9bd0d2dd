"""The tokens of a mathematical answer, written in LaTeX, plain text or Unicode."""

import re
from fractions import Fraction
from typing import NamedTuple

from rewards._math_plain import plain

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


FUNCTIONS = {
    "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "ln", "log", "lg", "exp",
    "arcsin", "arccos", "arctan", "cis",
}  # fmt: skip
SYNONYMS = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "sfrac": "frac", "nicefrac": "frac",
    "dbinom": "binom", "tbinom": "binom", "lvert": "|", "rvert": "|",
    "vert": "|", "mid": "|", "lbrace": "{", "rbrace": "}", "leq": "le", "geq": "ge", "leqslant": "le", "bigcup": "cup",
    "bigcap": "cap", "bmod": "mod", "pmod": "mod",
    "geqslant": "ge", "neq": "ne", "ast": "times", "cdotp": "cdot", "varnothing": "emptyset", "lbrack": "[",
    "rbrack": "]", "lor": "vee", "land": "wedge", "dots": "ldots", "cdots": "ldots", "asin": "arcsin",
    "acos": "arccos", "atan": "arctan", "degree": "circ", "infin": "infty", "backslash": "setminus", "sim": "approx",
    "thickapprox": "approx", "simeq": "approx", "lt": "<", "gt": ">", "colon": ":", "varepsilon": "epsilon",
    "varphi": "phi", "vartheta": "theta", "varrho": "rho", "varsigma": "sigma",
}  # fmt: skip
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell hbar"
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
      | \\(?:vec|overrightarrow)\s*\{{\s*(?P<arrow>[A-Z]{{2}})\s*\}}
      | \\(?:{FONTS})\s*\{{(?P<font>(?:[^{{}}]|\{{[^{{}}]*\}})*)\}}
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
    elif kind == "arrow":  # from A to B
        yield Token("name", f"arrow {value}")
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
