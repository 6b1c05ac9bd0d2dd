"""Grading attacks against the real reward: what is honest is paid, and nothing else."""

import pytest
from attacks import grading

from lab import Response
from rewards.code import python_function

ADD = {"entry_point": "add", "tests": grading.HIDDEN}


@pytest.mark.parametrize("program", grading.HONEST.values(), ids=grading.HONEST)
def test_honest_programs_are_paid(program):
    assert python_function().score(Response(program), ADD) == (1.0, "")


@pytest.mark.parametrize("program", grading.FOOLING.values(), ids=grading.FOOLING)
def test_no_other_program_is_paid(program):
    for reward in (python_function(seconds=1), python_function(seconds=1, partial=True)):
        got = reward.score(Response(program), ADD)
        # 0 and never None: a program must not make itself unscorable.
        assert got.value is not None and got.value < 1 and got.reason
    assert python_function(seconds=1).score(Response(program), ADD).value == 0.0
