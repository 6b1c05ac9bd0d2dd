"""Whether an answer's tree says the same as the gold's: like with like, and evaluated as far."""

import re
from itertools import permutations

from rewards._math_forms import is_literal
from rewards._math_matrices import same_order
from rewards._math_names import (
    any_integer,
    as_point,
    everywhere,
    has_relation,
    interchangeable,
    is_equation,
    substituted,
    value_of,
    with_argument_of,
    with_constant_of,
    worked_out,
)  # fmt: skip
from rewards._math_residues import residues
from rewards._math_scalars import NEEDED_POINTS, far_points, infinity, sample_points, scalars_equal
from rewards._math_sets import FLIPPED, real_set, same
from rewards._math_tree import SCALARS, Node, number
from rewards._math_values import Refused, close, exact, precise, quick, symbols
from rewards._math_vectors import multiplied, same_notation

COLLECTIONS = {"list", "set", "empty"}
REALS = {"interval", "tuple", "bracket", "union", "intersection", "difference", "rel", "list", "field", "empty", "set"}
MAX_ITEMS = 200
C = Node("sym", data="C")
_CONSTANT, _OWN_CONSTANT = re.compile(r"[cCkK]_\d"), re.compile(r"[A-DK]|[a-dk]|[cCkKAB]_\d")  # of integration


def equal(gold: Node, answer: Node) -> bool:
    """Whether `answer` is `gold`, committed and evaluated. Never raises for what cannot be told: that is False."""
    gold, answer = as_point(any_integer(gold)), as_point(any_integer(answer))
    answer = with_constant_of(gold, with_argument_of(gold, answer))
    if answer.kind == "rel" and "~" in answer.data and not (gold.kind == "rel" and "~" in gold.data):
        return False  # a hedge
    if gold.kind != "list":
        answer = everywhere(answer)
    if not has_relation(gold):
        answer = worked_out(answer)
    if gold.kind == answer.kind == "rel" and _relations_equal(gold, answer):
        return True
    if (classes := residues(gold)) and classes == residues(answer):
        return True
    gold_name, value = value_of(gold)
    if gold_name is not None and not is_equation(gold_name):
        gold = value
    else:
        gold_name = None
    name, answer = value_of(answer, indexed=not has_relation(gold))
    if None not in (gold_name, name) and gold_name != name and not interchangeable(gold_name, name, gold):
        return False
    return _equal(*same_notation(_expanded(gold), _expanded(answer)))


def _expanded(node: Node) -> Node:
    """`a ± b` as the list of its two values, also inside a list or a set."""
    if node.kind in ("list", "set"):
        parts = [_expanded(part) for part in node.parts]
        flat = [inner for part in parts for inner in (part.parts if part.kind == "list" else (part,))]
        return Node(node.kind, tuple(flat), node.data)
    if (matrix := multiplied(node)) is not None:
        return matrix
    if (node.kind in SCALARS | {"pm", "mp", "rel"} and _has_sign(node)) or (
        node.kind == "tuple" and sum(map(_has_sign, node.parts)) == 1
    ):
        joiner = "" if node.kind != "rel" else "and" if "!=" in node.data else "or"
        return Node("list", (_signed(node, 1), _signed(node, -1)), (joiner,))
    return node


def _has_sign(node: Node) -> bool:
    return node.kind in ("pm", "mp") or any(_has_sign(part) for part in node.parts)


def _signed(node: Node, sign: int) -> Node:
    parts = tuple(_signed(part, sign) for part in node.parts)
    if node.kind in ("pm", "mp"):
        positive = (node.kind == "pm") == (sign > 0)
        if parts[0].kind == "num":
            return parts[0] if positive else Node("num", data=-parts[0].data)
        return parts[0] if positive else Node("neg", parts)
    return node._replace(parts=parts)


