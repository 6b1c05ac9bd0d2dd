"""The trusted half of split grading: compares what a program returned with what was expected, type for type."""

import json
import math

from lab.sandbox.wire import encode

NUMBERS = (bool, int, float)
TOLERANCE = 1e-9  # relative and absolute; a sum of floats depends on its order


def same(expected, wire, tolerance: float = TOLERANCE, exact: bool = True) -> bool:
    """Whether `wire` (the program's JSON, see `lab.sandbox.wire`) is exactly `expected`, floats within `tolerance`.

    1, 1.0 and True are three different values, and so are a list and a tuple, a dict and a Counter; where not `exact`,
    numbers (but no keys or members of sets) and dicts are compared as `==` does. What the program returned is compared
    as text and never put in a set: it can choose values whose hashes collide, and such a table takes hours to build.
    """
    kind = type(expected)
    if not exact and kind in NUMBERS and type(wire) in NUMBERS and wire == expected:
        return True
    if expected is None or kind in (bool, int, str):
        return type(wire) is kind and wire == expected
    if kind is float:
        return _same_float(expected, wire, tolerance)
    if kind is list:
        return type(wire) is list and _same_items(expected, wire, tolerance, exact)
    if type(wire) is not dict or wire.get("$") != kind.__name__:
        return False
    content = wire.get("v")
    if kind is bytes:
        return content == expected.hex()
    if type(content) is not list or len(content) != len(expected):
        return False
    if kind is tuple:
        return _same_items(expected, content, tolerance, exact)
    if kind in (set, frozenset):
        return sorted(map(_text_of, expected)) == sorted(map(_text, content))
    if kind is dict:
        if exact and "of" in wire or any(type(pair) is not list or len(pair) != 2 for pair in content):
            return False
        values, keys = {_text_of(key): value for key, value in expected.items()}, [_text(pair[0]) for pair in content]
        return sorted(keys) == sorted(values) and all(
            same(values[key], pair[1], tolerance, exact) for key, pair in zip(keys, content, strict=True)
        )
    raise TypeError(
        f"A test expects a {kind.__name__}; allowed: None, bool, int, float, str, bytes, collections of them."
    )


def _same_float(expected: float, wire, tolerance: float) -> bool:
    if not math.isfinite(expected):
        return wire == {"$": "float", "v": repr(expected)}
    return type(wire) is float and math.isclose(wire, expected, rel_tol=tolerance, abs_tol=tolerance)


def _same_items(expected, wire: list, tolerance: float, exact: bool) -> bool:
    return len(expected) == len(wire) and all(
        same(left, right, tolerance, exact) for left, right in zip(expected, wire, strict=True)
    )


def _text(wire) -> str:
    """One text for each value that is a key or a set's member. Texts hash by a secret seed: they cannot collide."""
    if type(wire) is list:
        return "[" + ",".join(map(_text, wire)) + "]"
    if type(wire) is dict:
        content = wire.get("v")
        if wire.get("$") in ("set", "frozenset") and type(content) is list:
            return "{" + ",".join(sorted(map(_text, content))) + "}"
        return f"{_text(wire.get('$'))}:{_text(content)}"
    return json.dumps(wire)


def _text_of(value) -> str:
    return _text(encode(value))
