"""Stopping when asked: SIGTERM, which clusters send before they take a machine back, ends a run where it can go on.

SIGUSR1 asks for the same: it is what Slurm's srun passes on, where it makes SIGKILL of a SIGTERM.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

AGAIN_SECONDS = 1.0  # after which a stop that nobody saw is tried again


class Stopped(Exception):
    """The run was asked to stop and did: nothing is wrong, `lab resume` goes on."""


class Stop:
    """Whether the signal has come. While `patient`, it is only noted: training looks at the end of each step."""

    def __init__(self):
        self.asked = self.patient = False

    def handle(self, *_) -> None:
        self.asked = True
        if not self.patient:
            signal.signal(signal.SIGALRM, self.handle)
            signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)  # what a __del__ raises goes no further
            raise Stopped

    @contextlib.contextmanager
    def at_step_ends(self) -> Iterator[None]:
        """Within it a stop waits for the step's end; on leaving, one that nobody saw takes effect."""
        self.patient = True
        try:
            yield
        finally:
            self.patient = False
        if self.asked:
            raise Stopped


@contextlib.contextmanager
def stop_on_sigterm() -> Iterator[Stop]:
    """The process's Stop, for the time of a run."""
    stop = Stop()
    before = {number: signal.signal(number, stop.handle) for number in (signal.SIGTERM, signal.SIGUSR1)}
    before[signal.SIGALRM] = signal.getsignal(signal.SIGALRM)
    if "TORCHELASTIC_RUN_ID" in os.environ:  # torchrun started this rank, and not somebody's shell, which may well end
        end_with_parent()
    try:
        yield stop
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            if signal.getsignal(number) == stop.handle:  # else somebody wants it ignored to the end
                signal.signal(number, handler)


def end_with_parent() -> None:
    """Has SIGTERM come once the parent is gone: a launcher that is killed tells nobody, and what it started would go
    on beside the run that is resumed. Linux alone knows this.
    """
    if sys.platform == "linux":
        from lab.sandbox import limits

        limits.prctl(limits.PARENT_DEATH_SIGNAL, signal.SIGTERM)
