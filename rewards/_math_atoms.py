"""The parts of a mathematical answer that stand by themselves: symbols, macros, functions, brackets, matrices."""

import re

from rewards._math_tokens import FUNCTIONS, Token, Unreadable
from rewards._math_tree import Node, number

_CONDITIONAL = re.compile(
    r"[ ,]*(?:for|where|with|provided|given)(?: (?:some|any|all|every))?(?: (?:real|arbitrary))?(?: constants?)?[ ,]*"
)
MATRICES = {"pmatrix", "bmatrix", "Bmatrix", "matrix", "array", "smallmatrix"}
BASES = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twelve": 12,
    "sixteen": 16,
}  # fmt: skip
NAMED_THINGS = {"angle", "triangle", "measuredangle"}  # \angle ABC = 40
_ZERO, _INFINITY = number(0), Node("const", data="inf")
_ABOVE, _FROM = (Node("interval", (_ZERO, _INFINITY), (closed, False)) for closed in (False, True))
_BELOW, _UP_TO = (Node("interval", (Node("neg", (_INFINITY,)), _ZERO), (False, closed)) for closed in (False, True))
HALVES = {"+": _ABOVE, ">0": _ABOVE, "ge0": _FROM, "-": _BELOW, "<0": _BELOW, "le0": _UP_TO}  # of the real numbers
CONSTANTS = {"pi": "pi", "infty": "inf"}


