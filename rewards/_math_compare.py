"""Whether an answer's tree says the same as the gold's: like with like, and evaluated as far."""

from rewards._math_forms import FAMILIES
from rewards._math_scalars import NEEDED_POINTS, far_points, infinity, sample_points, scalars_equal
from rewards._math_sets import FLIPPED, real_set, same
from rewards._math_tree import Node, number
from rewards._math_values import Refused, close, exact, precise, quick, symbols

SCALARS = {"num", "sym", "const", "add", "mul", "div", "neg", "pow", "root", "call", "apply", "degree"}
COLLECTIONS = {"list", "set", "empty"}
REALS = {"interval", "tuple", "bracket", "union", "intersection", "difference", "rel", "list", "field", "empty", "set"}
MAX_ITEMS = 200
NAMED_FUNCTIONS = {name for name, family in FAMILIES.items() if family} | {"binom", "gcd", "lcm"}
C = Node("sym", data="C")
POLAR = ["r", "theta"]


def equal(gold: Node, answer: Node) -> bool:
    """Whether `answer` is `gold`, committed and evaluated. Never raises for what cannot be told: that is False."""
    gold, answer = _as_point(_any_integer(gold)), _as_point(_any_integer(answer))
    if answer.kind == "rel" and "~" in answer.data and not (gold.kind == "rel" and "~" in gold.data):
        return False  # a hedge
    if not _has_relation(gold):
        answer = _worked_out(_everywhere(answer))
    if gold.kind == answer.kind == "rel" and _relations_equal(gold, answer):
        return True
    gold_name, value = value_of(gold)
    if gold_name is not None and not _is_equation(gold_name):
        gold = value
    else:
        gold_name = None
    name, answer = value_of(answer, indexed=not _has_relation(gold))
    if None not in (gold_name, name) and gold_name != name and not _interchangeable(gold_name, name, gold):
        return False
    return _equal(_expanded(gold), _expanded(answer))


def _everywhere(node: Node) -> Node:
    """A formula without the points at which it is undefined: `x + 1, x ≠ 2`."""
    if node.kind != "list" or len(node.parts) != 2 or node.parts[1].kind != "rel" or node.parts[1].data != ("!=",):
        return node
    formula, excluded = node.parts[0], node.parts[1].parts[0]
    return formula if excluded.kind == "sym" and excluded.data in symbols(value_of(formula)[1]) else node


def _worked_out(node: Node) -> Node:
    """The value of a true `\\sin 75° = (√6 + √2)/4`, which names the function that was to be worked out."""
    if node.kind != "rel" or node.data != ("=",) or node.parts[0].data not in NAMED_FUNCTIONS:
        return node
    return node.parts[1] if scalars_equal(*node.parts[::-1]) or scalars_equal(*node.parts) else node


def value_of(node: Node, indexed: bool = False) -> tuple[Node | None, Node]:
    """Takes off the name that a value is given: `x = 3`, `f(x) = x^2`, `x \\in S`, `x = 1 or x = 2` → (name, value).

    `indexed` also takes x_1 = 3, x_2 = 7 as two values of x.
    """
    if node.kind == "rel" and len(node.parts) == 2:
        left, right = node.parts
        if node.data == ("in",) and left.kind == "sym":
            return left, right
        if node.data[0] in "=~":
            if _is_name(left) or (_is_power_of_name(left) and right.kind == "matrix"):
                return left, right
            if _is_name(right) and left.kind in SCALARS and not symbols(left):
                return right, left
    if node.kind == "mul" and len(node.parts) == 2 and _is_label(node.parts[0]) and node.parts[1].kind == "tuple":
        return node.parts  # P(3, -2)
    if node.kind == "apply" and len(node.parts) > 2 and _is_label(node.parts[0]):
        return node.parts[0], Node("tuple", node.parts[1:])  # F(2, 0), a focus
    if node.kind == "list":
        named = [value_of(part) for part in node.parts]
        names = {_base_name(name) if indexed else name for name, _ in named if name is not None}
        if len(names) == 1 and named[0][0] is not None:
            return names.pop(), Node("list", tuple(value for _, value in named), node.data)
    return None, node


def _is_power_of_name(node: Node) -> bool:
    return node.kind == "pow" and node.parts[0].kind == "sym"


def _is_label(node: Node) -> bool:
    return node.kind == "sym" and len(node.data) == 1 and node.data.isupper()


def _as_point(node: Node) -> Node:
    """`x = 3, y = -2` and `(y, x) = (-2, 3)` as `(x, y) = (3, -2)`: letters that follow one another in the alphabet."""
    pairs = _named_values(node)
    if not all(name.kind == "sym" and value.kind in SCALARS for name, value in pairs):
        return node
    names = [name.data for name, _ in pairs]
    if names != POLAR:
        pairs.sort(key=lambda pair: pair[0].data)
        codes = [ord(name.data[0]) for name, _ in pairs if len(name.data) == 1]
        if not codes or codes != list(range(codes[0], codes[0] + len(pairs))):
            return node
    names, values = zip(*pairs, strict=True)
    return Node("rel", (Node("tuple", names), Node("tuple", values)), ("=",))


