"""Keeping: what a trainer does to leave checkpoints that can be gone on from, and to go on from one."""

import json
import shutil
from pathlib import Path

from transformers import TrainerCallback

from lab.distributed import any_rank, is_main
from lab.kept import checkpoints, mark_complete
from lab.stop import Stop

APART = 10  # steps between two checkpoints where their number is a share: one of a small model costs as much as a step


class Keeper(TrainerCallback):
    """Marks each checkpoint once all ranks have written theirs, drops the ones before it, and saves when asked to stop.

    limit  the checkpoints to keep; None keeps all
    every  optimizer steps between two generations of completions: a checkpoint amidst them could not be continued
           with the same completions, so it waits for the end
    """

    def __init__(self, trainer, limit: int | None, stop: Stop, every: int = 1):
        self.trainer, self.limit, self.stop, self.every = trainer, limit, stop, every
        self.waiting = self.stopping = False

    def on_train_begin(self, args, state, control, **kwargs):
        if args.save_steps < 1:
            state.save_steps = max(state.save_steps, APART)

    def on_step_end(self, args, state, control, **kwargs):
        self.stopping |= any_rank(self.stop.asked)
        self.stop.asked |= self.stopping  # another rank's stop is this one's: none goes on to evaluate half a stage
        self.waiting |= control.should_save or self.stopping
        at_the_end = state.global_step >= state.max_steps
        whole = state.global_step % self.every == 0 or at_the_end
        # At the end the weights alone are saved: the trainer's own checkpoint would be dropped right after them.
        control.should_save = self.waiting and whole and not (at_the_end and (self.stopping or self.limit == 1))
        if self.stopping and whole:
            control.should_training_stop = True

    def on_save(self, args, state, control, **kwargs):
        self.waiting = False
        self.trainer.accelerator.wait_for_everyone()
        if is_main():
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            mark_complete(folder)
            for older in checkpoints(folder.parent)[: -self.limit] if self.limit else []:
                shutil.rmtree(older)
        # Where a rank that has stopped ends, launchers end the others: not before the mark is there.
        self.trainer.accelerator.wait_for_everyone()


def restore(trainer, checkpoint: Path) -> None:
    """Brings back what TRL's trainers keep to themselves: the count of tokens, and the order of the prompts.

    The sampler of prompts draws each epoch's order from one generator, so that the epochs done are drawn again.
    """
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    if hasattr(trainer, "_total_train_tokens"):
        logged = [entry["num_tokens"] for entry in state["log_history"] if "num_tokens" in entry]
        trainer._total_train_tokens = max(logged, default=0)
    epochs = int(state["epoch"] + 1e-6)
    fresh = trainer._get_train_sampler

    def advanced(*arguments):
        sampler = fresh(*arguments)
        if getattr(sampler, "generator", None) is not None:
            for _ in range(epochs):
                next(iter(sampler))
        return sampler

    trainer._get_train_sampler = advanced
