"""Wall time of GRPO to a fixed held-out accuracy, from one SFT checkpoint: the lab's defaults against plain TRL's.

    python tests/benchmarks/to_accuracy.py [--target 0.65] [--seeds 0 1 2] [--arms ours trl] [--threads 2]

The learning problem is the same for all: the experiment's rows, rewards, learning rate, prompts and answers a step,
token limit and budget of steps. The rest is each side's own default. "trl" is a GRPOTrainer told nothing else but
use_cpu: on a CPU that means bfloat16 autocast, gradient checkpointing, a learning rate that falls to zero over the
budget, and micro-batches of 8 rows; "trl-float32" is the same in float32. Checkpoints are off for all. Every few steps
the greedy accuracy on the held-out rows is taken, and its time left out; an arm ends when it reaches the target.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

ARMS = ("ours", "trl", "trl-float32")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="quickstart")
    parser.add_argument("--target", type=float, default=0.65)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS[:2]))
    parser.add_argument("--steps", type=int, default=40, help="the budget")
    parser.add_argument("--every", type=int, default=4, help="steps between evaluations")
    parser.add_argument("--rows", type=int, default=200, help="held-out rows")
    parser.add_argument("--checkpoint", help="of SFT; made here if not given")
    parser.add_argument("--threads", type=int, default=0, help="0: as torch chooses")
    options = parser.parse_args()
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = options.checkpoint or after_sft(options, folder)
        print(f"{options.config}, {torch.get_num_threads()} threads, to {options.target:.0%} of {options.rows} rows")
        print("seed arm          seconds  steps  a step  accuracy on the way", flush=True)
        found: dict[str, list] = {arm: [] for arm in options.arms}
        for seed in options.seeds:
            for arm in options.arms:
                found[arm].append(train(arm, options, seed, checkpoint, folder))
    for arm in options.arms[1:]:
        ratios = [b / a for a, b in zip(found[options.arms[0]], found[arm], strict=True) if a and b]
        if ratios:
            print(f"{arm} / {options.arms[0]}: {statistics.median(ratios):.2f} (median of {len(ratios)})")


def after_sft(options, folder: str) -> str:
    """The experiment's own SFT stage; the checkpoint it leaves."""
    settings = [f"output={folder}", "eval.base=false", "eval.n=8"]
    subprocess.run([sys.executable, "-m", "lab", "sft", options.config, *settings], check=True, capture_output=True)
    (checkpoint,) = Path(folder).glob("*/*/sft")
    return str(checkpoint)


def train(arm: str, options, seed: int, checkpoint: str, folder: str) -> float | None:
    """Prints the arm's way; returns the seconds to the target, None where the budget did not reach it."""
    from lab.config import load_experiment
    from lab.data import draw, load_tasks
    from lab.stages.pipeline import load_renderer, scorer_for
    from lab.stages.training import free_memory, quiet_libraries

    settings = [f"seed={seed}", f"grpo.max_steps={options.steps}", f"eval.n={options.rows}"]
    experiment = load_experiment(options.config, settings)
    tasks = load_tasks(experiment)
    renderer = load_renderer(experiment, checkpoint)
    with quiet_libraries(), scorer_for(experiment, tasks) as scorer:
        data = draw(experiment, tasks, scorer)
        trainer = build(arm, experiment, tasks, renderer, data, scorer, checkpoint, folder)
        watch = stop_watch(options, lambda model: accuracy(model, experiment, tasks, renderer, data, scorer))
        trainer.add_callback(watch)
        trainer.train()
    del trainer
    free_memory()
    way = ", ".join(f"{step}: {share:.1%}" for step, share in watch.way.items())
    steps = max(watch.way)
    reached = watch.way[steps] >= options.target
    shown = f"{watch.seconds:8.1f}" if reached else f">{watch.seconds:7.1f}"
    print(f"{seed:4} {arm:11} {shown} {steps:6} {watch.seconds / steps:7.2f}  {way}", flush=True)
    return watch.seconds if reached else None


def build(arm: str, experiment, tasks, renderer, data, scorer, checkpoint: str, folder: str):
    """A trainer on the experiment's rows and rewards: ours as the GRPO stage makes it, or TRL's."""
    from datasets import Dataset
    from transformers.trainer_callback import PrinterCallback
    from trl import GRPOConfig, GRPOTrainer

    from lab.checkpoints import load_model
    from lab.stages.grpo import RewardTable, trainer_kind
    from lab.stages.training import trainer_arguments

    table = RewardTable(tasks, data.grpo, renderer, scorer)
    settings = trainer_arguments(experiment, "grpo", Path(folder) / "grpo") | {
        "max_completion_length": max(task.max_tokens for task in tasks.values()),
        "reward_weights": [column.weight for column in table.columns],
        "chat_template_kwargs": renderer.template_kwargs,
        "remove_unused_columns": False,
        "save_strategy": "no",
        "log_completions": False,
    }
    if arm != "ours":
        rows = settings["per_device_train_batch_size"] * settings["gradient_accumulation_steps"]
        problem = ("output_dir", "seed", "learning_rate", "max_steps", "num_generations", "max_completion_length")
        form = ("reward_weights", "chat_template_kwargs", "remove_unused_columns", "use_cpu")
        off = ("save_strategy", "disable_tqdm")
        settings = {name: settings[name] for name in (*problem, *form, *off) if name in settings}
        settings["gradient_accumulation_steps"] = rows // GRPOConfig.per_device_train_batch_size
        if arm == "trl-float32":
            settings["bf16"] = False
    trainer = (trainer_kind(experiment.grpo) if arm == "ours" else GRPOTrainer)(
        model=load_model(checkpoint, dtype="float32"),
        args=GRPOConfig(**settings),
        train_dataset=Dataset.from_dict(
            {
                "prompt": [renderer.prompt(tasks[row["task"]].messages(row)) for row in data.grpo],
                "row_index": list(range(len(data.grpo))),
            }
        ),
        processing_class=renderer.tokenizer,
        reward_funcs=table.columns,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def accuracy(model, experiment, tasks, renderer, data, scorer) -> float:
    """Greedy accuracy on the held-out rows; the trainer's random numbers go on as if it had not been taken."""
    import torch

    from lab.progress import LiveLine
    from lab.stages.evaluate import evaluate, numbers

    with torch.random.fork_rng():
        samples = evaluate(model, renderer, tasks, data.eval, scorer, experiment.eval, LiveLine())
    model.train()
    return numbers(samples)["accuracy"]


def stop_watch(options, measured):
    """A callback that stops the training at the target. way: step → accuracy; seconds: of training alone."""
    from transformers import TrainerCallback

    class StopWatch(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            self.way, self.seconds, self.since = {}, 0.0, time.perf_counter()

        def on_step_end(self, args, state, control, model, **kwargs):
            if state.global_step % options.every and state.global_step < options.steps:
                return
            self.seconds += time.perf_counter() - self.since
            self.way[state.global_step] = measured(model)
            control.should_training_stop = self.way[state.global_step] >= options.target
            self.since = time.perf_counter()

    return StopWatch()


if __name__ == "__main__":
    main()
