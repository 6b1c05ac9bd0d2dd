"""Products of matrices, whose order matters: B^{-1} A^{-1} is not A^{-1} B^{-1}, nor A^T A what A A^T is."""

from rewards._math_tree import Node
from rewards._math_values import exact

_T = Node("sym", data="T")


def same_order(gold: Node, answer: Node) -> bool:
    """False where the gold is a product of matrices (capitals, one inverted or transposed) and the order is another."""
    factors = _factors(gold)
    matrices = any(factor.kind == "pow" for factor in factors)
    return not matrices or len(factors) < 2 or factors == _factors(answer)


def _factors(node: Node) -> list[Node]:
    """The capitals of a tree from left to right, each with its inversion or transposition."""
    if _is_matrix(node):
        return [node]
    if node.kind == "pow" and _is_matrix(node.parts[0]) and (node.parts[1] == _T or exact(node.parts[1]) == -1):
        return [node]
    return [factor for part in node.parts for factor in _factors(part)]


def _is_matrix(node: Node) -> bool:
    return node.kind == "sym" and len(node.data) == 1 and node.data.isupper()
