"""digits: the largest of four digits, asked so briefly that a tiny model learns it in seconds."""

from lab import Task
from rewards.numeric import numeric_answer


def rows(split, rng):
    while True:
        digits = [rng.randint(0, 9) for _ in range(4)]
        yield {"digits": " ".join(map(str, digits)), "answer": str(max(digits))}


task = Task(rows=rows, prompt="max {digits}", rewards={"correct": numeric_answer()}, max_tokens=4)
