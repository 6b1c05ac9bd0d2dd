"""Checkpoints and stops: what one rank is asked, all do."""

from types import SimpleNamespace

import pytest

import lab.stages.keeping
from lab.stages.keeping import Keeper
from lab.stop import Stop, Stopped


def test_a_stop_that_only_another_rank_heard_stops_this_one_too(monkeypatch):
    monkeypatch.setattr(lab.stages.keeping, "any_rank", lambda flag: True)
    stop = Stop()
    keeper = Keeper(trainer=None, limit=1, stop=stop)
    control = SimpleNamespace(should_save=False, should_training_stop=False)
    with pytest.raises(Stopped), stop.at_step_ends():
        keeper.on_step_end(None, SimpleNamespace(global_step=3, max_steps=9), control)
        assert control.should_save and control.should_training_stop
