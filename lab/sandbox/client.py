"""The trainer's side of the fork server: hands over one program, reads what comes back under a cap and a deadline."""

import dataclasses
import fcntl
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.sandbox.exchange import Inputs, Outputs, SandboxError, outputs, parse_answers
from lab.sandbox.helper import Helper, request
from lab.sandbox.limits import Limits

SERVER = Path(__file__).with_name("server.py")
# What the server and so every program sees of our environment. A fixed hash seed gives sets one order in every run.
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0",
    "MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
}  # fmt: skip
GRACE_S = 15.0  # a server that is silent for this long after a run's deadline is given up
START_S = 60.0  # a cold disk and a preloaded package may take this long


def sealed(content: bytes) -> int:
    """A descriptor of a file in memory that holds `content` and cannot be changed any more."""
    descriptor = os.memfd_create("input", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


def _stop(owner: int, process: subprocess.Popen, control: socket.socket) -> None:
    control.close()  # which the server sees, and ends
    if os.getpid() != owner:  # a forked copy of us: the server is not ours to end
        return
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class ForkServer(Helper):
    """One fork server, started at the first run. One run at a time: for more, use more processes.

    limits: what each run may use. preload: packages that the server imports once, so that programs find them at no cost
    (and may read them; no other installed package can be read). confined: False only for the tier "unsafe".
    """

    def __init__(self, limits: Limits | None = None, preload: Sequence[str] = (), confined: bool = True):
        super().__init__(limits)
        self.preload = tuple(preload)
        self.confined = confined
        self.landlock_abi = 0

    @property
    def tier(self) -> str:
        return "A" if self.confined else "D"

    def _start(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # -S: no site-packages and none of their start-up hooks; -s: nor the user's.
            command = [sys.executable, "-S", "-s", "-B", "-X", "utf8", str(SERVER), str(theirs.fileno())]
            nowhere = dict.fromkeys(("stdin", "stdout"), subprocess.DEVNULL)
            options = {"pass_fds": [theirs.fileno()], "env": ENVIRONMENT, "cwd": "/", **nowhere}
            self._open(command, _stop, self._control, **options)
        path = [place for place in sys.path if os.path.isdir(place)] if self.preload else []
        start = {"limits": dataclasses.asdict(self.limits), "preload": self.preload, "path": path}
        self._send(json.dumps(start | {"confined": self.confined}).encode())
        answer = json.loads(self._receive(START_S))
        if "refused" in answer:
            self.close()
            raise SandboxError(f"the sandbox did not start: {answer['refused']}")
        self.landlock_abi = answer["landlock_abi"]

    def _send(self, message: bytes, descriptors: Sequence[int] = ()) -> None:
        try:
            socket.send_fds(self._control, [message], descriptors)
        except OSError:
            raise self._lost() from None

    def _receive(self, timeout_s: float) -> bytes:
        self._control.settimeout(max(timeout_s, 0.001))
        try:
            message = self._control.recv(1 << 16)
        except OSError:
            message = b""
        if not message:
            raise self._lost()
        return message

    def _lost(self) -> SandboxError:
        self._process.kill()
        self.close()
        return SandboxError(f"the sandbox's server ended or fell silent: {self._last_words()}")

    def run(self, program: str, inputs: Inputs) -> Outputs:
        """Runs `program` (Python source) on `inputs`.

        Raises SandboxError when the sandbox did not start; whatever the program does is in the outputs.
        """
        asked = json.dumps(request(program, inputs)).encode()
        with self._lock:
            self._ensure_open()
            stdin = sealed(inputs.stdin.encode(errors="surrogatepass"))
            theirs, ours = [stdin], []
            for _ in ("stdout", "stderr", "answers"):
                read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
                os.set_blocking(write, True)
                ours.append(read)
                theirs.append(write)
            theirs.insert(3, sealed(asked))
            try:
                try:
                    self._send(b"run", theirs)
                finally:
                    for descriptor in theirs:
                        os.close(descriptor)
                report, (stdout, stderr, answers) = self._collect(ours)
            finally:
                for descriptor in ours:
                    os.close(descriptor)
        if not report["started"]:
            raise SandboxError(f"the sandbox did not start: {report['trouble']}")
        return outputs(report, self.limits, inputs, parse_answers(answers), stdout, stderr)

    def _collect(self, pipes: list[int]) -> tuple[dict, list[bytes]]:
        """The server's report and what came through each pipe, capped; past the cap the run is ended."""
        cap, deadline = self.limits.output_bytes, time.monotonic() + self.limits.wall_s + GRACE_S
        read: dict[int, list[bytes]] = {pipe: [] for pipe in pipes}
        size = dict.fromkeys(pipes, 0)
        report: dict[str, Any] = {}
        told = False
        with selectors.DefaultSelector() as selector:
            for source in (*pipes, self._control):
                selector.register(source, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(deadline - time.monotonic())
                if not ready:
                    raise self._lost()
                for key, _ in ready:
                    if key.fileobj is self._control:
                        report = json.loads(self._receive(GRACE_S))
                        selector.unregister(self._control)
                    elif part := os.read(key.fd, 1 << 16):
                        room = cap - size[key.fd]
                        read[key.fd].append(part[:room])
                        size[key.fd] += len(read[key.fd][-1])
                        if len(part) > room and not told and not report:
                            told = True
                            self._send(b"output")
                    else:
                        selector.unregister(key.fd)
        return report, [b"".join(read[pipe]) for pipe in pipes]
