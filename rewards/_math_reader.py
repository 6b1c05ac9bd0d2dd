r"""Reads the tokens of a mathematical answer into a tree. Strict: what is ambiguous is not read.

A number literal is one node, also a mixed number `2\frac12` and a scientific one `1.5 \times 10^6`, so that what is
left as an operation in the tree is one that the writer left undone.
"""

from fractions import Fraction
from typing import NamedTuple

from rewards._math_tokens import FUNCTIONS, MAX_POWER_OF_TEN, Token, Unreadable, tokens
from rewards._math_units import STOP_WORDS, UNITS

MAX_DEPTH = 40
RELATIONS = {"=": "=", "<": "<", ">": ">", "le": "<=", "ge": ">=", "ne": "!=", "approx": "~", "in": "in"}
MATRICES = {"pmatrix", "bmatrix", "Bmatrix", "matrix", "array", "smallmatrix"}
SET_OPERATIONS = {"cup": "union", "cap": "intersection", "setminus": "difference"}
NAMED_THINGS = {"angle", "triangle", "measuredangle"}  # \angle ABC = 40
CONSTANTS = {"pi": "pi", "infty": "inf"}


class Node(NamedTuple):
    """kind: num sym const add mul div neg pow root call pm mp degree | list tuple bracket interval set empty union
    intersection difference field matrix rel ratio based text quantity; data: what the kind needs beside its parts."""

    kind: str
    parts: tuple["Node", ...] = ()
    data: object = None


def read(text: str) -> tuple[Node, list[Token]]:
    """The tree of `text` and the tokens left over at its end (a unit, perhaps). Raises Unreadable."""
    reader = _Reader([letter for token in tokens(text) for letter in _letters(token)])
    return reader.statements(), reader.tokens[reader.at :]


def number(value) -> Node:
    return Node("num", data=Fraction(value))


