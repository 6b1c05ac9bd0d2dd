"""What the scoring pool costs and saves: python tests/benchmarks/scoring.py. Ratios of one run, medians of several."""

import statistics
import sys
import time
from pathlib import Path

from lab import Response, Task, workers
from lab.registry import load_reward
from lab.scoring import Scorer

ANSWERS, BATCH, ROUNDS = 2_000, 64, 5
ROW = {"task": "t", "question": "How many?", "answer": "1234"}


def scorer(reward, **options) -> Scorer:
    task = Task(rows=lambda split, rng: [], prompt="{question}", rewards={"r": reward}, name="t")
    return Scorer({"t": task}, workers=2, **options)


def seconds(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def grade(service: Scorer, texts: list[str]) -> float:
    responses = [Response(text) for text in texts]
    return seconds(lambda: service.grade(responses, [ROW] * len(texts), keep_going=True))


def chunks() -> None:
    """2,000 different short answers to the numeric reward: in chunks, and one message a response."""
    chunked, single, cached, direct = [], [], [], []
    reward, largest = load_reward("numeric"), workers.LARGEST_CHUNK
    with scorer(reward) as service:
        grade(service, ["1234"])
        for turn in range(ROUNDS):
            texts = [str(turn * ANSWERS + i) for i in range(ANSWERS)]
            chunked.append(grade(service, texts))
            cached.append(grade(service, texts))
            workers.LARGEST_CHUNK = 1
            single.append(grade(service, [f"-{text}" for text in texts]))
            workers.LARGEST_CHUNK = largest
            direct.append(seconds(lambda texts=texts: [reward.score(Response(text), ROW) for text in texts]))
    median = {
        name: statistics.median(times) for name, times in locals().items() if name in ("chunked", "single", "cached")
    }
    print(f"{ANSWERS} answers, numeric, 2 workers, median of {ROUNDS}:")
    for name, time_ in median.items():
        print(f"  {name:<8} {time_:7.3f} s  {ANSWERS / time_:9.0f} a second")
    print(f"  in this process, unguarded: {statistics.median(direct):.3f} s")
    print(f"  chunks against one by one: {median['single'] / median['chunked']:.1f} times as fast")
    print(f"  remembered against scored: {median['chunked'] / median['cached']:.1f} times as fast")


def bomb() -> None:
    """64 answers without and with one that holds the interpreter's lock for minutes."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import scoring_rewards

    clean, bombed, lost = [], [], []
    with scorer(scoring_rewards.odd) as service:
        grade(service, ["1234"])
        for turn in range(3):
            texts = [f"{turn}/{i}" for i in range(BATCH)]
            clean.append(grade(service, texts))
            with_bomb = [f"{text}!" for text in texts[1:]]
            with_bomb.insert(BATCH // 3, "hang")
            bombed.append(grade(service, with_bomb))
            lost.append(service.metrics().get("reward_errors/r/deadline", 0))
    print(
        f"{BATCH} answers: {statistics.median(clean):.3f} s; with a bomb among them {statistics.median(bombed):.2f} s"
    )
    print(f"  (deadline 2.5 s; slowest {max(bombed):.2f} s; responses lost in each round: {lost})")


if __name__ == "__main__":
    chunks()
    bomb()
