"""Sets of real numbers: intervals, inequalities, unions and differences in one normal form."""

from functools import cmp_to_key

from rewards._math_tree import Node
from rewards._math_values import Refused, close, precise, symbols

INFINITY = float("inf")
FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}


class End:
    """One end of an interval: its value, or an infinity; equal values compare equal to 45 digits."""

    def __init__(self, value):
        self.value = value

    def compare(self, other: "End") -> int:
        a, b = self.value, other.value
        if abs(a) == INFINITY or abs(b) == INFINITY:
            return (a > b) - (a < b)
        return 0 if close(a, b) else 1 if a > b else -1


Piece = tuple[End, bool, End, bool]  # low, whether it belongs to the set, high, whether it belongs
ALL = [(End(-INFINITY), False, End(INFINITY), False)]


def real_set(node: Node) -> list[Piece] | None:
    """The set of reals that a tree stands for, as sorted disjoint pieces; None where it stands for none."""
    try:
        return _merged(_pieces(node))
    except (Refused, ValueError):
        return None


def same(a: list[Piece], b: list[Piece]) -> bool:
    """Whether two sets in normal form are equal."""
    return len(a) == len(b) and all(
        p[0].compare(q[0]) == 0 and p[2].compare(q[2]) == 0 and (p[1], p[3]) == (q[1], q[3])
        for p, q in zip(a, b, strict=True)
    )


def _pieces(node: Node) -> list[Piece]:
    kind, parts = node.kind, node.parts
    if kind == "field" and node.data == "R":
        return ALL
    if kind == "empty":
        return []
    if kind in ("interval", "tuple", "bracket") and len(parts) == 2:
        closed = {"interval": node.data, "tuple": (False, False), "bracket": (True, True)}[kind]
        if any(shut and abs(_end(part).value) == INFINITY for part, shut in zip(parts, closed, strict=True)):
            raise ValueError("infinity is no member")
        if not (pieces := _between(_end(parts[0]), closed[0], _end(parts[1]), closed[1])):
            raise ValueError("an interval without a point")  # (0, 0) is a point of the plane
        return pieces
    if kind == "set":
        return [(_end(part), True, _end(part), True) for part in parts]
    if kind == "union":
        return _pieces(parts[0]) + _pieces(parts[1])
    if kind == "intersection":
        return _without(_pieces(parts[0]), _without(ALL, _pieces(parts[1])))
    if kind == "difference":
        return _without(_pieces(parts[0]), _pieces(parts[1]))
    if kind == "rel":
        return _condition(node)
    if kind == "list" and all(part.kind in ("rel", "interval") for part in parts):
        return _conditions(node)
    raise ValueError(kind)


def _conditions(node: Node) -> list[Piece]:
    if len({name for part in node.parts for name in symbols(part)}) > 1:
        raise ValueError("several variables")
    excluding = any(part.kind == "rel" and part.data == ("!=",) for part in node.parts)  # 0 < x < 9, x ≠ 5
    if set(node.data) == {"and"} or (set(node.data) <= {",", "and"} and excluding):
        result = ALL
        for part in node.parts:
            result = _without(result, _without(ALL, _pieces(part)))
        return result
    if "or" in node.data and "and" not in node.data:
        return [piece for part in node.parts for piece in _pieces(part)]
    raise ValueError("conditions joined by a comma")


def _condition(node: Node) -> list[Piece]:
    """`x < 3`, `2 <= x < 5`, `x != 1`, `x in (1, 2)`: one variable alone on its side, constants on the others."""
    if node.data == ("in",):
        return _pieces(node.parts[1])
    if any(part.kind == "call" and part.data == "abs" and part.parts[0].kind == "sym" for part in node.parts):
        inside = tuple(part.parts[0] if part.kind == "call" else part for part in node.parts)
        return _of_sizes(_condition(node._replace(parts=inside)))
    node = node._replace(parts=tuple(Node("sym", data="f()") if p.kind == "apply" else p for p in node.parts))
    names = [part.data for part in node.parts if part.kind == "sym"]
    if len(set(names)) != 1 or len(node.parts) > 3 or "~" in node.data or (len(node.parts) == 3 and "=" in node.data):
        raise ValueError("no condition on one variable")
    result = ALL
    for left, relation, right in zip(node.parts, node.data, node.parts[1:], strict=False):
        if right.kind == "sym":
            left, relation, right = right, FLIPPED[relation], left
        elif left.kind != "sym":
            raise ValueError("a relation between constants")
        result = _without(result, _without(ALL, _half(relation, _end(right))))
    return result


