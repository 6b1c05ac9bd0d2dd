"""`lab new`: a task file that trains as it stands, and its test."""

import re
from pathlib import Path

from lab.errors import UserError

TASK = '''"""{name}: add two numbers. Replace the rows, the prompt and the reward by your own."""

from lab import Task
from rewards.numeric import numeric_answer


def rows(split, rng):
    while True:
        a, b = rng.randint(0, 99), rng.randint(0, 99)
        yield {{"question": f"What is {{a}} + {{b}}?", "answer": str(a + b)}}


task = Task(
    rows=rows,
    prompt="{{question}} Reply with only the number.",
    rewards={{"correct": numeric_answer()}},
    max_tokens=8,
)
'''

TEST = '''"""The task {name}: its golds are right, and a wrong answer is not."""

from pathlib import Path

import pytest

from lab.registry import load_task

task = load_task(str(Path(__file__).with_name("{name}.py")))


@pytest.mark.parametrize("split", task.has)
def test_golds_are_right_and_neighbours_are_wrong(split):
    for row in task.sample(split, 10):
        reward = task.rewards[task.primary]
        gold = task.demonstration(row)[-1]["content"]
        assert reward.score(task.response(gold), row) == reward.range[1]
        assert reward.score(task.response(gold + "1"), row) == reward.range[0]
'''


def write_task(name: str, folder: str) -> list[Path]:
    """Writes NAME.py and test_NAME.py into `folder`; UserError where one of them is there already."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(f"{name!r} is no task name: use small letters, digits and underscores, for example my_task")
    parent = Path(folder).expanduser()
    files = {parent / f"{name}.py": TASK, parent / f"test_{name}.py": TEST}
    for path in files:
        if path.exists():
            raise UserError(f"{path} exists already and is left as it is: choose another name or --folder")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.write_text(text.format(name=name), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{parent} cannot be written ({error.strerror}): choose another --folder") from None
    return list(files)