class _Reader:
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
        return {"vee": "or", "wedge": "and"}.get(token.value) if token.kind == "command" else None

    # ---- statements: lists of relations between sets or sums

    def statements(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("nested too deep")
        items, joiners = [self.statement()], []
        while joiner := self.joiner():
            self.at += 2 if self.peek().kind == "op" and joiner != "," else 1
            joiners.append(joiner)
            items.append(self.statement())
        self.depth -= 1
        return items[0] if len(items) == 1 else Node("list", tuple(items), tuple(joiners))

    def statement(self) -> Node:
        parts, relations = [self.set_expression()], []
        while self.peek().kind in ("op", "command") and self.peek().value in RELATIONS:
            relations.append(RELATIONS[self.take().value])
            parts.append(self.set_expression())
        return Node("rel", tuple(parts), tuple(relations)) if relations else parts[0]

    def set_expression(self) -> Node:
        left = self.sum()
        while self.sees(*SET_OPERATIONS):
            left = Node(SET_OPERATIONS[self.take().value], (left, self.sum()))
        if self.sees(":") and not self.sets and left.kind in ("num", "sym", "div", "mul"):
            items = [left]
            while self.skip(":"):
                items.append(self.sum())
            return Node("ratio", tuple(items))
        return left

    # ---- sums, products, powers

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("nested too deep")
        terms = [self.signed()]
        while self.sees("+", "-", "pm", "mp"):
            sign = self.take().value
            if self.sees("+", "-", "pm", "mp"):
                raise Unreadable("two signs in a row")
            term = self.product()
            terms.append(term if sign == "+" else Node({"-": "neg"}.get(sign, sign), (term,)))
        self.depth -= 1
        return terms[0] if len(terms) == 1 else Node("add", tuple(terms))

    def signed(self) -> Node:
        if self.skip("+"):
            return self.product()
        if self.sees("-", "pm", "mp"):
            sign = self.take().value
            term = self.product()
            if sign == "-" and term.kind == "num" and term.data >= 0:
                return number(-term.data)
            return Node({"-": "neg"}.get(sign, sign), (term,))
        return self.product()

    def product(self) -> Node:
        first = self.tokens[self.at] if self.at < len(self.tokens) else None
        factors, divided = [self.power()], False
        if first and first.kind == "num" and factors[0].kind == "num":
            factors = [self.mixed_or_scientific(first, factors[0])]
        while True:
            if self.skip("times", "cdot", "*"):
                factors.append(self.signed_factor())
                divided = False
            elif self.skip("/", "div"):
                left = factors[0] if len(factors) == 1 else Node("mul", tuple(factors))
                factors, divided = [Node("div", (left, self.signed_factor()))], True
            elif self.starts_factor():
                if divided:
                    raise Unreadable("a/bc is ambiguous")
                factors.append(self.power())
            else:
                return factors[0] if len(factors) == 1 else Node("mul", tuple(factors))

    def signed_factor(self) -> Node:
        if self.skip("-"):
            factor = self.power()
            return number(-factor.data) if factor.kind == "num" and factor.data >= 0 else Node("neg", (factor,))
        return self.power()

    def mixed_or_scientific(self, literal: Token, value: Node) -> Node:
        whole = literal.raw.isdigit()
        if whole and self.sees("frac"):
            fraction = self.power()
            return number(value.data + _proper(fraction))
        if whole and self.peek().kind == "num" and self.peek(1).value == "/" and self.peek(2).kind == "num":
            top, _, bottom = self.take(), self.take(), self.take()
            return number(value.data + _proper(Node("div", (number(top.value), number(bottom.value)))))
        if self.sees("times", "cdot", "*") and self.peek(1).raw == "10" and self.peek(2).value == "^":
            start, (_, _) = self.at, (self.take(), self.take())
            self.take()
            power = self.argument()
            if _is_whole(power) and abs(power.data) <= MAX_POWER_OF_TEN and 1 <= abs(value.data) < 10:
                return number(value.data * Fraction(10) ** int(power.data))
            self.at = start
        return value

    def starts_factor(self) -> bool:
        token, before = self.peek(), self.tokens[self.at - 1]
        if token.kind == "num":
            if before.kind in ("num", "name"):
                raise Unreadable("two numbers side by side")
            return True
        if token.kind == "op":
            return token.value in ("(", "[", "{") or (token.value == "|" and not self.bars)
        if token.kind == "command":
            return (
                token.value in FUNCTIONS
                or token.value in CONSTANTS
                or token.value in _ATOMS
                or token.value in NAMED_THINGS
            )
        return token.kind in ("name", "env")

    def power(self) -> Node:
        base = self.atom()
        while True:
            if self.skip("!"):
                base = Node("call", (base,), "factorial")
            elif self.skip("'"):
                if base.kind != "sym":
                    raise Unreadable("a prime after no name")
                base = Node("sym", data=f"{base.data}'")
            elif self.sees("^"):
                if base.kind == "pow" and self.tokens[self.at - 1].value != ")":
                    raise Unreadable("two powers in a row")
                self.take()
                base = self.raised(base)
            else:
                return base

    def raised(self, base: Node) -> Node:
        if self.skip("circ"):
            return Node("degree", (base,))
        if self.sees("{") and self.peek(1).value == "circ" and self.peek(2).value == "}":
            self.at += 3
            return Node("degree", (base,))
        return Node("pow", (base, self.argument(sign=True, whole=True)))

    def argument(self, sign: bool = False, whole: bool = False) -> Node:
        r"""A macro's argument: a group in braces, or one symbol: `\frac12` has two. `whole`: x^12 is x^{12}."""
        if self.skip("{"):
            inner = self.sum()
            self.expect("}")
            return inner
        if sign and self.skip("-"):
            return Node("neg", (self.argument(whole=whole),))
        token = self.peek()
        if token.kind == "num" and not whole and token.raw.isdigit() and len(token.raw) > 1:
            self.tokens[self.at] = token._replace(value=Fraction(token.raw[1:]), raw=token.raw[1:])
            return number(token.raw[0])
        return self.power() if whole and token.kind == "command" else self.atom()

    # ---- atoms

    def atom(self) -> Node:
        token = self.take()
        if token.kind == "num":
            if self.sees("_"):
                return self.based(token)
            return number(token.value)
        if token.kind == "name":
            return self.named(str(token.value))
        if token.kind == "text" and len(token.value) == 1 and token.value.isalpha():
            return Node("text", data=token.value)
        if token.kind == "field":
            return Node("field", data=token.value)
        if token.kind == "env":
            return self.matrix(token.value)
        if token.kind == "command":
            return self.command(str(token.value))
        if token.kind == "op" and token.value in _OPENERS:
            return getattr(self, _OPENERS[token.value])()
        raise Unreadable(f"{token.value!r} where a value was due")

    def named(self, name: str) -> Node:
        if self.skip("_"):
            index = [self.take()]
            if index[0].value == "{":
                while not self.sees("}"):
                    index.append(self.take())
                self.take()
            name += "_" + "".join(str(token.raw or token.value) for token in index if token.value != "{")
        return _symbol(name)

    def based(self, token: Token) -> Node:
        self.expect("_")
        base = self.argument(whole=True)
        if base.kind != "num" or not token.raw.isdigit():
            raise Unreadable("a subscript on a number")
        return Node("based", (base,), token.raw.lstrip("0"))

    def command(self, name: str) -> Node:
        if name in NAMED_THINGS:
            return Node("sym", data=name)
        if name in CONSTANTS:
            return Node("const", data=CONSTANTS[name])
        if name in FUNCTIONS:
            return self.call(name)
        if name not in _ATOMS:
            raise Unreadable(f"\\{name}")
        return getattr(self, _ATOMS[name])()

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
        return Node("tuple", items.parts if items.kind == "list" else (items,))

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
            base = self.argument(whole=True)
        if self.skip("^"):
            exponent = self.argument(sign=True, whole=True)
        if name in ("max", "min", "gcd", "lcm"):
            arguments = self.atom()
            node = Node("call", arguments.parts if arguments.kind in ("tuple", "set") else (arguments,), name)
        else:
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
        inner = self.statements()
        self.expect("}")
        return inner

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

    def matrix(self, name: str) -> Node:
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


_ATOMS = {
    "frac": "fraction", "sqrt": "square_root", "surd": "plain_root", "binom": "binomial", "lfloor": "floor",
    "lceil": "ceiling", "emptyset": "empty", "langle": "angle",
}  # fmt: skip
_OPENERS = {"(": "parenthesis", "[": "square_bracket", "{": "group", "{set": "braces", "|": "bar"}


def _letters(token: Token) -> list[Token]:
    """A short run of letters is a product of symbols, unless it is a word or a unit."""
    word = str(token.value)
    if token.kind != "word" or len(word) > 3 or word.lower() in STOP_WORDS or word in UNITS:
        return [token]
    return [Token("name", letter, token.spaced and not i) for i, letter in enumerate(word)]


def _symbol(name: str) -> Node:
    return Node("const", data=name) if name in ("e", "i") else Node("sym", data=name)


def _is_whole(node: Node) -> bool:
    return node.kind == "num" and node.data.denominator == 1


def _proper(fraction: Node) -> Fraction:
    if fraction.kind == "div" and all(map(_is_whole, fraction.parts)):
        top, bottom = (part.data for part in fraction.parts)
        if 0 < top < bottom:
            return top / bottom
    raise Unreadable("a number before a fraction that makes no mixed number")
