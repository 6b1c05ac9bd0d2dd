"""Pulse: what each rank is doing, written where the others see it, so that a rank that never comes can be named."""

import contextlib
import json
import time
from collections.abc import Iterator

from lab.distributed import rank, world_size
from lab.errors import UserError
from lab.runs import Run

# How gloo and NCCL say that another rank did not come, or went.
LOST = ("Timed out waiting", "timed out", "Connection closed by peer", "Connection reset by peer", "Watchdog caught")


class Pulse:
    """One rank's notes in RUN/ranks/<rank>.json; nothing is written where there is but one rank."""

    def __init__(self, run: Run):
        self.run, self.step = run, 0

    def note(self, doing: str, sample: str = "") -> None:
        if world_size() > 1:
            entry = {"rank": rank(), "step": self.step, "doing": doing, "sample": sample[:200], "at": time.time()}
            self.run.write(f"ranks/{rank()}.json", json.dumps(entry))

    @contextlib.contextmanager
    def lost_ranks_named(self) -> Iterator[None]:
        """A wait that another rank let run out becomes a UserError with that rank, its step and what it was doing."""
        try:
            yield
        except RuntimeError as error:
            if world_size() == 1 or not any(words in str(error) for words in LOST):
                raise
            raise UserError(f"{self.laggard()}; `lab resume {self.run.path}` goes on once that is mended") from error

    def laggard(self) -> str:
        """The rank that has been silent for longest, in words."""
        notes = [json.loads(file.read_text()) for file in sorted((self.run.path / "ranks").glob("*.json"))]
        last = min((note for note in notes if note["rank"] != rank()), key=lambda note: note["at"], default=None)
        if last is None:
            return "another rank was lost before its first step"
        sample = f" ({last['sample']!r})" if last["sample"] else ""
        silent = time.time() - last["at"]
        return (
            f"rank {last['rank']} was lost or is stuck: {silent:.0f} s ago, in step {last['step'] + 1}, it was "
            f"{last['doing']}{sample}"
        )
