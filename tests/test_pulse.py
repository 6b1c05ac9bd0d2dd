"""The rank that never came is named, and not one that waits for it."""

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from lab.errors import LostRankError
from lab.pulse import Pulse, in_words, silent_ranks
from lab.runs import Run


def note(beats: int, at: float, waits: bool = False, doing: str = "answering") -> dict:
    return {"beats": beats, "at": at, "waits": waits, "step": 1, "doing": doing, "sample": "{'a': 1}"}


@pytest.mark.parametrize(
    "notes, silent",
    [
        # all in one phase: rank 1 came first and has been silent for longest, but waits for rank 2
        ({0: note(9, 12, True), 1: note(9, 10, True), 2: note(9, 14), 3: note(9, 11, True)}, [2]),
        # who has not said yet that it waits is not accused first where another is behind it
        ({0: note(9, 12, True), 1: note(9, 10), 2: note(8, 13), 3: note(9, 11, True)}, [2, 1]),
        # ranks of a machine that went before they noted anything
        ({0: note(2, 12, True), 1: note(2, 10, True)}, [2, 3]),
        ({number: note(9, 10 + number, True) for number in range(4)}, []),
    ],
)
def test_the_rank_furthest_behind_of_those_that_do_not_wait(notes, silent):
    assert silent_ranks(notes, 4) == silent


def test_who_was_lost_in_words():
    notes = {0: note(9, 0, True), 1: note(8, 0), 2: note(9, 0)}
    at = time.strftime("%H:%M:%S", time.localtime(0))
    was = f"""at {at}, in step 2, it was answering ("{{'a': 1}}")"""
    assert in_words([1], notes) == f"rank 1 was lost or is stuck: {was}"
    assert in_words([1, 2], notes).startswith(f"ranks 1, 2 were lost or are stuck: rank 1, at {at}, in step 2, was ans")
    assert in_words([3], notes) == "rank 3 was lost or is stuck before the first step"
    assert "look at the network" in in_words([], notes)


def test_a_stuck_rank_is_ended_and_one_that_waits_is_not(tmp_path, monkeypatch):
    """Three ranks, this process being rank 0; rank 1 says while it is asked that it waits, too."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("WORLD_SIZE", "3")
    pulse = Pulse(Run(tmp_path))
    ranks = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) for _ in range(2)]
    try:
        for number, pid in enumerate([os.getpid(), *(process.pid for process in ranks)]):
            monkeypatch.setenv("RANK", str(number))
            monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
            pulse.note("answering", "{'digits': '1 2'}")
        monkeypatch.setenv("RANK", "0")
        asked = pulse._notes
        rounds = iter(range(9))

        def heard():
            if next(rounds) == 2:
                theirs = asked()[1]
                pulse.run.write("ranks/1.json", json.dumps(theirs | {"waits": True}))
            return asked()

        monkeypatch.setattr(pulse, "_notes", heard)
        said = "rank 2 was lost or is stuck: .*it was answering .*lab resume"
        with pytest.raises(LostRankError, match=said), pulse.lost_ranks_named():
            raise RuntimeError("Timed out waiting 15000ms for recv operation to complete")
        assert ranks[1].wait(timeout=60) == -signal.SIGKILL and ranks[0].poll() is None
        assert asked()[0]["host"] == platform.node() and asked()[0]["waits"]
    finally:
        signal.signal(signal.SIGTERM, before)
        for process in ranks:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()


def test_sfts_first_example_of_a_batch_is_noted_before_it_is_trained_on(tmp_path, monkeypatch):
    pulse, tokenizer = Pulse(Run(tmp_path)), SimpleNamespace(decode=lambda ids, **_: f"{ids} as text")

    def train(model, inputs):
        return json.loads((tmp_path / "ranks" / "0.json").read_text())

    monkeypatch.setenv("WORLD_SIZE", "2")
    trainer = SimpleNamespace(training_step=train)
    pulse.note_examples(trainer, tokenizer)
    found = trainer.training_step(None, {"input_ids": [[7, 8], [9]]})
    assert f"{found['doing']} ({found['sample']})" == "training on examples, the first ([7, 8] as text)"
    monkeypatch.setenv("WORLD_SIZE", "1")
    alone = SimpleNamespace(training_step=train)
    pulse.note_examples(alone, tokenizer)
    assert alone.training_step is train


def test_another_error_stays_what_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="shapes"), Pulse(Run(tmp_path)).lost_ranks_named():
        raise RuntimeError("shapes do not match")
