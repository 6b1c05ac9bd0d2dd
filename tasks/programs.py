"""programs: write a small Python function; it is called with numbers that the prompt does not show."""

from lab import Task
from rewards.code import python_function

NAMES = ("x", "y")
# How it is said, the expression, and the function that knows the answer.
STEPS = (
    ("{0} + {1}", lambda a, b: a + b),
    ("{0} - {1}", lambda a, b: a - b),
    ("{0} * {1}", lambda a, b: a * b),
    ("max({0}, {1})", max),
    ("min({0}, {1})", min),
)


def rows(split, rng):
    while True:
        say, does = rng.choice(STEPS)
        shift, swap = rng.randint(0, 99), rng.random() < 0.5
        names = NAMES[::-1] if swap else NAMES
        expression = f"{say.format(*names)} + {shift}"
        inputs = [[rng.randint(-99, 99), rng.randint(-99, 99)] for _ in range(4)]
        results = [does(*(args[::-1] if swap else args)) + shift for args in inputs]
        tests = [{"args": args, "expected": result} for args, result in zip(inputs, results)]
        yield {"wanted": expression, "entry_point": "f", "tests": tests, "answer": f"def f(x, y): return {expression}"}


task = Task(
    rows=rows,
    prompt="f(x, y) = {wanted}. Write f in Python.",
    rewards={"correct": python_function()},
    max_tokens=48,
)
