"""The process of our own that runs programs: started at the first run, ended with its owner, asked one at a time."""

import os
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence

from lab.sandbox import wire
from lab.sandbox.exchange import Inputs
from lab.sandbox.limits import Limits


class Helper:
    """What the tiers with a process of their own share: its opening, its closing, and its last words.

    A subclass has `_start`, which calls `_open`.
    """

    def __init__(self, limits: Limits | None):
        self.limits = limits or Limits()
        self._lock = threading.Lock()
        self._owner = 0  # the process that opened it; a fork of that opens its own
        self._finalizer = None

    def __enter__(self):
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        if self._finalizer:
            self._finalizer()
        self._owner, self._finalizer = 0, None

    def _open(self, command: Sequence[str], end: Callable, *ends, **options) -> None:
        """Starts the process; `end(owner, process, *ends)` is called when this sandbox is closed or forgotten."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - read when the process is lost
        self._process = subprocess.Popen(command, stderr=self._errors, start_new_session=True, **options)
        self._owner = os.getpid()
        self._finalizer = weakref.finalize(self, end, self._owner, self._process, *ends)

    def _ensure_open(self) -> None:
        if self._owner != os.getpid() or self._process.poll() is not None:
            self.close()
            self._start()

    def _last_words(self) -> str:
        self._errors.seek(0)
        last = self._errors.read()[-500:].decode(errors="replace").strip().splitlines()
        return last[-1] if last else "it said nothing"


def request(program: str, inputs: Inputs) -> dict:
    """What the process is asked, in JSON's types; without the standard input."""
    calls = [{"args": wire.encode(list(c.args)), "kwargs": wire.encode(dict(c.kwargs))} for c in inputs.calls]
    return {"program": program, "entry_point": inputs.entry_point, "calls": calls}
