"""Whether two numbers or formulas have one value, the answer being evaluated as far as the gold."""

from fractions import Fraction

from rewards._math_forms import has_i, is_literal, undone
from rewards._math_matrices import same_order
from rewards._math_tree import Node
from rewards._math_values import DIGITS, Refused, close, exact, magnitude, precise, quick, symbols

MAX_MAGNITUDE = 1_000  # of a constant: as many digits more are carried to tell 100! from 100! + 1
NEEDED_POINTS = 4
# Values given to symbols: an odd mix of sizes and signs, so that two different formulas meet at none of them.
_POSITIVE = [Fraction(n, d) for n, d in ((7, 5), (29, 11), (5, 13), (13, 8), (37, 10), (8, 9), (46, 7))]
_FAR = [Fraction(n, 17) for n in (*range(-437, 444, 11), 2_450, -2_451, 242_835, -242_836)]
PIECEWISE = {"abs", "floor", "ceil"}  # |x - 10| and 10 - x differ only beyond 10
_NEGATIVE = [Fraction(n, d) for n, d in ((-9, 7), (-23, 6), (-3, 11))]


def scalars_equal(gold: Node, answer: Node) -> bool:
    """Two numbers or formulas of one value, the answer evaluated as far as the gold is."""
    if infinity(gold) or infinity(answer):
        return infinity(gold) == infinity(answer)
    if gold == answer:
        return True
    if not symbols(answer) <= symbols(gold) or not same_order(gold, answer):
        return False
    left = exact(gold)
    if left is not None:
        right = exact(answer)
        if right is None:
            return False
        return left == right and _written_out(gold, left, answer)
    agree = _agree if symbols(gold) else _constants_agree
    polar = {"function trigonometric"} if _is_polar(gold) else set()  # e^{iπ/3} is cos π/3 + i sin π/3
    series = {"function counting"} if symbols(gold) else set()  # x^3/3! is x^3/6
    return agree(gold, answer) and undone(answer) <= undone(gold) | polar | series


def _written_out(gold: Node, value: Fraction, answer: Node) -> bool:
    if not is_literal(gold):  # the gold itself stands as an expression
        return is_literal(answer) or undone(answer) <= undone(gold)
    return is_literal(answer) and not (value.denominator == 1 and answer.kind not in ("num", "pow"))


def _constants_agree(gold: Node, answer: Node) -> bool:
    """Whether two constants are one: to 45 decimals, and to 45 digits where they are small, however large they are."""
    a, b = quick(gold, {}), quick(answer, {})
    if None not in (a, b) and abs(a - b) > 1e-6 * max(abs(a), abs(b)):
        return False
    try:
        a, b = precise(gold, {}), precise(answer, {})
        size = magnitude(a)
        if abs(size) > MAX_MAGNITUDE or not close(a, b):
            return False
        a, b = (precise(node, {}, DIGITS + abs(size)) for node in (gold, answer))
        return close(a, b, scale=min(abs(a), 1) or 1, digits=DIGITS + abs(size))
    except Refused:
        return False


def _agree(gold: Node, answer: Node) -> bool:
    """Whether two formulas of symbols have one value wherever the gold is defined: in doubles, then to 45 digits."""
    points = sample_points(gold, answer)
    for point in points + far_points(gold, answer):
        a, b = quick(gold, point), quick(answer, point)
        if a is not None and b is not None and abs(a - b) > 1e-6 * max(abs(a), abs(b), 1e-6) and _counts(a, gold):
            return False
    agreeing = 0
    for point in points:
        try:
            value = precise(gold, point)
        except Refused:
            continue
        if not _counts(value, gold):
            continue
        try:
            if not close(value, precise(answer, point), scale=max(abs(value), 1)):
                return False
        except Refused:
            return False
        agreeing += 1
    return agreeing >= NEEDED_POINTS or (0 < agreeing == _defined(points, gold) > 1)


Point = dict[str, Fraction | tuple[Fraction, Fraction]]  # a value for each symbol, or its real and imaginary part


def sample_points(gold: Node, answer: Node) -> list[Point]:
    """Values for the gold's symbols: first all positive, where roots and logarithms live, then of both signs.

    Where i or |z| stands in a formula, z and w also take complex values: |z|^2 is z^2 on the real line. What (-1) is
    raised to takes whole values, and so do the n and k of a floor.
    """
    names, whole = symbols(gold), _whole_letters(gold)
    pools = [(_POSITIVE, i) for i in range(len(_POSITIVE))] + [(_POSITIVE + _NEGATIVE, -1 - i) for i in range(5)]
    points = [
        {
            name: Fraction(2 + (5 * i + k) % 13) if name in whole else pool[(i + 3 * k) % len(pool)] + Fraction(k, 17)
            for k, name in enumerate(sorted(names))
        }
        for pool, i in pools
    ]
    complexes = {name for name in names if name[0] in "zw"}
    if complexes and any(has_i(node) or _has_size(node) for node in (gold, answer)):
        points += [{n: (v, 2 - v / 3) if n in complexes else v for n, v in point.items()} for point in points]
    return points


def _whole_letters(node: Node) -> set[str]:
    base = quick(node.parts[0], {}) if node.kind == "pow" and not symbols(node.parts[0]) else None
    own = symbols(node.parts[1]) if base and not base.imag and base.real < 0 else set()
    if node.kind == "call" and node.data in ("floor", "ceil"):
        own = symbols(node) & set("ijklmn")
    return own.union(*map(_whole_letters, node.parts))


def far_points(gold: Node, answer: Node) -> list[Point]:
    """Many more values, where a formula may have pieces."""
    if not _is_piecewise(gold) and not _is_piecewise(answer):
        return []
    names, whole = sorted(symbols(gold)), _whole_letters(gold)
    return [{n: Fraction(round(far)) + k if n in whole else far + 7 * k for k, n in enumerate(names)} for far in _FAR]


def _defined(points, gold: Node) -> int:
    return sum(quick(gold, point) is not None for point in points)


def _counts(value, gold: Node) -> bool:
    """A point at which a real formula of symbols turns complex is outside its domain."""
    return value.imag == 0 or abs(value.imag) < 1e-30 * abs(value) or not symbols(gold) or has_i(gold)


def _is_piecewise(node: Node) -> bool:
    return (
        (node.kind == "call" and node.data in PIECEWISE) or node.kind == "root" or any(map(_is_piecewise, node.parts))
    )


def _has_size(node: Node) -> bool:
    return (node.kind == "call" and node.data == "abs") or any(map(_has_size, node.parts))


def _is_polar(node: Node) -> bool:
    base = node.parts[0] if node.kind == "pow" else None
    return (base == Node("const", data="e") and has_i(node.parts[1])) or any(map(_is_polar, node.parts))


def infinity(node: Node) -> int:
    """1 for infinity, -1 for minus infinity, 0 for anything else."""
    if node.kind == "neg":
        return -infinity(node.parts[0])
    return int(node == Node("const", data="inf"))
