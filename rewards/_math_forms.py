"""What a writer left undone: an answer must be evaluated as far as the gold is, or the question itself would do."""

from fractions import Fraction
from itertools import combinations

from rewards._math_tree import Node, is_whole, number
from rewards._math_values import exact, quick, symbols

MAX_TERMS = 200
COUNTED_ZEROS = 4  # from here on a power of ten is easier to read than the number written out
_TWO_VALUES = (Fraction(17, 11), Fraction(29, 13))  # of the symbols: like terms have one ratio at both

# Functions that stand for one another: where the gold has a sine, the answer may have a cosine. exp is but a power.
FAMILIES = {"exp": ""}
FAMILIES |= dict.fromkeys(("sin", "cos", "tan", "sec", "csc", "cot", "cis"), "trigonometric")
FAMILIES |= dict.fromkeys(("arcsin", "arccos", "arctan"), "inverse trigonometric")
FAMILIES |= dict.fromkeys(("ln", "log", "log10"), "logarithm")
FAMILIES |= dict.fromkeys(("binom", "factorial"), "counting")


def undone(node: Node) -> set[str]:
    """The kinds of operation in a tree that exact arithmetic would carry out at once: empty for an evaluated answer.

    "arithmetic" on two plain numbers, "power" of a number, "function" names over constants, "like terms" and
    "like factors" that one would combine.
    """
    found = set().union(*(undone(part) for part in node.parts))
    if node.kind in ("add", "mul", "div", "pow", "root", "neg", "call", "degree"):
        found |= _marks(node)
    return found


def is_literal(node: Node) -> bool:
    """A number as one writes it: 42, -1.5, 3/4, -3/4, 10^{-6}."""
    if node.kind == "neg":
        node = node.parts[0]
    if node.kind == "pow" and node.parts[0] == number(10):  # 10^2 is a sum to do; nobody writes 10^9 out
        power = exact(node.parts[1]) if node.parts[1].kind in ("num", "neg") else None
        return power is not None and power.denominator == 1 and not 0 <= power < COUNTED_ZEROS
    if node.kind == "div" and node.data is None:
        top, bottom = node.parts
        return is_whole(top.parts[0] if top.kind == "neg" else top) and is_whole(bottom)
    return node.kind == "num"


def _marks(node: Node) -> set[str]:
    if node.kind == "call":
        family = FAMILIES.get(node.data, node.data)
        return {f"function {family}"} if family and not symbols(node) else set()
    if node.kind == "degree":
        return set()
    if node.kind == "div" and not symbols(node) and (has_i(node.parts[1]) or node.parts[1] == number(1)):
        return {"arithmetic"}
    rational = [part for part in node.parts if exact(part) is not None]
    if node.kind in ("add", "mul"):
        marks = {"arithmetic"} if len(rational) > 1 else set()
        if any(exact(part) == 0 for part in rational):
            marks.add("arithmetic")
        return marks | _combinable(node)
    if len(rational) < len(node.parts):
        return {"power"} if node.kind == "pow" and _can_be_raised(node.parts[0]) and _is_int(node.parts[1]) else set()
    if node.kind == "neg":
        return {"arithmetic"} if node.parts[0].kind == "neg" else set()
    if node.kind == "div":
        whole = exact(node)
        if node.parts[0] == number(1) and node.parts[1].kind == "pow":
            return set()  # 1/10^6 is 10^{-6}
        plain = all(is_whole(part.parts[0] if part.kind == "neg" else part) for part in node.parts)
        return {"arithmetic"} if not plain or whole is None or whole.denominator == 1 else set()
    value = quick(node, {})
    if node.kind == "root" and value is not None and value.imag:
        return {"root"}  # of -4: 2i
    if node.kind == "pow":
        return {"power"} if _is_int(node.parts[1]) or _is_rational(value) else set()
    return {"root"} if _is_rational(value) else set()


def _combinable(node: Node) -> set[str]:
    """Terms that one would add up (2π + 3π, 2x + 4x), or factors that one would multiply out (√2 · √3, x · x)."""
    sums = [part for part in node.parts if _holds_sum(part) and not symbols(part)]
    if node.kind == "mul":
        letters = [part.data for part in node.parts if part.kind in ("sym", "const")]
        roots = [part for part in node.parts if part.kind == "root" and not symbols(part)]
        imaginary = [part for part in node.parts if has_i(part) and not symbols(part)]
        many = max(len(roots), len(sums), len(imaginary)) > 1 or len(set(letters)) < len(letters)
        return {"like factors"} if many else set()
    if any(part.kind == "mul" or part.parts[0].kind == "mul" for part in sums):  # 2(1 + √2) - √2
        return {"like terms"}
    cores = [_core(part) for part in node.parts if exact(part) is None]
    if len(set(cores)) < len(cores):
        return {"like terms"}
    points = [{name: value + i for i, name in enumerate(sorted(symbols(node)))} for value in _TWO_VALUES]
    terms = [[quick(part, point) for point in points] for part in node.parts[:MAX_TERMS]]
    for a, b in combinations([term for term in terms if all(term)], 2):
        ratio, other = a[0] / b[0], a[1] / b[1]
        if abs(ratio - other) <= 1e-12 * abs(ratio) and _is_rational(ratio):
            return {"like terms"}
    return set()


def _holds_sum(term: Node) -> bool:
    """A sum, or a product or a multiple of one: (1 + 2i) 6."""
    return term.kind == "add" or (term.kind in ("mul", "neg") and any(map(_holds_sum, term.parts)))


def has_i(node: Node) -> bool:
    return node == Node("const", data="i") or any(map(has_i, node.parts))


def _core(term: Node) -> Node:
    """A term without its sign and its number: 5 e^x and -e^x are like terms, even where they overflow."""
    if term.kind == "neg":
        return _core(term.parts[0])
    if term.kind == "mul":
        rest = tuple(part for part in term.parts if part.kind != "num")
        return rest[0] if len(rest) == 1 else term._replace(parts=rest)
    return term


def _can_be_raised(node: Node) -> bool:
    if node.kind == "add":
        return not symbols(node)  # (\sqrt6 - \sqrt2)^2
    return node.kind == "root" or (node.kind == "const" and node.data == "i")


def _is_int(node: Node) -> bool:
    value = exact(node)
    return value is not None and value.denominator == 1


def _is_rational(value: complex | None) -> bool:
    """Whether a double is a fraction with a small denominator, as far as a double can tell."""
    if value is None or abs(value.imag) > 1e-12 * abs(value) or not abs(value) < 1e6:
        return False
    near = Fraction(value.real).limit_denominator(1000)
    return (near != 0 or value == 0) and abs(value.real - near) <= 1e-12 * max(1.0, abs(value))
