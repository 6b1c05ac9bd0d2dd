"""Keeping: a trainer's checkpoints between the steps, of which a killed run finds the newest that is whole."""

import json
import os
import shutil
from pathlib import Path

from transformers import TrainerCallback

from lab.distributed import any_rank, is_main, world_size
from lab.errors import UserError
from lab.stop import Stop

MARK = "complete.json"  # written last: the checkpoint's files with their sizes, and the processes it belongs to


class Keeper(TrainerCallback):
    """Marks each checkpoint once all ranks have written theirs, drops the ones before it, and saves when asked to stop.

    limit  the checkpoints to keep; None keeps all
    every  optimizer steps between two generations of completions: a checkpoint amidst them could not be continued
           with the same completions, so it waits for the end
    """

    def __init__(self, trainer, limit: int | None, stop: Stop, every: int = 1):
        self.trainer, self.limit, self.stop, self.every = trainer, limit, stop, every
        self.waiting = self.stopping = False

    def on_step_end(self, args, state, control, **kwargs):
        self.stopping |= any_rank(self.stop.asked)
        self.waiting |= control.should_save or self.stopping
        at_the_end = state.global_step >= state.max_steps
        whole = state.global_step % self.every == 0 or at_the_end
        control.should_save = self.waiting and whole and not (at_the_end and self.stopping)
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


def mark_complete(folder: Path) -> None:
    """Declares a checkpoint whole. Its files reach the disk before the mark does."""
    files = {str(f.relative_to(folder)): f for f in sorted(folder.rglob("*")) if f.is_file() and f.name != MARK}
    for file in files.values():
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    sizes = {name: file.stat().st_size for name, file in files.items()}
    half = folder / f".{MARK}"
    half.write_text(json.dumps({"processes": world_size(), "files": sizes}, indent=1))
    os.replace(half, folder / MARK)


def is_complete(folder: Path) -> bool:
    """Whether every file that the checkpoint's mark names is there in its full size."""
    try:
        files = json.loads((folder / MARK).read_text())["files"]
        return all((folder / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError):
        return False


def checkpoints(folder: Path) -> list[Path]:
    """A trainer's checkpoints, the oldest first, half-written ones among them."""
    return sorted(folder.glob("checkpoint-*"), key=step)


def newest_complete(folder: Path) -> Path | None:
    """The checkpoint to go on from; UserError where it belongs to another number of processes."""
    whole = [path for path in checkpoints(folder) if is_complete(path)]
    if not whole:
        return None
    processes = json.loads((whole[-1] / MARK).read_text())["processes"]
    if processes != world_size():
        raise UserError(
            f"{whole[-1]} was written by {processes} process{'es' * (processes > 1)}, this is a run of {world_size()}: "
            f"optimizer shards and random states belong to their process, so resume with {processes}"
        )
    return whole[-1]


def remove_incomplete(folder: Path) -> None:
    for path in checkpoints(folder):
        if not is_complete(path):
            shutil.rmtree(path)


def remove_all(folder: Path) -> None:
    for path in checkpoints(folder):
        shutil.rmtree(path)


def step(checkpoint: Path) -> int:
    """The optimizer steps behind a checkpoint."""
    return int(checkpoint.name.rpartition("-")[2])


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
