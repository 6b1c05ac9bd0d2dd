"""Seconds of a GRPO step whose reward is slow, with answers scored while others are being written, and only after.

    python tests/benchmarks/overlap.py [--model smollm2-135m-instruct] [--reward waits|computes] [--seconds 0.1]

Runs of two kinds alternate; printed are the medians over the steps, the first two of each run left out. The reward
waits (a sandbox's start, a judge) or computes for so many seconds an answer.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

TASK = """
import time

from lab import Task, reward


@reward(version="1", reads=[], range=(0, 7))
def slow(response, row):
    until = time.monotonic() + {seconds}
    while time.monotonic() < until:
        {pause}
    return float(len(response.text) % 7)


def rows(split, rng):
    while True:
        yield {{"question": f"Say in few words what {{rng.randint(2, 99999)}} is good for.", "answer": ""}}


task = Task(rows=rows, prompt="{{question}}", rewards={{"slow": slow}}, answer="everything", gold=None)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--reward", choices=["waits", "computes"], default="waits")
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--answers", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    found = {"after": [], "meanwhile": []}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "slow.py"
        pause = "time.sleep(0.01)" if options.reward == "waits" else "sum(range(1000))"
        file.write_text(TASK.format(seconds=options.seconds, pause=pause))
        for _ in range(options.pairs):
            for kind in found:
                found[kind] += steps(options, file, early=kind == "meanwhile")
    for kind, lines in found.items():
        step, scoring = (statistics.median(line[name] for line in lines) for name in ("step_time", "scoring/seconds"))
        print(f"scored {kind:9}  {step:.2f} s a step, of which it waits {scoring:.2f} s for scores")
    same = [[line["reward"] for line in lines] for lines in found.values()]
    print("the same rewards" if same[0] == same[1] else f"NOT the same rewards: {same}")


def steps(options, file: Path, early: bool) -> list[dict]:
    """The metrics of one run's steps."""
    from lab import scoring
    from lab.checkpoints import load_model
    from lab.config import load_experiment
    from lab.data import draw, load_tasks
    from lab.progress import LiveLine
    from lab.runs import Run
    from lab.stages.grpo import grpo
    from lab.stages.pipeline import load_renderer, scorer_for
    from lab.stages.training import quiet_libraries, training_dtype
    from lab.stop import Stop

    scoring.WORTH_BEGINNING = 0.0 if early else float("inf")
    with tempfile.TemporaryDirectory() as folder:
        sizes = {
            "prompts_per_step": options.prompts,
            "num_generations": options.answers,
            "max_steps": options.steps + 2,
        }
        sizes |= {"max_completion_length": options.tokens, "learning_rate": 1e-7, "save_strategy": "'no'"}
        settings = [f"model={options.model}", f"task={file}", f"output={folder}", "eval.n=4"]
        experiment = load_experiment("smoke", [*settings, *(f"grpo.{name}={value}" for name, value in sizes.items())])
        tasks = load_tasks(experiment)
        renderer = load_renderer(experiment, experiment.model.checkpoint)
        with scorer_for(experiment, tasks) as scorer, quiet_libraries():
            rows = draw(experiment, tasks, scorer, ["grpo"]).grpo
            model = load_model(experiment.model.checkpoint, dtype=training_dtype(experiment))
            run = Run.create(experiment, {})
            grpo(experiment, model, renderer, tasks, rows, scorer, run, LiveLine(), Stop())
        return run.metrics("grpo")[2:]


if __name__ == "__main__":
    main()
