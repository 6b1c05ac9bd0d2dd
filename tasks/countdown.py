"""countdown: combine the given numbers, each at most once, so that they make the target."""

from operator import add, floordiv, mul, sub

from lab import Task
from rewards.expression import expression_answer

OPERATIONS = {"+": add, "-": sub, "*": mul, "/": floordiv}


def rows(split, rng):
    while True:  # joins the numbers two by two at random: what comes out can be reached
        numbers = [rng.randint(1, 50) for _ in range(rng.randint(3, 4))]
        terms, steps = [(number, str(number)) for number in numbers], []
        while len(terms) > 1:
            (a, left), (b, right) = (terms.pop(rng.randrange(len(terms))) for _ in "ab")
            sign = rng.choice([s for s in "+-*/" if s != "/" or (b and a % b == 0)])
            terms.append((OPERATIONS[sign](a, b), f"({left} {sign} {right})"))
            steps.append(f"{a} {sign} {b} = {terms[-1][0]}")
        target, solution = terms[0]
        if 0 < target < 1000 and target not in numbers:
            yield {"numbers": numbers, "target": target, "answer": solution[1:-1], "steps": ", ".join(steps)}


task = Task(
    rows=rows,
    prompt="Make {target} from the numbers {numbers} with + - * / and brackets, each number used at most once. "
    "Reply with the expression between <answer> and </answer>.",
    rewards={"correct": expression_answer()},
    answer="<answer>",
    demonstrate=lambda row: f"{row['steps']}\n<answer>{row['answer']}</answer>",
)
