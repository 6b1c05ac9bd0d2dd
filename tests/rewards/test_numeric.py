import pytest

from lab import Response
from rewards.numeric import numeric_answer


def score(text, gold, **parameters):
    reward = numeric_answer(**parameters)
    return reward.checked(reward.score(Response(text), {"answer": gold})).value


@pytest.mark.parametrize(
    ("text", "gold"),
    [("88", "88"), (" 88. ", 88), ("$88$", "88"), ("1,234", "1234"), ("-3/4", "-0.75"), ("1e6", "1,000,000"),
     ("\u22125", "-5"), (".5", "1/2"), ("9" * 900, "9" * 900)],
)  # fmt: skip
def test_right(text, gold):
    assert score(text, gold) == 1


@pytest.mark.parametrize(
    "text",
    ["87", "-88", "88 or 63", "the 88", "44 * 2", "176/2", "88.0000001", "8 8", "88 88", "", "\x00", "\ud800", "1/0",
     "８８", "1" * 5001, "88" + "0" * 1_000_000, "88e999999999"],
)  # fmt: skip
def test_wrong(text):
    assert score(text, "88") == 0


def test_tolerance_and_bad_gold():
    assert score("3.14", "3.1416", tolerance=0.01) == 1
    assert score("3.14", "3.1416", tolerance=0.001) == 0
    assert score("1.3", "1", tolerance=0.3) == score("0.7", "1", tolerance=0.3) == 1
    assert score("1.3000001", "1", tolerance=0.3) == 0
    assert score("3", "three") is None