def _of_sizes(sizes: list[Piece]) -> list[Piece]:
    """The numbers whose absolute values lie in `sizes`."""
    zero = End(0)
    sizes = [piece for size in sizes for piece in _clipped(size, zero, True, End(INFINITY), False)]
    return sizes + [(End(-high.value), closed, End(-low.value), open_) for low, open_, high, closed in sizes]


def _half(relation: str, end: End) -> list[Piece]:
    low, high = ALL[0][0], ALL[0][2]
    if relation in ("<", "<="):
        return _between(low, False, end, relation == "<=")
    if relation in (">", ">="):
        return _between(end, relation == ">=", high, False)
    point = [(end, True, end, True)]
    return point if relation == "=" else _without(ALL, point)


def _end(node: Node) -> End:
    if node.kind == "neg" and node.parts[0] == Node("const", data="inf"):
        return End(-INFINITY)
    if node == Node("const", data="inf"):
        return End(INFINITY)
    if symbols(node):
        raise ValueError("an end that is no constant")
    value = precise(node, {})
    if value.imag != 0:
        raise ValueError("an end that is not real")
    return End(value.real)


def _between(low: End, low_closed: bool, high: End, high_closed: bool) -> list[Piece]:
    order = low.compare(high)
    if order > 0:
        raise ValueError("an interval that ends before it begins")
    if order == 0 and not (low_closed and high_closed):
        return []
    return [(low, low_closed and abs(low.value) != INFINITY, high, high_closed and abs(high.value) != INFINITY)]


def _merged(pieces: list[Piece]) -> list[Piece]:
    if len(pieces) > 100:
        raise ValueError("too many pieces")
    result: list[Piece] = []
    for piece in sorted(pieces, key=cmp_to_key(lambda p, q: p[0].compare(q[0]) or q[1] - p[1])):
        if result:
            low, low_closed, high, high_closed = result[-1]
            order = high.compare(piece[0])
            if order > 0 or (order == 0 and (high_closed or piece[1])):
                further = piece[2].compare(high)
                if further > 0:
                    high, high_closed = piece[2], piece[3]
                elif further == 0:
                    high_closed = high_closed or piece[3]
                result[-1] = (low, low_closed, high, high_closed)
                continue
        result.append(piece)
    return result


def _without(pieces: list[Piece], removed: list[Piece]) -> list[Piece]:
    """`pieces` minus `removed`."""
    for low, low_closed, high, high_closed in _merged(removed):
        rest = []
        for piece in pieces:
            rest += _clipped(piece, piece[0], piece[1], low, not low_closed)
            rest += _clipped(piece, high, not high_closed, piece[2], piece[3])
        pieces = _merged(rest)
    return _merged(pieces)


def _clipped(piece: Piece, low: End, low_closed: bool, high: End, high_closed: bool) -> list[Piece]:
    """The part of `piece` between low and high."""
    order = low.compare(piece[0])
    if order < 0 or (order == 0 and not piece[1]):
        low, low_closed = piece[0], piece[1] and (order < 0 or low_closed)
    order = high.compare(piece[2])
    if order > 0 or (order == 0 and not piece[3]):
        high, high_closed = piece[2], piece[3] and (order > 0 or high_closed)
    order = low.compare(high)
    if (
        order > 0
        or (order == 0 and not (low_closed and high_closed))
        or abs(low.value) == INFINITY == high.value == low.value
    ):
        return []
    return [(low, low_closed, high, high_closed)]
