"""largest: the largest of four whole numbers."""

from lab import Task
from rewards.numeric import numeric_answer


def rows(split, rng):
    while True:
        numbers = rng.sample(range(1, 100), 4)
        yield {"numbers": ", ".join(map(str, numbers)), "answer": str(max(numbers))}


task = Task(
    rows=rows,
    system="Reply with only the number.",
    prompt="What is the largest of {numbers}?",
    rewards={"correct": numeric_answer()},
    max_tokens=5,
)
