import pytest

from lab import Response
from rewards.abstention import calibrated_answer
from rewards.choice import choice_answer
from rewards.code import python_function
from rewards.numeric import numeric_answer


def score(text, gold="42", finished=True, **parameters):
    reward = calibrated_answer(**parameters)
    return reward.checked(reward.score(Response(text, finished=finished), {"answer": gold})).value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("42", 1),
        (r"\boxed{42}", 1),
        ("I don't know.", 0.25),
        ("I don\u2019t know", 0.25),
        ("Not sure", 0.25),
        ("41", -0.5),
        ("I don't know, maybe 42", -0.5),
        ("42, but I don't know", -0.5),
        ("", -0.5),
        ("\x00", -0.5),
        ("I don't know. " * 10_000, -0.5),
    ],
)
def test_values(text, expected):
    assert score(text, abstained=0.25, wrong=-0.5) == expected


def test_a_truncated_doubt_is_no_doubt():
    assert score("I don't know", finished=False) == -1


def test_a_question_without_an_answer():
    assert score("I don't know", gold="unknown") == 1
    assert score("42", gold="unknown") == -1


def test_another_reward_may_say_what_is_right():
    assert score("42", right=numeric_answer()) == 1
    assert score(r"\sqrt{1764}", right=numeric_answer()) == -1
    assert score("42", gold="forty", right=numeric_answer()) is None


def test_it_reads_what_the_other_reads():
    assert calibrated_answer(right=choice_answer()).reads == ("answer", "choices")
    assert calibrated_answer(right=python_function()).runs_code and not calibrated_answer().runs_code


def test_abstaining_may_not_pay_more_than_being_right():
    with pytest.raises(ValueError, match="abstained"):
        score("42", abstained=1.0)
