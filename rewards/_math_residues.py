r"""Classes of integers: `n \equiv 1, 5 \pmod{6}`, `n \equiv \pm 1 \pmod 6` and `n = 6k + 1, k ∈ Z`."""

from rewards._math_tree import Node, is_whole, number
from rewards._math_values import exact, symbols

MAX_MODULUS = 10_000
RUNNING = {"any Z"}  # the letter that runs through the integers, as `any_integer` names it


def residues(node: Node) -> tuple[int, frozenset[int]] | None:
    """The modulus and the residues of a class of integers; None for any other tree."""
    parts = [_value(part) for part in (node.parts if node.kind == "list" else (node,))]
    classes = [_of_line(part) for part in parts]
    if all(classes) and len({modulus for modulus, _ in classes}) == 1:
        return classes[0][0], frozenset(residue for _, residue in classes)
    last = parts[-1]
    modulus = exact(last.parts[1]) if last.kind == "modulo" else None
    if modulus is None or modulus.denominator != 1 or not 0 < modulus < MAX_MODULUS:
        return None
    values = [part.parts[0] if part.kind == "modulo" and part.parts[1] == last.parts[1] else part for part in parts]
    signed = [value for v in values for value in ((v.parts[0], Node("neg", v.parts)) if v.kind == "pm" else (v,))]
    found = [exact(value) for value in signed]
    if any(value is None or value.denominator != 1 or abs(value) >= modulus for value in found):
        return None  # 10 mod 7 is still to be worked out
    return int(modulus), frozenset(int(value % modulus) for value in found)


def _value(part: Node) -> Node:
    named = part.kind == "rel" and part.data == ("=",) and part.parts[0].kind == "sym"
    return part.parts[1] if named else part


def _of_line(node: Node) -> tuple[int, int] | None:
    """(a, b mod a) of `a k + b`, k being any integer."""
    if symbols(node) != RUNNING:
        return None
    at = [exact(_at(node, number(k))) for k in range(3)]
    if None in at or at[2] - at[1] != at[1] - at[0] or not all(is_whole(number(value)) for value in at):
        return None
    modulus = abs(int(at[1] - at[0]))
    return (modulus, int(at[0]) % modulus) if modulus else None


def _at(node: Node, value: Node) -> Node:
    return value if node.kind == "sym" else node._replace(parts=tuple(_at(part, value) for part in node.parts))
