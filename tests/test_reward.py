"""Rewards: declared, bound, picklable, held to their range."""

import pickle

import pytest

from lab import Response, Score, reward
from lab.errors import ContractError
from lab.reward import as_reward
from rewards.numeric import numeric_answer


@reward(reads=["answer", "unit"], range=(-1, 1), version="3")
def odd(response, row, *, value=0.5):
    return value


def plain(response, row):
    return 1.0


def test_a_reward_survives_pickling_with_its_parameters():
    bound = odd(value=0.25)
    copy = pickle.loads(pickle.dumps(bound))
    assert copy == bound and copy.score(Response("x"), {}) == 0.25
    assert copy.identity == f"{__name__}:odd@3(value=0.25)"


def test_a_plain_function_is_a_reward():
    copy = pickle.loads(pickle.dumps(as_reward(plain)))
    assert copy == as_reward(plain) and copy.score(Response("x"), {}) == 1.0


def test_a_lambda_is_refused_with_the_way_out():
    with pytest.raises(ContractError, match="top level of a file"):
        as_reward(lambda response, row: 1.0)


def test_an_unknown_parameter_names_the_nearest():
    with pytest.raises(ContractError, match="did you mean 'tolerance'"):
        numeric_answer(tolerence=1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.5, -2, "1", [1]])
def test_a_value_outside_the_contract_raises(value):
    with pytest.raises(ContractError, match=r"allowed is None or a finite number from -1 to 1"):
        odd().checked(value)


@pytest.mark.parametrize("verdict, score", [(None, None), (True, 1.0), (-1, -1.0), (Score(0.5, "half"), 0.5)])
def test_a_value_inside_the_contract_is_kept(verdict, score):
    assert odd().checked(verdict).value == score
