"""programs: write a small Python function; it is called with numbers that the prompt does not show."""

from operator import add, mul, sub

from lab import Task
from rewards.code import python_function

# Words of one length, operands of one character: even a model of single characters can learn to read them.
STEPS = {"add": ("+", add), "sub": ("-", sub), "mul": ("*", mul)}
OPERANDS = "xy123456789"


def rows(split, rng):
    while True:
        start, (one, two) = rng.choice("xy"), (rng.choice(list(STEPS)) for _ in "ab")
        a, b = (rng.choice(OPERANDS) for _ in "ab")
        tests = []
        for args in ([rng.randint(-99, 99), rng.randint(-99, 99)] for _ in range(4)):
            value = dict(zip("xy", args)) | {digit: int(digit) for digit in OPERANDS[2:]}
            expected = STEPS[two][1](STEPS[one][1](value[start], value[a]), value[b])
            tests.append({"args": args, "expected": expected})
        if len({test["expected"] for test in tests}) > 1:  # else a constant would be right
            yield {
                "steps": f"{start} {one} {a} {two} {b}",
                "entry_point": "f",
                "tests": tests,
                "answer": f"def f(x, y): return ({start} {STEPS[one][0]} {a}) {STEPS[two][0]} {b}",
            }


task = Task(
    rows=rows,
    prompt="Write f(x, y) in Python: {steps}",
    rewards={"correct": python_function()},
    max_tokens=48,
)
