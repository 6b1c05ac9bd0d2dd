"""The names that answers give their values (x = 3, f(x) = 2x, k ∈ Z), taken off so that the values can be compared."""

from rewards._math_forms import FAMILIES
from rewards._math_scalars import scalars_equal
from rewards._math_tree import SCALARS, Node
from rewards._math_values import exact, symbols

NAMED_FUNCTIONS = {name for name, family in FAMILIES.items() if family} - {"factorial"}
POLAR = ["r", "theta"]


def everywhere(node: Node) -> Node:
    """A formula without the points at which it is undefined: `x + 1, x ≠ 2`."""
    if node.kind != "list" or len(node.parts) != 2 or node.parts[1].kind != "rel" or node.parts[1].data != ("!=",):
        return node
    formula, excluded = node.parts[0], node.parts[1].parts[0]
    if formula.kind == "rel" and formula.data != ("=",):
        return node
    return formula if excluded.kind == "sym" and excluded.data in symbols(value_of(formula)[1]) else node


def worked_out(node: Node) -> Node:
    r"""The value in a true `\sin 75° = (√6 + √2)/4`, or in `a^2 + b^2 = 25`, whose left side no one would solve for.

    `2 + 3 = 5` stays what it is, a chain, and so does `x^2 = 5`, which says that x is something else.
    """
    if node.kind != "rel" or node.data != ("=",):
        return node
    left, right = node.parts
    named = len(_letters(left)) > 1 and not _letters(left) <= {"x", "y", "z"}  # 2x + 3y = 12 is a line
    if named and left.kind in SCALARS and not _letters(left) & _letters(right):
        return right
    known = not symbols(left) and _calls_function(left)
    return right if known and (scalars_equal(right, left) or scalars_equal(left, right)) else node


def _letters(node: Node) -> set[str]:
    """The symbols of a tree, e and i among them."""
    own = {node.data} if node.kind == "sym" or (node.kind == "const" and node.data in ("e", "i")) else set()
    return own.union(*map(_letters, node.parts))


def _calls_function(node: Node) -> bool:
    return (node.kind == "call" and node.data in NAMED_FUNCTIONS) or any(map(_calls_function, node.parts))


def value_of(node: Node, indexed: bool = False) -> tuple[Node | None, Node]:
    """Takes off the name that a value is given: `x = 3`, `f(x) = x^2`, `x \\in S`, `x = 1 or x = 2` → (name, value).

    `indexed` also takes x_1 = 3, x_2 = 7 as two values of x.
    """
    if node.kind == "rel" and len(node.parts) == 2:
        left, right = node.parts
        if node.data == ("in",) and (left.kind == "sym" or (left.kind == "tuple" and _is_name(left))):
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
        further = any(name is None and value.kind == "rel" for name, value in named)  # x = 0 or x > 1
        if len(names) == 1 and named[0][0] is not None and not further:
            return names.pop(), Node("list", tuple(value for _, value in named), node.data)
    return None, node


def _is_power_of_name(node: Node) -> bool:
    return node.kind == "pow" and node.parts[0].kind == "sym"


def _is_label(node: Node) -> bool:
    return node.kind == "sym" and len(node.data) == 1 and node.data.isupper()


def as_point(node: Node) -> Node:
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


def any_integer(node: Node) -> Node:
    """`x = k π, k ∈ Z` as `x = k π` of a letter with one name, whichever it is that runs through the integers."""
    last = node.parts[-1] if node.kind == "list" else node
    if last is node or last.kind != "rel" or last.data != ("in",) or [p.kind for p in last.parts] != ["sym", "field"]:
        return node
    letter, field = last.parts
    rest = tuple(substituted(part, letter, Node("sym", data=f"any {field.data}")) for part in node.parts[:-1])
    return rest[0] if len(rest) == 1 else Node("list", rest, node.data[:-1])


def with_constant_of(gold: Node, answer: Node) -> Node:
    """The answer `f(x) = k x, k ∈ R` with the gold's c, where that is its only other letter."""
    names = symbols(answer) - symbols(gold), list(symbols(gold) - symbols(answer))
    if names[0] != {"any R"} or len(names[1]) != 1 or names[1][0].startswith("any "):
        return answer
    return substituted(answer, Node("sym", data="any R"), Node("sym", data=names[1][0]))


def with_argument_of(gold: Node, answer: Node) -> Node:
    """The answer f(t) = 2t - 1 in the letter of the gold f(x) = 2x - 1, where both define one function."""
    heads = [_first_side(node) for node in (gold, answer)]
    named = all(
        h.kind in ("apply", "mul") and len(h.parts) == 2 and {p.kind for p in h.parts} == {"sym"} for h in heads
    )
    if not named or heads[0].kind != heads[1].kind or heads[0].parts[0] != heads[1].parts[0]:
        return answer
    letter, other = heads[0].parts[1], heads[1].parts[1]
    called = heads[0].kind == "apply" or heads[0].parts[0].data in ("h", "p", "q")
    return substituted(answer, other, letter) if called and letter.data not in symbols(answer) else answer


def _first_side(node: Node) -> Node:
    node = node.parts[0] if node.kind == "list" else node
    return node.parts[0] if node.kind == "rel" and node.data == ("=",) else node


def substituted(node: Node, old: Node, new: Node) -> Node:
    return new if node == old else node._replace(parts=tuple(substituted(part, old, new) for part in node.parts))


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
    if node.kind == "ratio" and node.parts[-1].kind == "field":  # [K:Q], a degree
        return True
    if node.kind == "apply" or (node.kind == "mul" and len(node.parts) == 2 and _is_applied(node.parts[0])):
        return True
    if node.kind in ("tuple", "union", "intersection", "difference") or (
        node.kind in SCALARS and node.kind not in ("neg", "pow", "root")
    ):
        return all(map(_is_name, node.parts)) if node.parts else node.kind == "sym"
    return False


def is_equation(name: Node) -> bool:
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


def has_relation(node: Node) -> bool:
    return node.kind == "rel" or any(part.kind == "rel" for part in node.parts)


def interchangeable(gold_name: Node, name: Node, gold: Node) -> bool:
    """Whether y = x^2 may stand for f(x) = x^2; x + y = 4 never stands for x = 4."""
    return bool(symbols(gold)) and {gold_name.kind, name.kind} in ({"sym", "mul"}, {"sym", "apply"})
