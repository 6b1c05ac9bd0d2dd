"""Stopping when asked: which signals ask, and what is left of the handlers afterwards."""

import os
import signal

import pytest

from lab.stop import Stopped, stop_on_sigterm

ASKING = (signal.SIGTERM, signal.SIGUSR1)


@pytest.fixture(autouse=True)
def handlers_restored():
    before = {number: signal.getsignal(number) for number in ASKING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ASKING)
def test_a_step_ends_before_the_stop_takes_effect(number):
    done = []
    with stop_on_sigterm() as stop, pytest.raises(Stopped), stop.at_step_ends():
        os.kill(os.getpid(), number)
        done.append("step")
    assert stop.asked and done == ["step"]
    with stop_on_sigterm(), pytest.raises(Stopped):
        os.kill(os.getpid(), number)
        signal.sigtimedwait([], 60)  # between steps it takes effect at once


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stop_that_a_finaliser_swallows_comes_again():
    class Asked:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)

    with stop_on_sigterm() as stop, pytest.raises(Stopped):
        Asked()
        assert stop.asked  # and nothing was raised: Python drops what a __del__ raises
        signal.sigtimedwait([], 60)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_handlers_are_put_back_but_where_a_signal_was_ignored_meanwhile():
    before = signal.getsignal(signal.SIGUSR1)
    with stop_on_sigterm():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    assert signal.getsignal(signal.SIGUSR1) == before
