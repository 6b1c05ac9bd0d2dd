"""Answers a second of math_answer, through the scoring service, against TRL's accuracy_reward: one run, one machine.

    python tests/benchmarks/math_answers.py [--rounds 3] [--seed 0] [--workers N]

2,000 completions of about 1 kB (250 prompts, 8 each) of our own making, so that each one's right verdict is known:
first half integers and half formulas, then integers alone. Starting the workers is not counted, a cold cache is. Golds
are wrapped in $…$ for TRL, which refuses many bare ones. Prints the median of the rounds, the ratio, and both verdicts.
"""

import argparse
import random
import statistics
import time

from lab import Task
from lab.scoring import Scorer
from rewards.math import math_answer

PROMPTS, GENERATIONS = 250, 8
SHARE_RIGHT = 0.46
FILLER = (
    "we first write down what is given and name the unknown then the two equations are added so that one term falls "
    "away and what is left can be solved at once which we check by putting it back into the first line"
)
BOMB = r"\boxed{9^{9^{9^{9}}} + \gcd(10^{10^6}, 3^{10^6})}"


def integer(rng):
    n = rng.randint(-9_999, 99_999)
    right = [f"{n}", f"{n}", f"{n}", f"{n}.0", f"x = {n}"] + ([f"{n:,}"] if abs(n) > 999 else [])
    return str(n), right, [str(n + rng.choice([-10, -1, 1, 2, 7])), str(n * 10), str(-n or 1)]


def fraction(rng):
    a, b = rng.choice([1, 3, 5, 7, 11, 13]), rng.choice([2, 4, 8, 16])
    wrong = [rf"\frac{{{b}}}{{{a}}}", rf"\frac{{{a + 2}}}{{{b}}}", rf"-\frac{{{a}}}{{{b}}}"]
    return rf"\frac{{{a}}}{{{b}}}", [rf"\frac{{{a}}}{{{b}}}", rf"\dfrac{{{a}}}{{{b}}}", f"{a}/{b}", str(a / b)], wrong


def surd(rng):
    a, b = rng.randint(2, 9), rng.choice([2, 3, 5, 6, 7])
    wrong = [rf"{b}\sqrt{{{a}}}" if a != b else "1", rf"\sqrt{{{a * b}}}", rf"{a + 1}\sqrt{{{b}}}"]
    return rf"{a}\sqrt{{{b}}}", [rf"{a}\sqrt{{{b}}}", rf"\sqrt{{{a * a * b}}}", rf"{a} \cdot \sqrt{{{b}}}"], wrong


def quadratic(rng):
    a, b = rng.randint(1, 9), rng.randint(1, 9)
    gold = f"x^2 + {a + b}x + {a * b}"
    return (
        gold,
        [gold, f"(x+{a})(x+{b})", f"{a * b} + {a + b}x + x^2"],
        [f"x^2 + {a + b}x + {a * b + 1}", f"(x-{a})(x+{b})"],
    )


def angle(rng):
    a, b = rng.choice([1, 2, 5, 7]), rng.choice([3, 4, 6, 9])
    gold = rf"\frac{{{a}\pi}}{{{b}}}"
    return (
        gold,
        [gold, rf"{a}\pi/{b}", rf"\frac{{{a}}}{{{b}}}\pi"],
        [rf"\frac{{{a}}}{{{b}}}", rf"\frac{{{a}\pi}}{{{b + 1}}}"],
    )


def pair(rng):
    a, b = rng.sample(range(-9, 10), 2)
    return f"({a}, {b})", [f"({a}, {b})", f"({a},{b})", rf"\left({a}, {b}\right)"], [f"({b}, {a})", f"({a}, {b + 1})"]


def interval(rng):
    a = rng.randint(-9, 5)
    b = a + rng.randint(1, 9)
    return f"[{a}, {b})", [f"[{a}, {b})", rf"\left[{a}, {b}\right)"], [f"[{a}, {b}]", f"({a}, {b})", f"[{a}, {b + 1})"]


FORMULAS = (fraction, surd, quadratic, angle, pair, interval)


def completions(seed: int, share_integers: float):
    """(golds, texts, whether each is right): PROMPTS × GENERATIONS of each."""
    rng = random.Random(seed)
    golds, texts, right = [], [], []
    for _ in range(PROMPTS):
        gold, good, bad = (integer if rng.random() < share_integers else rng.choice(FORMULAS))(rng)
        for _ in range(GENERATIONS):
            is_right = rng.random() < SHARE_RIGHT
            answer = rng.choice(good if is_right else bad)
            filler = " ".join(rng.choice(FILLER.split()) for _ in range(190))
            golds.append(gold)
            texts.append(rf"{filler}. The answer is $\boxed{{{answer}}}$.")
            right.append(is_right)
    return golds, texts, right


def ours(golds, texts, workers):
    task = Task(
        rows=lambda split, rng: [], prompt="{answer}", rewards={"correct": math_answer()}, answer="boxed", name="m"
    )
    rows = {gold: {"task": "m", "answer": gold} for gold in golds}
    with Scorer({"m": task}, workers=workers) as scorer:
        scorer.grade([task.response(rf"\boxed{{{i}}}") for i in range(64)], [{"task": "m", "answer": "7"}] * 64)
        started = time.perf_counter()
        graded = scorer.grade([task.response(text) for text in texts], [rows[gold] for gold in golds])
        seconds = time.perf_counter() - started
    return seconds, [one.primary for one in graded]


def trls(golds, texts):
    from trl.rewards import accuracy_reward

    chats = [[{"role": "assistant", "content": text}] for text in texts]
    accuracy_reward(chats[:8], [f"${gold}$" for gold in golds[:8]])
    started = time.perf_counter()
    verdicts = accuracy_reward(chats, [f"${gold}$" for gold in golds])
    return time.perf_counter() - started, verdicts


def bomb_among(workers, count=64):
    """Seconds that one bomb adds to a batch of `count` answers, and its verdict."""
    golds, texts, _ = completions(1, 0.5)
    seconds = [ours(golds[:count], texts[: count - 1] + [last], workers) for last in (texts[count - 1], BOMB)]
    return seconds[1][0] - seconds[0][0], seconds[1][1][-1]


def wrong_verdicts(verdicts, right) -> str:
    false = [sum(v == 1 and not r for v, r in zip(verdicts, right)), sum(v != 1 and r for v, r in zip(verdicts, right))]
    return f"{false[0]} false accepts, {false[1]} false rejects"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=None)
    options = parser.parse_args()
    for label, share in (("half integers, half formulas", 0.5), ("integers alone", 1.0)):
        golds, texts, right = completions(options.seed, share)
        rounds = [(ours(golds, texts, options.workers), trls(golds, texts)) for _ in range(options.rounds)]
        mine = len(texts) / statistics.median(own[0] for own, _ in rounds)
        theirs = len(texts) / statistics.median(other[0] for _, other in rounds)
        ratio = statistics.median(other[0] / own[0] for own, other in rounds)
        print(f"{label}: {len(texts)} answers, {sum(right) / len(right):.0%} right, median of {options.rounds} rounds")
        print(f"  math_answer in the scorer {mine:8.0f} answers/s   {wrong_verdicts(rounds[0][0][1], right)}")
        print(f"  TRL accuracy_reward       {theirs:8.0f} answers/s   {wrong_verdicts(rounds[0][1][1], right)}")
        print(f"  ratio {ratio:.1f}")
    added, verdict = bomb_among(options.workers)
    print(f"a bomb among 64 answers adds {added:.2f} s and scores {verdict}")


if __name__ == "__main__":
    main()
