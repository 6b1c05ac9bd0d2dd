"""arithmetic: add, subtract or multiply two whole numbers."""

from lab import Task
from rewards.numeric import numeric_answer

OPERATIONS = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}


def rows(split, rng):
    while True:
        sign = rng.choice("+-*")
        limit = 12 if sign == "*" else 99
        a, b = rng.randint(0, limit), rng.randint(0, limit)
        yield {"question": f"What is {a} {sign} {b}?", "answer": str(OPERATIONS[sign](a, b))}


task = Task(
    rows=rows,
    prompt="{question} Reply with only the number.",
    rewards={"correct": numeric_answer()},
    max_tokens=8,
)