def _any_integer(node: Node) -> Node:
    """`x = k π, k ∈ Z` as `x = k π` of a letter with one name, whichever it is that runs through the integers."""
    last = node.parts[-1] if node.kind == "list" else node
    if last is node or last.kind != "rel" or last.data != ("in",) or [p.kind for p in last.parts] != ["sym", "field"]:
        return node
    letter, field = last.parts
    rest = tuple(_substituted(part, letter, Node("sym", data=f"any {field.data}")) for part in node.parts[:-1])
    return rest[0] if len(rest) == 1 else Node("list", rest, node.data[:-1])


def _substituted(node: Node, old: Node, new: Node) -> Node:
    return new if node == old else node._replace(parts=tuple(_substituted(part, old, new) for part in node.parts))


def _named_values(node: Node) -> list[tuple[Node, Node]]:
    """The pairs of `x = 3, y = -2` and of `(x, y) = (3, -2)`; none for any other tree."""
    if node.kind == "list" and "or" not in node.data and all(p.kind == "rel" and p.data == ("=",) for p in node.parts):
        return [part.parts for part in node.parts]
    if node.kind == "rel" and node.data == ("=",) and [part.kind for part in node.parts] == ["tuple", "tuple"]:
        names, values = (part.parts for part in node.parts)
        return list(zip(names, values, strict=True)) if len(names) == len(values) else []
    return []


def _is_name(node: Node) -> bool:
    """A name rather than a value: x, AB, a + b, dy/dx, cos θ, f(2): made of symbols alone, or applied to a number."""
    if node.kind == "apply" or (node.kind == "mul" and len(node.parts) == 2 and _is_applied(node.parts[0])):
        return True
    if node.kind in ("tuple", "union", "intersection", "difference") or (
        node.kind in SCALARS and node.kind not in ("neg", "pow", "root")
    ):
        return all(map(_is_name, node.parts)) if node.parts else node.kind == "sym"
    return False


def _is_equation(name: Node) -> bool:
    """Whether a gold `name = value` is an equation in x and y rather than a name for its value, as f(x) or AB is."""
    return not (
        name.kind in ("sym", "tuple", "apply")
        or (name.kind == "mul" and _is_applied(name.parts[0]) and name.parts[0].data not in list("xyztuvw"))
    )


def _is_applied(node: Node) -> bool:
    """h in h(x), or h^{-1} in h^{-1}(x)."""
    return node.kind == "sym" or (node.kind == "pow" and node.parts[0].kind == "sym" and exact(node.parts[1]) == -1)


def _base_name(node: Node) -> Node:
    return Node("sym", data=node.data.partition("_")[0]) if node.kind == "sym" else node


def _has_relation(node: Node) -> bool:
    return node.kind == "rel" or any(part.kind == "rel" for part in node.parts)


def _interchangeable(gold_name: Node, name: Node, gold: Node) -> bool:
    """Whether y = x^2 may stand for f(x) = x^2; x + y = 4 never stands for x = 4."""
    return bool(symbols(gold)) and {gold_name.kind, name.kind} in ({"sym", "mul"}, {"sym", "apply"})


def _expanded(node: Node) -> Node:
    """`a ± b` as the list of its two values, also inside a list or a set."""
    if node.kind in ("list", "set"):
        parts = [_expanded(part) for part in node.parts]
        flat = [inner for part in parts for inner in (part.parts if part.kind == "list" else (part,))]
        return Node(node.kind, tuple(flat), node.data)
    if node.kind == "mul" and [part.kind for part in node.parts[1:]] == ["matrix"] and node.parts[0].kind in SCALARS:
        return _multiplied(*node.parts)
    if (node.kind in SCALARS | {"pm", "mp", "rel"} and _has_sign(node)) or (
        node.kind == "tuple" and sum(map(_has_sign, node.parts)) == 1
    ):
        joiner = "" if node.kind != "rel" else "and" if "!=" in node.data else "or"
        return Node("list", (_signed(node, 1), _signed(node, -1)), (joiner,))
    return node


def _multiplied(factor: Node, matrix: Node) -> Node:
    """factor × matrix, cell by cell."""
    cells = [Node("mul", (factor, cell)) for cell in matrix.parts]
    values = map(exact, cells)
    return matrix._replace(parts=tuple(number(v) if v is not None else c for v, c in zip(values, cells, strict=True)))


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
        return scalars_equal(gold, _renamed_constant(gold, answer))
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
    if gold.kind == answer.kind == "list":
        return len(gold.parts) == len(answer.parts) and _matched(gold.parts, answer.parts)
    return False


def _renamed_constant(gold: Node, answer: Node) -> Node:
    """`answer` with the gold's C for its own constant of integration: x^2 + c is x^2 + C."""
    if gold.kind != "add" or answer.kind != "add" or C not in gold.parts or len(symbols(gold)) > 2:
        return answer
    others = [part for part in answer.parts if part.kind == "sym" and part.data in ("c", "k", "K")]
    if C in answer.parts or len(others) != 1 or others[0].data in symbols(gold):
        return answer
    return _substituted(answer, others[0], C)


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
    if _solved(gold) or symbols(gold) != symbols(answer):
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
