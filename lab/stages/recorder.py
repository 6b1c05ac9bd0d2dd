"""Recorder: each training step's metrics into metrics.jsonl, and those that matter onto the live line."""

import time

from transformers import TrainerCallback

from lab.progress import LiveLine, bar
from lab.runs import Run

# TRL's name → ours, in the order of the live line; what is not named here keeps its own name in metrics.jsonl.
NAMES = {
    "reward": "reward",
    "accuracy": "accuracy",
    "frac_reward_zero_std": "zero_signal",
    "completions/clipped_ratio": "truncated",
    "completions/mean_length": "tokens",
    "loss": "loss",
    "mean_token_accuracy": "token_accuracy",
}
SHOWN = {
    "grpo": ("reward", "accuracy", "zero_signal", "truncated", "tokens"),
    "sft": ("token_accuracy", "loss"),
}
SHARES = {"accuracy", "zero_signal", "truncated", "token_accuracy"}


class Recorder(TrainerCallback):
    """Writes each step's metrics to the run and shows them, those that matter for the stage first."""

    def __init__(self, stage: str, run: Run, line: LiveLine):
        self.stage, self.run, self.line = stage, run, line
        self.started = time.monotonic()

    def on_train_begin(self, args, state, control, **kwargs):
        # A resumed stage's clock goes on where the last step that counts left it.
        self.started = time.monotonic() - max((m["seconds"] for m in self.run.metrics(self.stage)), default=0.0)

    def on_log(self, args, state, control, logs=None, **kwargs):
        if not state.is_world_process_zero or not logs or "train_runtime" in logs:
            return
        seconds = time.monotonic() - self.started
        metrics = {our_name(key): value for key, value in logs.items()}
        self.run.log(stage=self.stage, step=state.global_step, seconds=round(seconds, 3), **metrics)
        shown = [
            f"{name} {_number(name, metrics[name])}" for name in SHOWN[self.stage] if metrics.get(name) is not None
        ]
        self.line.show(bar(self.stage, state.global_step, state.max_steps, seconds, "  ".join(shown)))


def our_name(key: str) -> str:
    """TRL's metric name in the lab's words: "rewards/correct/mean" → "reward/correct"."""
    if key.startswith("rewards/") and key.endswith("/mean"):
        return "reward/" + key.removeprefix("rewards/").removesuffix("/mean")
    return NAMES.get(key, key)


def _number(name: str, value: float) -> str:
    return f"{100 * value:3.0f} %" if name in SHARES else f"{value:.2f}"
