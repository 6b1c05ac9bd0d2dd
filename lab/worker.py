"""worker: one child process that runs rewards, as its parent sees it; what the child does is in scoring_worker.py."""

import contextlib
import json
import os
import pickle
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.errors import UserError

START_SECONDS = 120  # for a worker to start, or to import a reward's modules: a cold network disk is slow
MEMORY_BYTES = 4 << 30  # a worker's data limit; the one worker of async rewards has none: it may hold a judge's model
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from lab.scoring_worker import serve; "
    "serve(int(sys.argv[2]), int(sys.argv[3]))"
)


@dataclass(eq=False)
class Worker:
    """One child process. `jobs` are the indices it was given and has not answered, in its order."""

    process: subprocess.Popen
    lifeline: int  # the child dies when this descriptor closes
    concurrent: bool
    since: float = field(default_factory=time.monotonic)  # when it began what it is doing
    limit: float = START_SECONDS  # how long that may last
    ready: bool = False  # started, and its rewards imported
    jobs: deque[int] = field(default_factory=deque)
    loaded: set[str] = field(default_factory=set)  # identities of its rewards
    unread: bytes = b""

    @classmethod
    def start(cls, concurrent: bool, environment: Mapping[str, str]) -> "Worker":
        read, write = os.pipe()
        memory = 0 if concurrent else MEMORY_BYTES
        try:
            process = subprocess.Popen(
                [sys.executable, "-c", _START, json.dumps(sys.path), str(read), str(memory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                pass_fds=[read],
                start_new_session=True,  # so that a kill takes what the reward started, and Ctrl-C stays with us
                env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", **environment},
            )
        except OSError as error:
            os.close(write)
            raise UserError(
                f"no scoring worker can start ({error}): free memory or processes, then try again"
            ) from error
        finally:
            os.close(read)
        os.set_blocking(process.stdout.fileno(), False)
        os.set_blocking(process.stdin.fileno(), False)
        return cls(process, write, concurrent)

    def send(self, message: dict) -> None:
        """Writes one request; gives up on a child that does not read. Raises OSError."""
        rest, pipe = memoryview(pickle.dumps(message)), self.process.stdin.fileno()
        with selectors.DefaultSelector() as writable:
            writable.register(pipe, selectors.EVENT_WRITE)
            while rest:
                if not writable.select(START_SECONDS):
                    raise OSError("a scoring worker reads nothing")
                rest = rest[os.write(pipe, rest[: 1 << 16]) :]

    def lines(self) -> list[list]:
        """The messages that have come; what is none is ["unreadable"]. Raises EOFError when the child is gone and
        everything was read."""
        try:
            got = os.read(self.process.stdout.fileno(), 1 << 16)
        except BlockingIOError:
            return []
        if not got:
            raise EOFError
        *whole, self.unread = (self.unread + got).split(b"\n")
        return list(map(_message, whole))

    def kill(self) -> int:
        """Ends the child and what it started, and returns its exit code; nothing remains, no zombie either."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it had ended, and so had its children
            os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        os.close(self.lifeline)
        return code


def _message(line: bytes) -> list:
    try:
        return json.loads(line)
    except ValueError:
        return ["unreadable"]