class Atoms:
    """The half of the reader below products and sums; `sum` and `statements` are the other half's."""

    def __init__(self, found: list[Token]):
        self.tokens, self.at = found, 0
        self.depth = self.bars = self.sets = 0  # how deep we are; in |…| and in {…}, where | and : mean something else

    # ---- looking at tokens

    def peek(self, ahead: int = 0) -> Token:
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else Token("end of text", None)

    def take(self) -> Token:
        if self.at >= len(self.tokens):
            raise Unreadable("the text ends too early")
        self.at += 1
        return self.tokens[self.at - 1]

    def sees(self, *values: str, kinds=("op", "command")) -> bool:
        return self.peek().kind in kinds and self.peek().value in values

    def skip(self, *values: str) -> bool:
        seen = self.sees(*values)
        self.at += seen
        return seen

    def expect(self, *values: str) -> None:
        if not self.skip(*values):
            raise Unreadable(f"{values[0]!r} was due, got {self.peek().value!r}")

    def joiner(self) -> str | None:
        """A separator of list items: "," or "and" / "or"; None where there is none."""
        token = self.peek()
        if token.kind == "op" and token.value in (",", ";"):
            following = self.peek(1)
            word = str(following.value).lower() if following.kind in ("text", "word") else ""
            return word if word in ("and", "or") else ","
        if token.kind in ("text", "word") and str(token.value).strip(" ,").lower() in ("and", "or"):
            return str(token.value).strip(" ,").lower()
        conditional = token.kind in ("text", "word") and _CONDITIONAL.fullmatch(str(token.value))
        if conditional and self.peek(2).value in ("in", "ne", "<", ">", "le", "ge"):
            return ","
        return {"vee": "or", "wedge": "and"}.get(token.value) if token.kind == "command" else None

    # ---- atoms

    def atom(self) -> Node:
        token = self.take()
        if token.kind == "num":
            if self.sees("_"):
                return self.based(token)
            return number(token.value)
        if token.kind == "digits":
            return self.based(token)
        if token.kind == "name":
            return self.named(str(token.value))
        if token.kind == "text" and len(token.value) == 1 and token.value.isalpha():
            return _symbol(token.value) if self.sees("(", "^") else Node("text", data=token.value)
        if token.kind == "field":
            return self.field(token.value)
        if token.kind == "env":
            return self.matrix(token.value)
        if token.kind == "command":
            return self.command(str(token.value))
        if token.kind == "op" and token.value in _OPENERS:
            return getattr(self, _OPENERS[token.value])()
        raise Unreadable(f"{token.value!r} where a value was due")

    def named(self, name: str) -> Node:
        if self.skip("_"):
            name += f"_{self.script()}"
        return _symbol(name)

    def script(self) -> str:
        """What stands in a subscript or superscript, as it is written."""
        found = [self.take()]
        if found[0].value == "{":
            while not self.sees("}"):
                found.append(self.take())
            self.take()
        return "".join(str(token.raw or token.value) for token in found if token.value != "{")

    def field(self, name: str) -> Node:
        r"""A field or its part: \mathbb{R}, \mathbb{R}^+, \mathbb{R}_{\ge 0}."""
        if not self.sees("_", "^"):
            return Node("field", data=name)
        raised, written = self.take().value == "^", self.script()
        if name == "R" and (half := HALVES.get(written)):
            return half
        if raised and written.isdigit():
            return Node("field", data=f"{name}^{written}")
        raise Unreadable(f"the part {written} of a field")

    def based(self, token: Token) -> Node:
        self.expect("_")
        base = self.named_base() or self.argument(whole=True)
        if base.kind != "num" or not token.raw.isalnum() or any(int(digit, 16) >= base.data for digit in token.raw):
            raise Unreadable("a subscript on a number, or digits that its base does not have")
        return Node("based", (base,), token.raw.lstrip("0"))

    def named_base(self) -> Node | None:
        r"""The base in words, as in `1011_{\text{two}}`."""
        start, braced = self.at, self.skip("{")
        if self.sees("base", kinds=("text", "word")):
            self.take()
            base = self.take()
            self.expect("}")
            return number(base.value) if base.kind == "num" else None
        base = BASES.get(str(self.take().value).lower())
        if base is None or (braced and not self.skip("}")):
            self.at = start
            return None
        return number(base)

    def command(self, name: str) -> Node:
        if name in NAMED_THINGS:
            return Node("sym", data=name if name == "triangle" else self.angle_name())
        if name in CONSTANTS:
            return Node("const", data=CONSTANTS[name])
        if name in FUNCTIONS:
            return self.call(name)
        if name not in FACTORS:
            raise Unreadable(f"\\{name}")
        return getattr(self, FACTORS[name])()

    def angle_name(self) -> str:
        r"""The name of the angle at B of `\angle ABC`, which is `\angle CBA`."""
        letters = ""
        while self.peek().kind == "name" and str(self.peek().value).isupper() and len(letters) < 3:
            letters += str(self.take().value)
        return f"angle {min(letters, letters[::-1])}"

    def fraction(self) -> Node:
        return Node("div", (self.argument(), self.argument()))

    def binomial(self) -> Node:
        return Node("call", (self.argument(), self.argument()), "binom")

    def square_root(self) -> Node:
        degree = number(2)
        if self.skip("["):
            degree = self.sum()
            self.expect("]")
        if self.peek().kind == "num" and len(self.peek().raw) > 1:
            raise Unreadable("a root over one digit of several")
        return Node("root", (self.argument(), degree))

    def plain_root(self) -> Node:
        return Node("root", (self.argument(whole=True), number(2)))

    def empty(self) -> Node:
        return Node("empty")

    def angle(self) -> Node:
        items = self.statements()
        self.expect("rangle")
        return Node("tuple", items.parts if items.kind == "list" else (items,), "angle")

    def floor(self) -> Node:
        return self.enclosed("floor", "rfloor")

    def ceiling(self) -> Node:
        return self.enclosed("ceil", "rceil")

    def enclosed(self, name: str, closing: str) -> Node:
        inner = self.sum()
        self.expect(closing)
        return Node("call", (inner,), name)

    def call(self, name: str) -> Node:
        base = exponent = None
        if self.skip("_"):
            # \log_37 is \log_3 7 to TeX, but \log_10 5 hardly has the base 1
            base = self.argument(whole=self.peek(1).kind != "end of text")
        if self.skip("^"):
            exponent = self.argument(sign=True, whole=True)
        node = self.function(name, base, inverse=exponent in (number(-1), Node("neg", (number(1),))))
        if exponent is None or node.data.startswith("arc") and not name.startswith("arc"):
            return node
        return Node("pow", (node, exponent))

    def function(self, name: str, base: Node | None, inverse: bool) -> Node:
        argument = self.function_argument()
        if inverse and name in ("sin", "cos", "tan"):
            name = f"arc{name}"
        if base is not None and name != "log":
            raise Unreadable(f"a subscript on {name}")
        name = {"lg": "log10"}.get(name, name)
        return Node("call", (argument,) if base is None else (argument, base), name)

    def function_argument(self) -> Node:
        if self.sees("(", "[", "{", "|"):
            return self.atom()
        factors = [self.power()]
        while self.starts_factor() and not (self.peek().value in FUNCTIONS or self.sees("(", "[", "|")):
            factors.append(self.power())
        return factors[0] if len(factors) == 1 else Node("mul", tuple(factors))

    # ---- brackets

    def group(self) -> Node:
        inner = self.over(self.statements())
        self.expect("}")
        return inner

    def over(self, top: Node) -> Node:
        r"""`top` itself, or TeX's fraction {7 \over 2} or binomial {4 \choose 2} over what follows."""
        if not self.sees("over", "choose"):
            return top
        over = self.take().value == "over"
        parts = (top, self.statements())
        return Node("div", parts) if over else Node("call", parts, "binom")

    def parenthesis(self) -> Node:
        items = self.statements()
        parts = items.parts if items.kind == "list" else (items,)
        if self.skip("]") and len(parts) == 2:
            return Node("interval", parts, (False, True))
        self.expect(")")
        return Node("tuple", parts) if len(parts) > 1 else parts[0]

    def square_bracket(self) -> Node:
        opened_first = self.at == 1
        items = self.statements()
        parts = items.parts if items.kind == "list" else (items,)
        if self.skip(")") and len(parts) == 2:
            return Node("interval", parts, (True, False))
        self.expect("]")
        if len({len(part.parts) for part in parts}) == 1 and {part.kind for part in parts} == {"bracket"}:
            return Node("matrix", tuple(cell for row in parts for cell in row.parts), (len(parts), len(parts[0].parts)))
        alone = opened_first and self.at == len(self.tokens)
        if len(parts) == 1 and (not alone or parts[0].kind == "matrix"):
            return parts[0]
        return Node("bracket", parts)

    def braces(self) -> Node:
        if self.skip("set}"):
            return Node("empty")
        self.bars, self.sets = self.bars + 1, self.sets + 1
        items = self.statements()
        self.bars, self.sets = self.bars - 1, self.sets - 1
        if self.skip("|", ":"):
            return self.builder(items)
        self.expect("set}")
        return Node("set", items.parts if items.kind == "list" else (items,))

    def builder(self, items: Node) -> Node:
        """A set-builder: {x | x > 3} is its condition."""
        condition = self.statements()
        self.expect("set}")
        real = items.kind == "sym" or (items.data == ("in",) and items.parts[1] == Node("field", data="R"))
        if not real or condition.kind not in ("rel", "list"):
            raise Unreadable("a set-builder")
        return condition

    def bar(self) -> Node:
        self.bars += 1
        inner = self.sum()
        self.expect("|")
        self.bars -= 1
        return Node("call", (inner,), "abs")

    def cases(self) -> Node:
        """A piecewise formula: in each line a value and when it holds."""
        branches = []
        while True:
            value = self.sum()
            self.expect("&")
            branches.append(Node("case", (value, self.condition())))
            if self.skip("newline") and self.peek().kind != "end":
                continue
            if self.take().kind != "end":
                raise Unreadable("cases without their end")
            return Node("cases", tuple(branches))

    def condition(self) -> Node:
        """When a branch holds: a statement, or words such as "otherwise" and "n is even"."""
        start = self.at
        if self.peek().kind != "text" and (when := self.statements()) and self.peek().value in ("newline", "cases"):
            return when
        self.at = start
        words = []
        while self.peek().value not in ("newline", "cases", None):
            words += str(self.take().value).lower().strip(" .").split()
        return Node("text", data=" ".join(word for word in words if word != "is"))

    def matrix(self, name: str) -> Node:
        if name == "cases":
            return self.cases()
        if name not in MATRICES:
            raise Unreadable(f"the environment {name}")
        rows, row = [], []
        while True:
            row.append(self.sum())
            if self.skip("&"):
                continue
            rows.append(row)
            row = []
            if self.skip("newline") and self.peek().kind != "end":
                continue
            if self.take().kind != "end":
                raise Unreadable("a matrix without its end")
            break
        if len({len(row) for row in rows}) != 1:
            raise Unreadable("a ragged matrix")
        return Node("matrix", tuple(cell for row in rows for cell in row), (len(rows), len(rows[0])))


FACTORS = {
    "frac": "fraction", "sqrt": "square_root", "surd": "plain_root", "binom": "binomial", "lfloor": "floor",
    "lceil": "ceiling", "emptyset": "empty", "langle": "angle",
}  # fmt: skip
_OPENERS = {"(": "parenthesis", "[": "square_bracket", "{": "group", "{set": "braces", "|": "bar"}


def _symbol(name: str) -> Node:
    return Node("const", data=name) if name in ("e", "i") else Node("sym", data=name)
