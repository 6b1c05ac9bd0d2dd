"""Pulse: what each rank is doing, written where the others see it, so that a rank that never comes can be named."""

import contextlib
import json
import os
import platform
import signal
import time
from collections.abc import Iterator, Sequence

from lab.distributed import rank, world_size
from lab.errors import LostRankError
from lab.runs import Run
from lab.task import Row

# How gloo and NCCL say that another rank did not come, or went.
LOST = ("Timed out waiting", "timed out", "Connection closed by peer", "Connection reset by peer", "Watchdog caught")


BEGAN = time.time()  # notes from before are those of a run that was resumed: their process ids may be others' by now


class Pulse:
    """One rank's notes in RUN/ranks/<rank>.json; nothing is written where there is but one rank."""

    def __init__(self, run: Run):
        self.run = run
        self.step: int | None = None  # steps done in the stage that trains

    def note(self, doing: str, sample: str = "") -> None:
        if world_size() > 1:
            entry = {"rank": rank(), "step": self.step, "doing": doing, "sample": sample[:200], "at": time.time()}
            entry |= {"host": platform.node(), "pid": os.getpid()}
            self.run.write(f"ranks/{rank()}.json", json.dumps(entry))

    def note_generation(self, trainer, rows: Sequence[Row]) -> None:
        """Has the trainer note, before it generates, the first row it is about to answer."""
        generate = trainer._generate_and_score_completions

        def noted(inputs):
            self.note("answering", str(dict(rows[inputs[0]["row_index"]])))
            return generate(inputs)

        trainer._generate_and_score_completions = noted

    @contextlib.contextmanager
    def lost_ranks_named(self) -> Iterator[None]:
        """A wait that another rank let run out becomes a LostRankError: that rank, its step, what it was doing."""
        try:
            yield
        except RuntimeError as error:
            if world_size() == 1 or not any(words in str(error) for words in LOST):
                raise
            raise LostRankError(
                f"{self._laggard()}; `lab resume {self.run.path}` goes on once that is mended"
            ) from error

    def _laggard(self) -> str:
        """The rank that has been silent for longest, in words. It is ended: one that is stuck hears no SIGTERM."""
        notes = [json.loads(file.read_text()) for file in sorted((self.run.path / "ranks").glob("*.json"))]
        others = [note for note in notes if note["rank"] != rank() and note["at"] >= BEGAN]
        last = min(others, key=lambda note: note["at"], default=None)
        if last is None:
            return "another rank was lost before its first step"
        if last["host"] == platform.node():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(last["pid"], signal.SIGKILL)
        sample = f" ({last['sample']!r})" if last["sample"] else ""
        step = "" if last["step"] is None else f", in step {last['step'] + 1}"
        return (
            f"rank {last['rank']} was lost or is stuck: {time.time() - last['at']:.0f} s ago{step}, it was "
            f"{last['doing']}{sample}"
        )
