"""Rewards: declared, bound, picklable, held to their range."""

import asyncio
import inspect
import pickle

import pytest

from lab import Response, Score, reward
from lab.errors import ContractError
from lab.registry import load_reward
from lab.reward import as_reward, gold_texts
from rewards.numeric import numeric_answer

NO_GOLDS = [None, "", " \n", float("nan"), [], [None]]


@reward(reads=["answer", "unit"], range=(-1, 1), version="3")
def odd(response, row, *, value=0.5):
    return value


INNER = odd()


@reward(reads=["question"])
def outer(response, row, *, inner=INNER):
    return 1.0


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
    assert copy.reads == ("answer",)


def test_it_reads_what_the_rewards_among_its_parameters_read():
    assert outer().reads == ("question", "answer", "unit")
    assert outer(inner=numeric_answer()).reads == ("question", "answer")


@pytest.mark.parametrize("nothing", [None, float("nan")])
@pytest.mark.parametrize("name", ["math", "numeric", "exact", "exact:regex_match", "choice", "abstention", "judge"])
def test_a_field_without_a_value_makes_the_row_unscorable(name, nothing):
    row = {"question": "?", "choices": ["None", "nan"], "answer": nothing}
    verdict = load_reward(name).score(Response(str(nothing)), row)
    verdict = asyncio.run(verdict) if inspect.iscoroutine(verdict) else verdict
    assert verdict == Score(None, f"the row's 'answer' is {nothing}")


def test_a_lambda_is_refused_with_the_way_out():
    with pytest.raises(ContractError, match="top level of a file"):
        as_reward(lambda response, row: 1.0)


def test_an_unknown_parameter_names_the_nearest():
    with pytest.raises(ContractError, match="did you mean 'tolerance'"):
        numeric_answer(tolerence=1)


class Unspeakable(float):
    def __repr__(self):
        raise RuntimeError("no words")


OUTSIDE = [float("nan"), float("inf"), 1.5, -2, "1", [1], 10**400, 10**5000, Unspeakable("nan"), (1.0, "why")]


@pytest.mark.parametrize("value", OUTSIDE, ids=lambda value: type(value).__name__)
def test_a_value_outside_the_contract_raises(value):
    with pytest.raises(ContractError, match=r"allowed is None or a finite number from -1 to 1"):
        odd().checked(value)


@pytest.mark.parametrize(
    "declared, said",
    [
        ({"reads": "answer"}, "list of row fields"),
        ({"range": (1, 0)}, "two finite numbers"),
        ({"range": (0, float("inf"))}, "two finite numbers"),
        ({"range": (0,)}, "two finite numbers"),
        ({"range": (0, 10**400)}, "two finite numbers"),
        ({"sees": "all"}, '"response", "answer" and a function'),
        ({"seconds": 0}, "above 0"),
        ({"retries": -1}, "0 or more"),
        ({"concurrency": 0}, "1 or more"),
    ],
)
def test_a_declaration_that_no_call_could_keep_is_refused(declared, said):
    with pytest.raises(ContractError, match=said):
        reward(**declared)(plain)


@pytest.mark.parametrize(
    "gold, texts",
    [("4", ["4"]), (4, ["4"]), (0, ["0"]), (["a", "", None, "b"], ["a", "b"]), *((g, []) for g in NO_GOLDS)],
)
def test_the_texts_that_a_gold_accepts(gold, texts):
    assert gold_texts(gold) == texts


@pytest.mark.parametrize("verdict, score", [(None, None), (True, 1.0), (-1, -1.0), (Score(0.5, "half"), 0.5)])
def test_a_value_inside_the_contract_is_kept(verdict, score):
    assert odd().checked(verdict).value == score
