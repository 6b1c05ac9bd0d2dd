"""What the benchmarks of lettered choices share: how the choices are listed, and the task around them."""

from lab import Task
from rewards.choice import choice_answer

LETTERS = "ABCDE"


def listed(texts):
    return "\n".join(map("{}. {}".format, LETTERS, texts))


def choice_task(rows, has):
    """A Task of rows with the fields question, listed, choices and answer, a letter."""
    return Task(
        rows=rows,
        prompt="{question}\n{listed}\nThink, then put the letter of the right answer into \\boxed{}.",
        rewards={"correct": choice_answer()},
        answer="boxed",
        splits="given",
        has=has,
        max_tokens=256,
    )
