"""Matrices with a factor before them, and the three ways to write a vector: a column, ⟨1, 2, 3⟩ and i + 2j + 3k."""

from rewards._math_tree import SCALARS, Node, number
from rewards._math_values import exact, symbols

_UNITS = (Node("const", data="i"), Node("sym", data="j"), Node("sym", data="k"))


def multiplied(node: Node) -> Node | None:
    r"""The matrix that `-A`, `2A` or `A/2` is, cell by cell; None for any other tree."""
    kinds = [part.kind for part in node.parts]
    if node.kind == "neg" and kinds == ["matrix"]:
        factor, matrix = number(-1), node.parts[0]
    elif node.kind == "mul" and kinds[1:] == ["matrix"] and kinds[0] in SCALARS:
        factor, matrix = node.parts
    elif node.kind == "div" and kinds[0] == "matrix" and kinds[1] in SCALARS:
        factor, matrix = Node("div", (number(1), node.parts[1])), node.parts[0]
    elif node.kind == "neg" and (inner := multiplied(node.parts[0])) is not None:
        factor, matrix = number(-1), inner
    else:
        return None
    return matrix._replace(parts=tuple(_product(factor, cell) for cell in matrix.parts))


def _product(factor: Node, cell: Node) -> Node:
    product = Node("mul", (factor, cell))
    value = exact(product)
    if value is not None:
        return number(value)
    return {number(1): cell, number(-1): Node("neg", (cell,))}.get(factor, product)


def same_notation(gold: Node, answer: Node) -> tuple[Node, Node]:
    """Both vectors in one notation, where they are written in two; any other trees as they are."""
    gold_entries, entries = _entries(gold), _entries(answer)
    if gold_entries and entries and "angle" in (gold.data, answer.data):
        return Node("tuple", gold_entries), Node("tuple", entries)
    if gold_entries and _is_in_units(answer):
        return _in_units(gold_entries), _with_symbols(answer)
    if entries and _is_in_units(gold):
        return _with_symbols(gold), _in_units(entries)
    return gold, answer


def _entries(node: Node) -> tuple[Node, ...]:
    """Of a column or of ⟨…⟩; a point (1, 2) is no vector unless the other side says that it is one."""
    is_vector = node.kind == "tuple" or (node.kind == "matrix" and node.data[1] == 1)
    return node.parts if is_vector and len(node.parts) > 1 else ()


def _is_in_units(node: Node) -> bool:
    return node.kind in SCALARS and bool(symbols(node)) and symbols(node) <= {"j", "k"}


def _in_units(entries: tuple[Node, ...]) -> Node:
    terms = [
        Node("mul", pair) for pair in zip(entries, map(_with_symbols, _UNITS), strict=False) if exact(pair[0]) != 0
    ]
    return Node("add", tuple(terms)) if len(entries) <= len(_UNITS) and len(terms) > 1 else Node("tuple", entries)


def _with_symbols(node: Node) -> Node:
    if node == _UNITS[0]:
        return Node("sym", data="i")
    return node._replace(parts=tuple(map(_with_symbols, node.parts)))
