r"""Reads the tokens of a mathematical answer into a tree. Strict: what is ambiguous is not read.

A number literal is one node, also a mixed number `2\frac12` and a scientific one `1.5 \times 10^6`, so that what is
left as an operation in the tree is one that the writer left undone.
"""

from fractions import Fraction

from rewards._math_atoms import CONSTANTS, FACTORS, NAMED_THINGS, Atoms
from rewards._math_tokens import FUNCTIONS, MAX_POWER_OF_TEN, Token, Unreadable, tokens
from rewards._math_tree import Node, is_whole, number
from rewards._math_units import COMPOUNDS, STOP_WORDS, UNITS
from rewards._math_values import exact

MAX_DEPTH = 40
APPLIED = {"f", "g", "F", "G", "Gamma", "zeta"}  # what stands in brackets behind these is their argument
RELATIONS = {"=": "=", "<": "<", ">": ">", "le": "<=", "ge": ">=", "ne": "!=", "approx": "~", "in": "in"}
RELATIONS |= {"equiv": "="}  # with a modulus behind it
BEFORE_A_FACTOR = {None, "{", "^", "(", "=", "+", "-", "times", "cdot", "*"}  # here mg is m times g, no milligram
SET_OPERATIONS = {"cup": "union", "cap": "intersection", "setminus": "difference"}


def read(text: str) -> tuple[Node, list[Token]]:
    """The tree of `text` and the tokens left over at its end (a unit, perhaps). Raises Unreadable."""
    found = tokens(text)
    before = [Token("start", None), *found]
    reader = _Reader([letter for last, token in zip(before, found, strict=False) for letter in _letters(token, last)])
    return reader.over(reader.statements()), reader.tokens[reader.at :]


class _Reader(Atoms):
    """Statements, sums, products and powers of the atoms."""

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
        if modulus := self.modulus():
            parts[-1] = Node("modulo", (parts[-1], modulus))
        return Node("rel", tuple(parts), tuple(relations)) if relations else parts[0]

    def modulus(self) -> Node | None:
        r"""A `\pmod{12}` or `\bmod 12`, where one stands here."""
        bracketed = self.sees("(") and self.peek(1).value == "mod"
        self.at += bracketed
        if not self.skip("mod"):
            return None
        value = self.argument(whole=True)
        if bracketed:
            self.expect(")")
        return value

    def set_expression(self) -> Node:
        left = self.sum()
        while self.sees(*SET_OPERATIONS):
            left = Node(SET_OPERATIONS[self.take().value], (left, self.sum()))
        if self.is_ratio() and not self.sets and left.kind in ("num", "sym", "div", "mul", "root"):
            items = [left]
            while self.is_ratio():
                self.take()
                items.append(self.sum())
            return Node("ratio", tuple(items))
        return left

    def is_ratio(self) -> bool:
        return self.sees(":") or self.sees("to", kinds=("text", "word"))

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
        if len(terms) == 2 and terms[0].kind in ("field", "interval", "union") and _is_taken_away(terms[1]):
            return Node("difference", (terms[0], terms[1].parts[0]))  # R - {1}
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
            elif self.sees("/", "div"):
                left = factors[0] if len(factors) == 1 else Node("mul", tuple(factors))
                task = "div" if self.take().value == "div" else None  # 7 ÷ 2 is to be worked out, 7/2 is a number
                factors, divided = [Node("div", (left, self.signed_factor()), task)], True
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
            if fraction.kind == "degree":
                return Node("degree", (number(value.data + _proper(fraction.parts[0])),))
            if exact(fraction) is None:
                return Node("mul", (value, fraction))  # 2\frac{\sqrt3}{3} is no mixed number
            return number(value.data + _proper(fraction))
        if whole and self.peek().kind == "num" and self.peek(1).value == "/" and self.peek(2).kind == "num":
            top, _, bottom = self.take(), self.take(), self.take()
            return number(value.data + _proper(Node("div", (number(top.value), number(bottom.value)))))
        if self.sees("times", "cdot", "*") and self.peek(1).raw == "10" and self.peek(2).value == "^":
            start, (_, _) = self.at, (self.take(), self.take())
            self.take()
            power = self.argument()
            normal = 1 <= abs(value.data) < 10 or (abs(value.data) < 1_000 and is_whole(power) and abs(power.data) > 2)
            if is_whole(power) and abs(power.data) <= MAX_POWER_OF_TEN and normal:  # 12.6 × 10^9, but not 12 × 10^2
                return number(value.data * Fraction(10) ** int(power.data))
            self.at = start
        return value

    def starts_factor(self) -> bool:
        token, before = self.peek(), self.tokens[self.at - 1]
        if token.kind == "num":
            raised = token.spaced and self.peek(1).value == "^"  # n 2^n
            if before.kind == "num" or (before.kind == "name" and not raised):
                raise Unreadable("two numbers side by side")
            return True
        if token.kind == "op":
            if token.value == "(" and self.peek(1).value == "mod":
                return False
            return token.value in ("(", "[", "{") or (token.value == "|" and not self.bars)
        if token.kind == "command":
            return (
                token.value in FUNCTIONS
                or token.value in CONSTANTS
                or token.value in FACTORS
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
            elif self.sees("(") and self.is_function(base):
                arguments = self.atom()
                inner = arguments.parts if arguments.kind == "tuple" else (arguments,)
                base = Node("apply", (base, *inner))
            elif self.sees("^"):
                if base.kind == "pow" and self.tokens[self.at - 1].value != ")":
                    raise Unreadable("two powers in a row")
                self.take()
                base = self.raised(base)
            else:
                return base

    def is_function(self, base: Node) -> bool:
        """Whether f(x), f'(2), f^{-1}(x), P(A) or y(0) stands here, which is no product."""
        if base.kind == "pow" and exact(base.parts[1]) == -1:
            base = base.parts[0]
        if base.kind != "sym":
            return False
        inner, closed = self.peek(1), self.peek(2).value == ")"
        is_event = base.data.isupper() and inner.kind == "name" and str(inner.value).isupper()
        at_a_number = inner.kind == "num"  # y(0) e^{-t}: as a product it would be 0, and equal to y(0) e^{t}
        return base.data.rstrip("'").partition("_")[0] in APPLIED or (closed and (is_event or at_a_number))

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


def _letters(token: Token, last: Token) -> list[Token]:
    """A short run of letters is a product of symbols, unless it is a word or a unit, or one word of several."""
    word = str(token.value)
    if (
        token.kind != "word"
        or last.kind == "word"
        or len(word) > 3
        or (word.lower() in STOP_WORDS and last.value not in ("{", "^"))  # e^{at} has no word in it
        or (word in UNITS and not (len(word) == 2 and word.isupper()) and last.value not in BEFORE_A_FACTOR)
        or word in COMPOUNDS
        or word == "per"
    ):
        return [token]
    return [Token("name", letter, token.spaced and not i) for i, letter in enumerate(word)]


def _is_taken_away(node: Node) -> bool:
    return node.kind == "neg" and node.parts[0].kind in ("set", "interval", "bracket", "tuple")


def _proper(fraction: Node) -> Fraction:
    if fraction.kind == "div" and all(map(is_whole, fraction.parts)):
        top, bottom = (part.data for part in fraction.parts)
        if 0 < top < bottom:
            return top / bottom
    raise Unreadable("a number before a fraction that makes no mixed number")
