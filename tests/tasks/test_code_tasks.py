"""The tasks whose answer is a program: every gold passes its own tests, and constants do not."""

import pytest

from lab.registry import load_task
from lab.sandbox.asserts import SHARED, SPLIT, calls_of


def score(task, row, text):
    return task.rewards["correct"].score(task.response(text), row)


def test_programs_are_right_and_hidden():
    task = load_task("programs")
    for row in task.sample("train", 40):
        [shown] = task.demonstration(row)
        assert score(task, row, shown["content"]).value == 1.0, row
        assert score(task, row, f"def f(x, y): return {row['tests'][0]['expected']}").value == 0.0
        assert not any(str(test["args"]) in str(task.messages(row)) for test in row["tests"])
    prompts = [{task.key(row) for row in task.sample(split, 400)} for split in ("train", "test")]
    assert len(prompts[0]) == 400 and not prompts[0] & prompts[1]


def test_humaneval_golds_pass_and_an_empty_function_does_not():
    task = load_task("humaneval")
    rows = task.sample("test", 200)
    assert len(rows) == 164 and task.has == ("test",)
    assert sum(row["grading"] == SPLIT for row in rows) == 147 and {row["grading"] for row in rows} == {SPLIT, SHARED}
    for row in rows:
        [shown] = task.demonstration(row)
        assert score(task, row, shown["content"]).value == 1.0, row["entry_point"]
        assert score(task, row, row["signature"] + "    return None").value == 0.0, row["entry_point"]


MBPP = [  # our own problems, in the data set's columns
    {
        "text": "Write a function to swap a pair.",
        "code": "def swap(p):\r\n  return p[::-1]",
        "test_list": ["assert swap((1, 2)) == (2, 1)", "assert swap((3, 4))==(4, 3)", "assert swap((5, 1)) == (1, 5)"],
        "test_setup_code": "",
    },
    {
        "text": "Write a function to say whether a number is even.",
        "code": "def even(n):\r\n  return n % 2 == 0",
        "test_list": ["assert even(2)", "assert not even(3)", "assert even(8) == True"],
        "test_setup_code": "",
    },
    {
        "text": "Write a function whose tests need a helper.",
        "code": "def f(n):\r\n  return Node(n)",
        "test_list": ["assert f(2) == Node(2)", "assert f(3) == Node(3)"],
        "test_setup_code": "class Node: pass",
    },
]


def test_mbpp_reads_the_columns_and_hides_the_other_tests(monkeypatch):
    import datasets

    monkeypatch.setattr(datasets, "load_dataset", lambda source, split: MBPP)
    task = load_task("mbpp")
    rows = task.sample("test", 10)
    assert [row["entry_point"] for row in rows] == ["swap", "even"]  # the third cannot be turned into calls
    for row in rows:
        assert score(task, row, task.demonstration(row)[0]["content"]).value == 1.0
    assert score(task, rows[0], "def swap(p): return (2, 1)").value == 0.0
    assert score(task, rows[0], "def swap(p): return list(p)[::-1]").value == 0.0
    assert "(3, 4)" not in str(task.messages(rows[0])) and "swap((1, 2)) == (2, 1)" in str(task.messages(rows[0]))


@pytest.mark.parametrize(
    ("source", "tests"),
    [
        ("assert f(1, 'a') == [2]", [{"args": [1, "a"], "kwargs": {}, "expected": [2]}]),
        ("assert (1, 2) == f(x=-1)", [{"args": [], "kwargs": {"x": -1}, "expected": (1, 2)}]),
        ("assert f(1) is None", [{"args": [1], "kwargs": {}, "expected": None}]),
        ("assert f(1), 'message'", [{"args": [1], "kwargs": {}, "expected": True}]),
        ("assert not f(1)", [{"args": [1], "kwargs": {}, "expected": False}]),
        ("assert abs(f(1) - 2.5) < 0.1", [{"args": [1], "kwargs": {}, "expected": 2.5, "tolerance": 0.1}]),
        ("M = {'a': 1}\nassert f(1) == 2", [{"args": [1], "kwargs": {}, "expected": 2}]),
        ("def c(f):\n  'doc'\n  assert True\n  assert f(1) == 2", [{"args": [1], "kwargs": {}, "expected": 2}]),
        ("assert f(g(1)) == 2", None),
        ("assert f(1) == g(2)", None),
        ("assert f(1) > 2", None),
        ("assert f(*[1]) == 2", None),
        ("assert f(**{'x': 1}) == 2", None),
        ("for x in [1]:\n    assert f(x) == 2", None),
        ("import math\nassert f(1) == 2", None),
        ("x = g()\nassert f(1) == 2", None),
        ("assert g(1) == 2", None),
        ("assert f(1 == 2", None),
        ("", None),
    ],
)  # fmt: skip
def test_asserts_become_calls(source, tests):
    assert calls_of(source, "f") == tests
