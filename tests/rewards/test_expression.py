from fractions import Fraction

import pytest

from lab import Response
from rewards.expression import Malformed, evaluate, expression_answer

ROW = {"numbers": [2, 3, 7, 50], "target": 42}


def score(answer, row=ROW, **parameters):
    reward = expression_answer(**parameters)
    response = Response(f"<answer>{answer}</answer>", region="<answer>")
    return reward.checked(reward.score(response, row)).value


@pytest.mark.parametrize(
    "answer",
    [
        "2*3*7",
        "(2 * 3) * 7",
        "7\u00d72\u00d73",
        "2*3*7 = 42",
        r"7 \times 2 \cdot 3",
        "50-(7+3-2)",
        "$2*3*7$.",
        "-(3-50)-7+2",
    ],
)
def test_right(answer):
    assert score(answer) == 1


@pytest.mark.parametrize(
    "answer",
    [
        "42", "2*21", "2*3*7*1", "7*(2+2+2)", "2*3", "2*3*7=43", "42=2*3*7", "2*3*7 or 50", "2*3*7..5", "2 3 7", "6*7",
        "", "()", "2*(3*7", "2/0", "2//1", "2**3", "__import__('os')", "2*3*7\x00", "\ud800", "٢*3*7", "9" * 5001,
        "(" * 3000 + "2" + ")" * 3000, "-" * 399 + "2", "2*3*7" + " " * 1_000_000,
    ],
)  # fmt: skip
def test_wrong(answer):
    assert score(answer) == 0


def test_exactly_once():
    assert score("2*3*7", exactly_once=True) == 0
    assert score("50-7-3+2", {"numbers": [2, 3, 7, 50], "target": 42}, exactly_once=True) == 1


def test_each_number_as_often_as_given():
    assert score("3+3", {"numbers": [3, 3], "target": 6}) == 1
    assert score("3+3", {"numbers": [3, 4], "target": 6}) == 0


def test_a_bad_row_is_unscorable():
    assert score("1", {"numbers": "x", "target": 1}) is None
    assert score("1", {"numbers": [1], "target": None}) is None
    assert score("2*3", {"numbers": [2.5, 3], "target": 6}) is None
    assert score("2*3", {"numbers": ["2", 3.0], "target": "6"}) == 1


def test_values_are_exact_and_bounded():
    assert evaluate("1/3 + 1/6")[0] == Fraction(1, 2)
    assert evaluate("2^3^2", "^")[0] == 512
    assert evaluate("-2^2", "^")[0] == -4
    assert evaluate("2^-2", "^")[0] == Fraction(1, 4)
    for bomb in ("9^9^9", "(9^64)^64", "2^65", "2^(1/2)", "^".join("2" * 99)):
        with pytest.raises(Malformed):
            evaluate(bomb, "+-*/^")
    with pytest.raises(ZeroDivisionError):
        evaluate("0^-1", "^-")
