"""Programs as answers: honest ones are paid, nobody else, and a sandbox that cannot work pays nobody nothing."""

import pytest

from lab import Response
from lab.sandbox import SandboxError
from rewards import code
from rewards.code import python_function, python_stdio

PLAIN = "def add(a, b):\n    return a + b"
ADD = {"entry_point": "add", "tests": [{"args": [17, 25], "expected": 42}, {"args": [-4, 4], "expected": 0}]}


def fenced(program, language="python"):
    return f"Let me think.\n```{language}\n{program}\n```\nThat is it."


@pytest.mark.parametrize("text", [PLAIN, fenced(PLAIN), fenced(PLAIN, ""), fenced("x = 1") + fenced(PLAIN)])
def test_a_program_is_found(text):
    assert python_function().score(Response(text), ADD) == (1.0, "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("```python\ndef add(a, b): return a + b", "a code block that never ends"),
        (fenced("print('add')", "bash"), "no code block of Python"),
        ("def add(a, b: return a", "syntax error"),
        ("def add(a, b): return a - b", "wrong"),
        ("def add(a, b):\n    while True: pass", "timeout"),
        ("import time\ntime.sleep(99)", "timeout"),
        ("def add(a, b): return ' ' * 10 ** 11", "memory"),
        ("def add(a, b): return open('/etc/passwd').read()", "refused"),
        ("def add(a, b): return a / 0", "ZeroDivisionError: division by zero"),
        ("while True: print('x' * 9999)", "too much output"),
        ("", "truncated or no answer"),
        ("x" * 300_000, "too long"),
    ],
)
def test_every_refusal_has_its_reason(text, reason):
    assert python_function(seconds=1).score(Response(text), ADD) == (0.0, reason)


def test_a_truncated_program_is_not_paid():
    assert python_function().score(Response(PLAIN, finished=False), ADD).value == 0.0


def test_partial_credit_is_off_until_asked_for():
    text = Response("def add(a, b): return 42 if a == 17 else 1")
    assert python_function().score(text, ADD).value == 0.0
    assert python_function(partial=True).score(text, ADD).value == 0.5


def test_tests_may_be_text_and_have_a_tolerance():
    row = {"entry_point": "f", "tests": repr([{"args": [(1, 2)], "expected": (2, 1)}])}
    assert python_function().score(Response("def f(x): return x[::-1]"), row).value == 1.0
    assert python_function().score(Response("def f(x): return list(x)[::-1]"), row).value == 0.0
    row = {"entry_point": "f", "tests": [{"args": [], "kwargs": {"x": 3.0}, "expected": 9.5, "tolerance": 1.0}]}
    assert python_function().score(Response("def f(x): return x * x"), row).value == 1.0


def test_asserts_that_share_the_interpreter():
    row = {"entry_point": "f", "tests": [{"asserts": "for x in range(9):\n    assert f(x) == x * x"}]}
    assert python_function().score(Response("def f(x): return x * x"), row).value == 1.0
    assert python_function().score(Response("def f(x): return x"), row).value == 0.0
    assert python_function().score(Response("import os\nos._exit(0)"), row).value == 0.0


ECHO = {"tests": [{"stdin": "1\n2\n3\n", "stdout": "1\n2\n3\n"}, {"stdin": "", "stdout": ""}]}


@pytest.mark.parametrize(
    ("program", "value", "reason"),
    [
        ("import sys\nprint(sys.stdin.read())", 1.0, ""),
        ("import sys\nfor line in sys.stdin: print(line.strip() + '  ')", 1.0, ""),
        ("print(1)", 0.0, "wrong"),  # the first line alone
        ("print('1\\n2')", 0.0, "wrong"),
        ("print('1\\n2\\n3\\n4')", 0.0, "wrong"),
        ("print('1\\n\\n2\\n3')", 0.0, "wrong"),
        ("print(1, 2, 3)", 0.0, "wrong"),
        ("import sys\nprint(sys.stdin.read())\nraise SystemExit(1)", 0.0, "ended by exit 1 after 0 tests"),
        ("import sys\nprint(sys.stdin.read())\n1 / 0", 0.0, "ZeroDivisionError: division by zero"),
        ("print(1\n", 0.0, "syntax error"),
    ],
)
def test_every_line_of_the_output_counts(program, value, reason):
    assert python_stdio().score(Response(fenced(program)), ECHO) == (value, reason)


def test_partial_credit_of_scripts():
    assert python_stdio(partial=True).score(Response("pass"), ECHO).value == 0.5


def test_a_sandbox_that_did_not_start_scores_nothing(monkeypatch):
    class Broken:
        def run(self, program, inputs):
            raise SandboxError("the sandbox did not start: no luck")

    monkeypatch.setattr(code, "sandbox", lambda *limits: Broken())
    for reward, row in ((python_function(), ADD), (python_stdio(), ECHO)):
        assert reward.score(Response("def add(a, b): return a + b"), row) == (
            None,
            "the sandbox did not start: no luck",
        )
