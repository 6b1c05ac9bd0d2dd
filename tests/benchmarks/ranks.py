"""What the lab adds to TRL's GRPO step, and a step's seconds on one process and on two.

    python tests/benchmarks/ranks.py [--model smollm2-135m-instruct] [--task largest] [--steps 4] [--pairs 5] [--alone]

Overhead: runs of TRL's GRPOTrainer used directly, with a reward in one line, alternate with runs of our GRPO stage
(worker processes that score, metrics.jsonl, live line, engine check) on the same rows with the same settings and
`grpo.shared_prefix=false`. A pair's ratio is that of the two runs' median seconds from step to step, the first step
left out; printed is the median ratio. Then, unless --alone: the smoke experiment under each preset for a CPU.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PRESETS = ("cpu1", "cpu2", "cpu2_zero2", "cpu2_zero3")
STEPS = ["sft=null", "grpo.max_steps=12", "grpo.save_strategy='no'", "eval.n=8", "eval.base=false"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--task", default="largest")
    parser.add_argument("--prompts", type=int, default=2, help="prompts a step")
    parser.add_argument("--answers", type=int, default=4, help="answers a prompt")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help="measure the overhead alone")
    options = parser.parse_args()
    overhead(options)
    for preset in () if options.alone else PRESETS:
        print(f"{preset:12} {seconds_under(preset):.3f} s a step", flush=True)


def overhead(options) -> None:
    from lab.config import load_experiment
    from lab.data import draw, load_tasks
    from lab.stages.pipeline import load_renderer, scorer_for
    from lab.stages.training import quiet_libraries

    settings = {"prompts_per_step": options.prompts, "num_generations": options.answers, "max_steps": options.steps}
    overrides = [f"grpo.{name}={value}" for name, value in settings.items()]
    overrides += ["grpo.shared_prefix=false", "grpo.save_strategy='no'", "grpo.learning_rate=1e-6"]
    experiment = load_experiment("smoke", [f"model={options.model}", f"task={options.task}", *overrides])
    tasks = load_tasks(experiment)
    renderer = load_renderer(experiment, experiment.model.checkpoint)
    ratios, found = [], {"TRL": [], "lab": []}
    with scorer_for(experiment, tasks) as scorer, quiet_libraries():
        rows = draw(experiment, tasks, scorer, ["grpo"]).grpo
        runs = {
            "TRL": lambda: plain_run(experiment, tasks, rows, renderer),
            "lab": lambda: our_run(experiment, tasks, rows, renderer, scorer),
        }
        for number in range(options.pairs):  # each comes first every other time
            pair = {name: runs[name]() for name in (list(runs) if number % 2 else reversed(runs))}
            ratios.append(pair["lab"] / pair["TRL"])
            for name, seconds in pair.items():
                found[name].append(seconds)
    ours, theirs = (statistics.median(found[name]) for name in ("lab", "TRL"))
    each = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    print(f"{options.model}, {options.task}: {options.prompts} prompts × {options.answers} answers")
    print(f"a step of TRL {theirs:.3f} s, of the lab {ours:.3f} s; ratio {statistics.median(ratios):.3f} ({each})")


def our_run(experiment, tasks, rows, renderer, scorer) -> float:
    from lab.checkpoints import load_model
    from lab.progress import LiveLine
    from lab.runs import Run
    from lab.stages.grpo import grpo
    from lab.stages.training import training_dtype
    from lab.stop import Stop

    with tempfile.TemporaryDirectory() as folder:
        experiment.output = folder
        run = Run.create(experiment, {})
        model = load_model(experiment.model.checkpoint, dtype=training_dtype(experiment))
        grpo(experiment, model, renderer, tasks, rows, scorer, run, LiveLine(), Stop())
        return step_seconds([line["seconds"] for line in run.metrics("grpo")])


def plain_run(experiment, tasks, rows, renderer) -> float:
    """TRL by hand: the prompts and the right answers in a dataset, a reward in one line."""
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from lab.checkpoints import load_model
    from lab.stages.training import trainer_arguments, training_dtype

    clock = []

    class Clock(TrainerCallback):
        def on_log(self, *args, logs=None, **kwargs):
            if "train_runtime" not in logs:
                clock.append(time.monotonic())

    def right(completions, answer, **kwargs):
        return [float(c[0]["content"].strip() == a) for c, a in zip(completions, answer)]

    (task,) = tasks.values()
    with tempfile.TemporaryDirectory() as folder:
        arguments = trainer_arguments(experiment, "grpo", Path(folder))
        trainer = GRPOTrainer(
            model=load_model(experiment.model.checkpoint, dtype=training_dtype(experiment)),
            args=GRPOConfig(**{"max_completion_length": task.max_tokens} | arguments),
            train_dataset=Dataset.from_list([{"prompt": task.messages(r), "answer": r["answer"]} for r in rows]),
            processing_class=renderer.tokenizer,
            reward_funcs=right,
            callbacks=[Clock()],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return step_seconds(clock)


def seconds_under(preset: str) -> float:
    """Seconds of a step of the smoke experiment, started by the real command."""
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, "-m", "lab", "grpo", "smoke", *STEPS, f"output={output}", "--accelerate", preset]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        (file,) = Path(output).glob("*/*/metrics.jsonl")
        return step_seconds([json.loads(line)["seconds"] for line in file.read_text().splitlines()])


def step_seconds(clock: list[float]) -> float:
    """The median from the end of one step to that of the next."""
    return statistics.median(later - earlier for earlier, later in zip(clock, clock[1:]))


if __name__ == "__main__":
    main()
