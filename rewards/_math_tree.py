"""The tree that an answer is read into."""

from fractions import Fraction
from typing import NamedTuple

SCALARS = {"num", "sym", "const", "add", "mul", "div", "neg", "pow", "root", "call", "apply", "degree"}


class Node(NamedTuple):
    """kind: num sym const add mul div neg pow root call apply pm mp degree | list tuple bracket interval set empty
    union intersection difference field matrix rel ratio based text modulo cases case; data: what the kind needs beside
    its parts.
    """

    kind: str
    parts: tuple["Node", ...] = ()
    data: object = None


def number(value) -> Node:
    return Node("num", data=Fraction(value))


def is_whole(node: Node) -> bool:
    return node.kind == "num" and node.data.denominator == 1