def _equal(gold: Node, answer: Node) -> bool:
    if gold.kind in SCALARS and answer.kind in SCALARS:
        return any(scalars_equal(gold, spelling) for spelling in _with_constants_of(gold, answer))
    if gold.kind == "num" and answer.kind == "based" and answer.parts == (number(10),):
        return gold == number(answer.data or 0)
    if gold.kind == "ratio" and answer.kind in ("ratio", "div"):
        return _ratios_equal(gold, answer)
    if gold.kind in COLLECTIONS and not any(part.kind == "rel" for part in gold.parts):
        return _collections_equal(gold, answer)
    if (
        gold.kind == answer.kind in ("tuple", "bracket", "ratio", "matrix", "interval", "modulo")
        and gold.data == answer.data
    ):
        return len(gold.parts) == len(answer.parts) and all(map(_ends_equal, gold.parts, answer.parts))
    if gold.kind == answer.kind in ("based", "field", "text"):
        return gold == answer
    if {gold.kind, answer.kind} == {"text", "sym"}:
        return gold.data == answer.data
    if gold.kind in REALS and answer.kind in REALS and "set" not in (gold.kind, answer.kind):
        left, right = real_set(gold), real_set(answer)
        if _intersects(answer) and not _intersects(gold):
            return False  # not worked out
        if left is not None and right is not None:
            return _same_variable(gold, answer) and same(left, right)
    if gold.kind == answer.kind in ("union", "intersection", "difference"):  # of sets that are names: A \cup B
        swapped = answer.parts[::-1] if gold.kind != "difference" else answer.parts
        return any(all(map(_equal, gold.parts, parts)) for parts in (answer.parts, swapped))
    if gold.kind == answer.kind == "rel":
        return _relations_equal(gold, answer)
    if gold.kind == answer.kind == "case":
        return all(map(_equal, gold.parts, answer.parts))
    if gold.kind == answer.kind in ("list", "cases"):
        return len(gold.parts) == len(answer.parts) and _matched(gold.parts, answer.parts)
    return False


def _ratios_equal(gold: Node, answer: Node) -> bool:
    """Whether two ratios are one: 4:2 is 2:1, and of two numbers 4/9 is 4:9."""
    parts = answer.parts if answer.kind == "ratio" else (answer, number(1))
    if len(gold.parts) != len(parts):
        return False
    values, others = list(map(exact, gold.parts)), list(map(exact, parts))
    if None in values + others or not values[0] or not all(map(is_literal, answer.parts)) or _like_a_time(values):
        return all(map(_ends_equal, gold.parts, parts))
    return all(values[0] * other == others[0] * value for value, other in zip(values, others, strict=True))


def _like_a_time(values: list) -> bool:
    return len(values) == 2 and values[0] <= 24 and 10 <= values[1] < 60  # 3:30 is neither 1:10 nor 1/10


def _with_constants_of(gold: Node, answer: Node) -> list[Node]:
    """`answer` with the gold's c_1 and c_2 for its own A and B, in either order; else as `_renamed_constant` has it."""
    constants, own = symbols(gold) - symbols(answer), symbols(answer) - symbols(gold)
    if not constants or len(own) != len(constants) or not all(map(_CONSTANT.fullmatch, constants)):
        return [_renamed_constant(gold, answer)]
    if len(own) > 3 or not all(map(_OWN_CONSTANT.fullmatch, own)):
        return [answer]
    found = []
    for order in permutations(sorted(constants)):
        renamed = answer
        for mine, constant in zip(sorted(own), order, strict=True):
            renamed = substituted(renamed, Node("sym", data=mine), Node("sym", data=constant))
        found.append(renamed)
    return found


def _renamed_constant(gold: Node, answer: Node) -> Node:
    """`answer` with the gold's C for its own constant of integration: x^2 + c is x^2 + C."""
    if gold.kind != "add" or answer.kind != "add" or C not in gold.parts or len(symbols(gold)) > 2:
        return answer
    others = [part for part in answer.parts if part.kind == "sym" and part.data in ("c", "k", "K")]
    if C in answer.parts or len(others) != 1 or others[0].data in symbols(gold):
        return answer
    return substituted(answer, others[0], C)


