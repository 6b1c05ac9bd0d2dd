"""Tier B, the trainer's side: a worker process that holds the component, and is killed where a limit is passed.

Needs nothing of the kernel, so it runs where Landlock does not. An extra: wasmtime and a CPython built for WASI.
"""

import dataclasses
import importlib.util
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab.errors import UserError
from lab.sandbox.exchange import Inputs, Outputs, SandboxError, outputs, parse_answers
from lab.sandbox.helper import Helper, request
from lab.sandbox.limits import Limits

WORKER = Path(__file__).with_name("wasm_worker.py")
PACKAGES = ("wasmtime", "python_guest")
GUEST = "resources/python-sandbox.wasm"  # in the second package, which writes a cache of its own when it is imported
START_S = 300.0  # the first start on a machine compiles the component
KEPT = ("PATH", "HOME", "XDG_CACHE_HOME", "TMPDIR")  # for wasmtime's cache; the component sees none of them


def missing_packages() -> list[str]:
    """What of tier B is not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


class WasmWorker(Helper):
    """One worker process, started at the first run, with a fresh instance a run. One run at a time.

    limits: processor time and the clock end the worker, which the next run starts anew; memory is a MemoryError.
    Raises UserError where the extra is not installed, or for `preload` and a scratch folder, which it cannot have.
    """

    tier = "B"

    def __init__(self, limits: Limits | None = None, preload: Sequence[str] = ()):
        super().__init__(limits)
        if lacks := missing_packages():
            raise UserError(
                f"The sandbox \"wasm\" needs {' and '.join(lacks)}: install with `pip install 'reasoning-lab[wasm]'`."
            )
        if preload or self.limits.scratch:
            what = f"preload {', '.join(preload)}" if preload else "give a scratch folder"
            raise UserError(f'The sandbox "wasm" cannot {what}: use "landlock", or a task that does without.')

    def _start(self) -> None:
        runtime, guest = (Path(*importlib.util.find_spec(name).submodule_search_locations) for name in PACKAGES)
        limits = json.dumps(dataclasses.asdict(self.limits))
        environment = {n: os.environ[n] for n in KEPT if n in os.environ} | {"PYTHONPATH": str(runtime.parent)}
        command = [sys.executable, "-P", "-B", "-X", "utf8", str(WORKER), str(guest / GUEST), limits]
        self._rest = b""
        self._open(command, _stop, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        if self._next(time.monotonic() + START_S) != ("end", {}):
            self.close()
            raise SandboxError(f"the sandbox did not start: {self._last_words()}")

    def _next(self, deadline: float) -> tuple[str, object] | None:
        """The worker's next message; None past the deadline, ("lost", None) where the worker has ended."""
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                return None
            part = os.read(self._process.stdout.fileno(), 1 << 16)
            if not part:
                return "lost", None
            self._rest += part
        line, self._rest = self._rest.split(b"\n", 1)
        channel, what = json.loads(line)
        return channel, what

    def run(self, program: str, inputs: Inputs) -> Outputs:
        """Runs `program` (Python source) on `inputs`.

        Raises SandboxError when the sandbox did not start; whatever the program does is in the outputs.
        """
        asked = json.dumps(request(program, inputs) | {"stdin": inputs.stdin}).encode()
        with self._lock:
            self._ensure_open()
            began = time.monotonic()
            try:
                self._process.stdin.write(asked + b"\n")
                self._process.stdin.flush()
            except OSError:
                self.close()
                raise SandboxError("the sandbox's worker ended before it had the program") from None
            report, written = self._collect(began + self.limits.wall_s)
        report = {"passed": "", "exit": 0, "cpu_s": 0.0, "peak_mb": 0.0, "wall_s": time.monotonic() - began} | report
        answers = parse_answers(bytes(written["answers"]))
        return outputs(report, self.limits, inputs, answers, bytes(written["stdout"]), bytes(written["stderr"]))

    def _collect(self, deadline: float) -> tuple[dict, dict[str, bytearray]]:
        """How the run ended and what it wrote, capped. Past a limit the worker is ended, and with it the program."""
        written = {channel: bytearray() for channel in ("stdout", "stderr", "answers")}
        while message := self._next(deadline):
            channel, what = message
            if channel == "end":
                return {"passed": "trap" if what.pop("trap", False) else "", **what}, written
            if channel == "lost":
                status = self._process.wait()
                self.close()
                return {"exit": status}, written
            room = self.limits.output_bytes - len(written[channel])
            written[channel] += what.encode("latin-1")[:room]
            if len(what) > room:
                self.close()
                return {"passed": "output"}, written
        self.close()
        return {"passed": "timeout"}, written


def _stop(owner: int, process: subprocess.Popen) -> None:
    if os.getpid() == owner:  # in a forked copy of us the worker is not ours to end
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        pipe.close()
