import pytest

from lab import Response
from rewards.choice import choice_answer

CITIES = ["Rome", "Paris", "New York", "Oslo"]


def score(text, gold="B", choices=CITIES):
    reward = choice_answer()
    return reward.checked(reward.score(Response(text), {"choices": choices, "answer": gold})).value


@pytest.mark.parametrize("gold", ["B", "b", "(B)", 1, "Paris", " paris "])
@pytest.mark.parametrize(
    "text",
    ["B", "(b)", "**B.**", "The answer is B.", "Answer: (B)", r"\text{B}", r"\boxed{B}", "B) Paris", "B. Paris",
     "Paris.", "paris", "Option B", "$B$"],
)  # fmt: skip
def test_right(text, gold):
    assert score(text, gold) == 1


@pytest.mark.parametrize(
    "text",
    ["A", "C", "Rome", "A or B", "not B", "AB", "A, B, C, D", "B) Rome", "E", "", "Parisian", "It is Paris, I think",
     "1", "\u0412", "B\x00", "\ud800", "B" * 100_000, "Paris Paris", "None of these", "B or Paris",
     "The answer is not B"],
)  # fmt: skip
def test_wrong(text):
    assert score(text) == 0


def test_a_point_before_a_number_is_no_punctuation():
    assert score(".5", "A", ["5", "0.5"]) == score("A) .5", "A", ["5", "7"]) == 0
    assert score(".5.", "B", ["5", ".5"]) == score("5.", "A", ["5", "7"]) == score("A) 5.", "A", ["5", "7"]) == 1


def test_a_row_that_does_not_hold_together_is_unscorable():
    assert score("B", gold="Berlin") is None
    assert score("B", gold="E") is None
    assert score("B", choices=["x", "X"]) is None
    assert score("B", choices="AB") is None
    assert score("None", gold=None, choices=["None", "Oslo"]) is None
