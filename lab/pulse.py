"""Pulse: what each rank is doing, written where the others see it, so that a rank that never comes can be named."""

import contextlib
import itertools
import json
import os
import platform
import signal
import time
from collections.abc import Iterator, Mapping, Sequence

from lab.distributed import rank, world_size
from lab.errors import LostRankError
from lab.runs import Run
from lab.task import Row

# How gloo and NCCL say that another rank did not come, or went.
LOST = ("Timed out waiting", "timed out", "Connection closed by peer", "Connection reset by peer", "Watchdog caught")
HEARD_WITHIN_SECONDS = 20  # for the other ranks to say that they wait, too: less than torchrun's 30 before its SIGKILL
BEGAN = time.time()  # notes from before are those of a run that was resumed: their process ids may be others' by now
BEATS = itertools.count(1)  # the notes of this process; all ranks run one program, so that fewer of them are behind


class Pulse:
    """One rank's notes in RUN/ranks/<rank>.json; nothing is written where there is but one rank."""

    def __init__(self, run: Run):
        self.run = run
        self.step: int | None = None  # steps done in the stage that trains

    def note(self, doing: str, sample: str = "") -> None:
        if world_size() > 1:
            entry = {"step": self.step, "doing": doing, "sample": sample[:200], "at": time.time(), "waits": False}
            self._write(entry | {"beats": next(BEATS), "host": platform.node(), "pid": os.getpid()})

    def note_generation(self, trainer, rows: Sequence[Row]) -> None:
        """Has the trainer note, before it generates, the first row it is about to answer."""
        generate = trainer._generate_and_score_completions

        def noted(inputs):
            self.note("answering", str(dict(rows[inputs[0]["row_index"]])))
            return generate(inputs)

        trainer._generate_and_score_completions = noted

    def note_examples(self, trainer, tokenizer) -> None:
        """Has SFT's trainer note, before it trains on a batch, the first example in it."""
        train = trainer.training_step

        def noted(model, inputs, *others):
            first = tokenizer.decode(inputs["input_ids"][0], skip_special_tokens=True)
            self.note("training on examples, the first", first)
            return train(model, inputs, *others)

        if world_size() > 1:
            trainer.training_step = noted

    @contextlib.contextmanager
    def lost_ranks_named(self) -> Iterator[None]:
        """A wait that another rank let run out becomes a LostRankError: that rank, its step, what it was doing."""
        try:
            yield
        except RuntimeError as error:
            if not is_loss(error):
                raise
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun ends all once one has: not before it is named
            raise LostRankError(f"{self._lost()}; `lab resume {self.run.path}` goes on once that is mended") from error

    def _lost(self) -> str:
        """The ranks that do not wait, in words. Those of this machine are ended: one that is stuck hears no SIGTERM."""
        self._write(self._notes().get(rank(), {}) | {"waits": True, "at": time.time()})
        until = time.monotonic() + HEARD_WITHIN_SECONDS
        notes = self._notes()
        while len(silent := silent_ranks(notes, world_size())) > 1 and time.monotonic() < until:
            time.sleep(0.1)
            notes = self._notes()
        for note in (notes[number] for number in silent if number in notes):
            if note["host"] == platform.node():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(note["pid"], signal.SIGKILL)
        return in_words(silent, notes)

    def _notes(self) -> dict[int, dict]:
        """Each rank's last note, of this start of the run."""
        notes = {int(file.stem): json.loads(file.read_text()) for file in (self.run.path / "ranks").glob("[0-9]*.json")}
        return {number: note for number, note in notes.items() if note.get("at", 0) >= BEGAN}

    def _write(self, entry: dict) -> None:
        self.run.write(f"ranks/{rank()}.json", json.dumps(entry))


def is_loss(error: RuntimeError) -> bool:
    """Whether an error says that another rank did not come, or went."""
    return world_size() > 1 and any(words in str(error) for words in LOST)


def silent_ranks(notes: Mapping[int, Mapping], ranks: int) -> list[int]:
    """Of `ranks` ranks those that have not said that they wait for another, the one furthest behind first.

    Time alone would not tell: of two ranks in the same phase, the one that came first has been silent for longer, and
    waits for the one that is stuck.
    """
    silent = [number for number in range(ranks) if not (number in notes and notes[number]["waits"])]
    return sorted(silent, key=lambda n: (notes[n]["beats"], notes[n]["at"]) if n in notes else (0, 0))


def in_words(silent: Sequence[int], notes: Mapping[int, Mapping]) -> str:
    """Who was lost, and what the one furthest behind was doing; the same words on every rank that says it."""
    if not silent:
        return "every rank waits for another: look at the network between the machines"
    several, numbers = len(silent) > 1, ", ".join(map(str, silent))
    who = f"ranks {numbers} were lost or are stuck" if several else f"rank {numbers} was lost or is stuck"
    if silent[0] not in notes:
        return f"{who} before the first step"
    last = notes[silent[0]]
    at = f"at {time.strftime('%H:%M:%S', time.localtime(last['at']))}"
    step = "" if last["step"] is None else f", in step {last['step'] + 1}"
    sample = f" ({last['sample']!r})" if last["sample"] else ""
    return f"{who}: {f'rank {silent[0]}, ' * several}{at}{step}, {'' if several else 'it '}was {last['doing']}{sample}"