def _ends_equal(gold: Node, answer: Node) -> bool:
    """Items of a tuple or ends of an interval, where infinity is a value of its own."""
    infinite = infinity(gold), infinity(answer)
    return infinite[0] == infinite[1] if any(infinite) else _equal(gold, answer)


def _intersects(node: Node) -> bool:
    return node.kind == "intersection" or any(_intersects(part) for part in node.parts)


def _same_variable(gold: Node, answer: Node) -> bool:
    names = symbols(gold), symbols(answer)
    return names[0] == names[1] or not all(names)


# ---- collections and relations


def _collections_equal(gold: Node, answer: Node) -> bool:
    if answer.kind in SCALARS | {"tuple"} and gold.kind == "set" and len(gold.parts) == 1:
        return _equal(gold.parts[0], answer)
    if answer.kind not in COLLECTIONS:
        return False
    if gold.kind == answer.kind == "set":
        gold, answer = _distinct(gold), _distinct(answer)
    return len(gold.parts) == len(answer.parts) <= MAX_ITEMS and _matched(gold.parts, answer.parts)


def _distinct(node: Node) -> Node:
    kept: list[Node] = []
    for part in node.parts[: MAX_ITEMS + 1]:
        if part not in kept:
            kept.append(part)
    return node._replace(parts=tuple(kept))


def _matched(gold: tuple[Node, ...], answer: tuple[Node, ...]) -> bool:
    """Whether the items are the same in some order; equality is transitive, so the first match will do."""
    rest = list(answer)
    for item in gold:
        match = next((i for i, other in enumerate(rest) if _ends_equal(item, other)), None)
        if match is None:
            return False
        del rest[match]
    return not rest


def _relations_equal(gold: Node, answer: Node) -> bool:
    if len(gold.parts) != len(answer.parts):
        return False
    mirrored = tuple(FLIPPED.get(relation, relation) for relation in reversed(answer.data))
    for relations, parts in ((answer.data, answer.parts), (mirrored, answer.parts[::-1])):
        if relations == gold.data and all(map(_ends_equal, gold.parts, parts)):
            return True
    if len(gold.parts) != 2 or not all(part.kind in SCALARS for part in (*gold.parts, *answer.parts)):
        return False
    if _solved(gold) or symbols(gold) != symbols(answer) or not same_order(gold, answer):
        return False
    for relations, parts in ((answer.data, answer.parts), (mirrored, answer.parts[::-1])):
        if relations == gold.data and _proportional(_difference(gold.parts), _difference(parts), gold.data[0]):
            return True
    return False


def _solved(node: Node) -> bool:
    """x = 3 is solved, and 2x = 6 is only its question; y = 2x + 1 has many equal forms."""
    left, right = node.parts
    return (left.kind == "sym" and not symbols(right)) or (right.kind == "sym" and not symbols(left))


def _difference(parts: tuple[Node, ...]) -> Node:
    return Node("add", (parts[0], Node("neg", (parts[1],))))


def _proportional(gold: Node, answer: Node, relation: str) -> bool:
    """Whether answer / gold is one constant; above 0 where the relation is an inequality."""
    ratios = []
    for point in sample_points(gold, answer):
        try:
            a, b = precise(gold, point), precise(answer, point)
        except Refused:
            continue
        if not a or not b:
            return False
        ratios.append(b / a)
    if len(ratios) < NEEDED_POINTS or not all(close(ratios[0], ratio) for ratio in ratios):
        return False
    for point in far_points(gold, answer):
        a, b = quick(gold, point), quick(answer, point)
        if a and b and abs(b / a - complex(ratios[0])) > 1e-6 * abs(ratios[0]):
            return False
    return relation in ("=", "!=") or (ratios[0].imag == 0 and ratios[0].real > 0)
