"""mbpp: short Python functions from a sentence and one example (Austin et al. 2021, arXiv:2108.07732).

From the hub's data set google-research-datasets/mbpp (CC BY 4.0). The prompt shows the first assert; a program is
graded by the others, so it cannot pass by a table of what it was shown. Problems whose tests cannot be turned into
calls are left out.
"""

import ast

from lab import Task
from lab.sandbox.asserts import calls_of
from rewards.code import python_function

SOURCE = "google-research-datasets/mbpp"


def rows(split, rng):
    from datasets import load_dataset

    for problem in load_dataset(SOURCE, split=split):
        yield from graded(problem)


def graded(problem):
    """The row of one problem (fields text, code, test_list, test_setup_code), or none."""
    shown, *hidden = problem["test_list"]
    name = called(shown)
    tests = name and not problem["test_setup_code"] and calls_of("\n".join(hidden), name)
    if tests and calls_of(shown, name):
        yield {
            "question": problem["text"],
            "example": shown,
            "entry_point": name,
            "tests": repr(tests),
            "answer": problem["code"].replace("\r\n", "\n"),
        }


def called(example):
    """The name of the function that an assert calls; None where it is not a plain comparison of one call."""
    [statement] = ast.parse(example).body
    compared = statement.test.left if isinstance(statement.test, ast.Compare) else statement.test
    return compared.func.id if isinstance(compared, ast.Call) and isinstance(compared.func, ast.Name) else None


task = Task(
    rows=rows,
    prompt="{question} Your function has to pass tests such as:\n{example}\nReply with one ```python block.",
    rewards={"correct": python_function()},
    demonstrate=lambda row: f"```python\n{row['answer']}\n```",
    splits="given",
    max_tokens=512,
)
