"""largest: the largest of a few whole numbers."""

from lab import Task
from rewards.numeric import numeric_answer


def rows(split, rng):
    while True:
        numbers = rng.sample(range(100), 4)
        yield {"numbers": ", ".join(map(str, numbers)), "answer": str(max(numbers))}


task = Task(
    rows=rows,
    prompt="What is the largest of {numbers}? Reply with only the number.",
    rewards={"correct": numeric_answer()},
    max_tokens=6,
)
