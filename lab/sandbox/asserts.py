"""Tests that were written as asserts, turned into calls and expected values by their syntax tree.

So the program never meets the values that it is compared with. Where an assert says more than "this call gives this
value", nothing is turned: such a test has to share the program's interpreter, and its row says so.
"""

import ast

from lab.sandbox import wire

SPLIT, SHARED = "split", "tests share the interpreter"


class NotACall(ValueError):
    """The statement is more than a call and its value."""


def calls_of(source: str, function: str) -> list[dict] | None:
    """The tests [{"args": […], "kwargs": {…}, "expected": value, "exact": False}, …] that `source` makes of `function`.

    `source` holds asserts, at the top level or in functions such as HumanEval's `check(candidate)`. None as soon as one
    statement is neither an assert that can be turned nor without effect. Only `is` asks for the exact type.
    """
    tests = []
    try:
        for statement in _statements(ast.parse(source).body):
            if isinstance(statement, ast.Assert):
                if not (isinstance(statement.test, ast.Constant) and statement.test.value is True):
                    tests.append(_test(statement.test, function))
            elif not _without_effect(statement):
                return None
    except (NotACall, SyntaxError):
        return None
    return tests or None


def _statements(body: list[ast.stmt]):
    for statement in body:
        if isinstance(statement, ast.FunctionDef):
            yield from _statements(statement.body)
        else:
            yield statement


def _without_effect(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    # METADATA = {…} and the like; an assigned value that a test uses is no literal and turns nothing.
    return isinstance(statement, (ast.Assign, ast.Pass)) and _is_literal(getattr(statement, "value", None))


def _test(node: ast.expr, function: str) -> dict:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        [operator], left, [right] = node.ops, node.left, node.comparators
        if isinstance(operator, (ast.Eq, ast.Is)):
            call, expected = (left, right) if _is_call(left, function) else (right, left)
            exact = {"exact": False} if isinstance(operator, ast.Eq) else {}
            return {**_call(call, function), "expected": _literal(expected), **exact}
        if isinstance(operator, (ast.Lt, ast.LtE)) and _is_call(left, "abs") and isinstance(left.args[0], ast.BinOp):
            difference = left.args[0]
            if isinstance(difference.op, ast.Sub):
                expected = float(_literal(difference.right))
                return {**_call(difference.left, function), "expected": expected, "tolerance": _literal(right)}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return {**_call(node.operand, function), "expected": False}
    return {**_call(node, function), "expected": True}


def _is_call(node: ast.expr, function: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function


def _call(node: ast.expr, function: str) -> dict:
    if not _is_call(node, function):
        raise NotACall
    arguments = {keyword.arg: _literal(keyword.value) for keyword in node.keywords if keyword.arg}
    if len(arguments) != len(node.keywords):
        raise NotACall
    return {"args": [_literal(argument) for argument in node.args], "kwargs": arguments}


def _literal(node: ast.expr):
    try:
        value = ast.literal_eval(node)
        wire.decode(wire.encode(value))
    except (ValueError, TypeError):  # no literal, or one such as 1j that cannot be sent to a program
        raise NotACall from None
    return value


def _is_literal(node: ast.expr | None) -> bool:
    try:
        return node is None or bool([_literal(node)])
    except NotACall:
        return False
