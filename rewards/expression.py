"""expression: the answer is an arithmetic expression that makes a target number out of given numbers."""

import re
from collections import Counter
from fractions import Fraction

from lab import Score, reward

MAX_CHARACTERS = 400
MAX_DEPTH = 40
MAX_EXPONENT = 64
MAX_BITS = 4_096  # of a numerator or denominator: what grows larger is refused, not computed
_TOKEN = re.compile(r"\s*(?:(\d+)|(\*\*|[-+*/^()=]))", re.ASCII)
_SPELLINGS = {"\u00d7": "*", "\u22c5": "*", "\u00b7": "*", "\u00f7": "/", "\u2212": "-", "\\times": "*", "\\cdot": "*"}
_SPELLINGS |= {"\\div": "/", "\\left": "", "\\right": ""}


class Malformed(ValueError):
    """The text is no expression that we evaluate; the message says why."""


@reward(reads=["numbers", "target"], range=(0, 1), version="2", sees="answer")
def expression_answer(response, row, *, exactly_once: bool = False, operators: str = "+-*/"):
    """1 when the answer region is one expression equal to row["target"] built from row["numbers"]; else 0.

    Each given number may be used at most once (`exactly_once`: all of them must be), and no other number. `operators`
    are the allowed ones of "+-*/^"; brackets, a sign, and a closing "= target" are always allowed. Exact fractions,
    our own parser (never eval), bounded length, depth, exponents and size. Division by zero, words around the
    expression, the bare target (unless it is a given number) and several answers: 0. Unscorable where the row's
    numbers or target are no whole numbers. Source: the Countdown game as posed by TinyZero (Pan et al. 2025).
    """
    try:
        given, target = Counter(map(_whole, row["numbers"])), _whole(row["target"])
    except (TypeError, ValueError) as error:
        return Score(None, f"the row's numbers or target are no whole numbers: {error}")
    if response.answer is None:
        return Score(0.0, "no single answer")
    try:
        value, used = evaluate(response.answer, operators, target)
    except (Malformed, ZeroDivisionError) as error:
        return Score(0.0, str(error))
    used = Counter(used)
    if used - given or (exactly_once and used != given):
        return Score(0.0, "uses other numbers than the given ones")
    return Score(float(value == target), f"makes {value}" if value.denominator == 1 else "makes a fraction")


def _whole(value) -> int:
    number = Fraction(str(value))
    if number.denominator != 1:
        raise ValueError(f"{value!r} is none")
    return int(number)


def evaluate(text: str, operators: str = "+-*/", target: int | None = None) -> tuple[Fraction, list[int]]:
    """The value of the expression `text`, and the numbers it uses. Raises Malformed or ZeroDivisionError.

    A closing "= n" is allowed where n is `target`.
    """
    text = text.strip().rstrip(".").strip("$")
    if len(text) > MAX_CHARACTERS:
        raise Malformed(f"longer than {MAX_CHARACTERS} characters")
    for spelling, sign in _SPELLINGS.items():
        text = text.replace(spelling, sign)
    tokens = _tokens(text.replace("**", "^"))
    if len(tokens) > 2 and tokens[-2] == "=" and tokens[-1] == target:
        tokens = tokens[:-2]
    parser = _Parser(tokens, operators)
    value = parser.sum()
    if parser.rest:
        raise Malformed(f"{parser.rest[-1]!r} stands where an operator or the end was due")
    return value, parser.used


def _tokens(text: str) -> list[int | str]:
    tokens, position, text = [], 0, text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise Malformed(f"{text[position]!r} is no part of an expression")
        tokens.append(int(match[1]) if match[1] else match[2])
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent: sum → product → signed → power → number or (sum). Computes as it reads."""

    def __init__(self, tokens: list[int | str], operators: str):
        self.rest, self.operators = tokens[::-1], operators
        self.used: list[int] = []
        self.depth = 0

    def peek(self):
        return self.rest[-1] if self.rest else None

    def operator(self, allowed: str):
        """The next token, taken, where it is one of `allowed` operators; else None."""
        if not isinstance(self.peek(), str) or self.peek() not in allowed:
            return None
        if self.peek() not in self.operators:
            raise Malformed(f"the operator {self.peek()} is not allowed, only {' '.join(self.operators)}")
        return self.rest.pop()

    def sum(self) -> Fraction:
        value = self.product()
        while sign := self.operator("+-"):
            other = self.product()
            value = _bounded(value + other if sign == "+" else value - other)
        return value

    def product(self) -> Fraction:
        value = self.signed()
        while sign := self.operator("*/"):
            other = self.signed()
            value = _bounded(value * other if sign == "*" else value / other)
        return value

    def signed(self) -> Fraction:
        negative = False
        while self.peek() in ("+", "-"):
            negative ^= self.rest.pop() == "-"
        value = self.power()
        return -value if negative else value

    def power(self) -> Fraction:
        base = self.atom()
        if not self.operator("^"):
            return base
        self.enter()
        exponent = self.signed()
        self.depth -= 1
        if exponent.denominator != 1 or abs(exponent) > MAX_EXPONENT:
            raise Malformed(f"an exponent must be whole and at most {MAX_EXPONENT}")
        return _bounded(base ** int(exponent))

    def atom(self) -> Fraction:
        token = self.rest.pop() if self.rest else None
        if isinstance(token, int):
            self.used.append(token)
            return Fraction(token)
        if token != "(":
            raise Malformed("a number or a bracket was due" + (f", got {token!r}" if token else " at the end"))
        self.enter()
        value = self.sum()
        self.depth -= 1
        if not self.rest or self.rest.pop() != ")":
            raise Malformed("a bracket was not closed")
        return value

    def enter(self):
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Malformed(f"nested deeper than {MAX_DEPTH}")


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise Malformed(f"a value grew over {MAX_BITS} bits")
    return value
