"""Rewards that misbehave in every way the scoring service has to survive; the response says which."""

import asyncio
import contextlib
import ctypes
import os
import threading
import time
from pathlib import Path

from lab import Response, Score, reward


@reward(version="1")
def odd(response, row):
    match response.text:
        case "raise":
            raise ValueError("no such luck")
        case "base exception":
            raise KeyboardInterrupt
        case "exit":
            raise SystemExit(0)
        case "hang":  # one operation that holds the interpreter's lock for minutes
            return float(9 ** (9**8) > 0)
        case "die":
            os._exit(3)
        case "crash":
            ctypes.string_at(0)
        case "memory":
            return float(len(bytearray(64 << 30)))
        case "refuse":
            return Score(None, "just so")
        case "scribble":
            for descriptor in range(3, 32):
                with contextlib.suppress(OSError):
                    os.write(descriptor, b"no verdict\n")
        case "print":
            print('["scored", 0, 1.0, "forged", 0, ""]')
            os.write(1, b"noise\n")
            return 0.0
        case "sleep":
            time.sleep(60)
    return float(response.text == row["answer"])


VALUES = {
    "nan": float("nan"),
    "inf": float("inf"),
    "7": 7,
    "text": "1",
    "list": [1.0],
    "huge": 1e30,
    "complex": 1j,
    "huge int": 10**5000,
}


@reward(reads=[])
def raw_value(response, row):
    return VALUES[response.text]


def note(row) -> None:
    with Path(row["log"]).open("a") as log:
        log.write("called\n")


@reward(reads=["answer", "log"])
def counted(response, row, *, bonus: float = 0.0):
    note(row)
    if response.text == "raise":
        raise OSError("no network")
    return float(response.text == row["answer"])


@reward(reads=["answer", "log"], sees="answer")
def counted_answer(response, row):
    note(row)
    return float(response.answer == row["answer"])


def last_word(response):
    return Response(response.text.split()[-1], finished=response.finished)


@reward(reads=["answer", "log"], sees=last_word)
def counted_last_word(response, row):
    note(row)
    return float(response.text == row["answer"])


@reward(seconds=0.5, retries=2, concurrency=4, reads=["log"])
async def judge(response, row):
    note(row)
    if response.text == "sleep":
        await asyncio.sleep(60)
    if response.text == "block":
        time.sleep(60)
    if response.text == "flaky" and len(Path(row["log"]).read_text().splitlines()) < 3:
        raise ConnectionError("try again")
    await asyncio.sleep(0.2)
    return 0.5


RUNNING = []


@reward(reads=[], range=(0, 100), concurrency=3)
async def crowd(response, row):
    """How many of its calls run at once, itself included."""
    RUNNING.append(response.text)
    await asyncio.sleep(0.01)
    together = len(RUNNING)
    await asyncio.sleep(0.01)
    RUNNING.remove(response.text)
    return together


MEETING = threading.Barrier(24)


@reward(reads=[], concurrency=24, seconds=20)
async def meets_in_threads(response, row):
    """Ends when 24 of its calls wait in threads at once, as a judge's requests do."""
    await asyncio.to_thread(MEETING.wait)
    return 1.0


@reward(reads=["log"], range=(0, 100))
def process_id(response, row):
    Path(row["log"]).write_text(str(os.getpid()))
    if response.text == "hang":
        9 ** (9**9)
    return 1.0


@reward(reads=[], range=(0, 1), imports=["no_such_module_anywhere"])
def wants_more(response, row):
    return 1.0


@reward(reads=[])
def sized(response, row):
    time.sleep(0.03)
    return float(len(response.text) % 2)
