import pytest

from lab import Response
from rewards.format import well_formed

PREFILLED = "<think>\n"


def score(text, thinking="required", region="<answer>", **response):
    reward = well_formed(thinking=thinking)
    return reward.checked(reward.score(Response(text, region=region, **response), {})).value


@pytest.mark.parametrize(
    ("text", "prefilled", "expected"),
    [
        ("<think>so</think><answer>4</answer>", "", 1),
        ("so</think><answer>4</answer>", PREFILLED, 1),  # the template opened the thought
        ("<think>so</think><answer>4</answer>", PREFILLED, 0),  # opened twice
        ("so</think><answer>4</answer>", "", 0),  # never opened
        ("<think>so<answer>4</answer>", "", 0),  # never closed
        ("<think>so</think>x</think><answer>4</answer>", "", 0),
        ("hm <think>so</think><answer>4</answer>", "", 0),
        ("<think> </think><answer>4</answer>", "", 0),
        ("</think>so<think><answer>4</answer>", "", 0),
        ("<think>so</think>", "", 0),
        ("<think>so</think><answer> </answer>", "", 0),
        ("<think>so</think><answer>4</answer><answer>4</answer>", "", 0),
        ("<think>so</think><answer>4</answer><answer>", "", 0),
        ("<think><answer>4</answer></think>", "", 0),  # the answer stands in the thought
        ("<answer>4</answer>", "", 0),
        ("", "", 0),
    ],
)
def test_thinking_required(text, prefilled, expected):
    assert score(text, prefilled=prefilled) == expected


@pytest.mark.parametrize(
    ("text", "prefilled", "thinking", "expected"),
    [
        ("<answer>4</answer>", "<think>\n\n</think>\n\n", "forbidden", 1),  # a template that switches thinking off
        ("<answer>4</answer>", "", "forbidden", 1),
        ("<think>so</think><answer>4</answer>", "", "forbidden", 0),
        ("<answer>4</answer>", "", "optional", 1),
        ("<think>so</think><answer>4</answer>", "", "optional", 1),
        ("<think>so<answer>4</answer>", "", "optional", 0),
    ],
)
def test_other_modes(text, prefilled, thinking, expected):
    assert score(text, thinking, prefilled=prefilled) == expected


def test_truncated_and_boxed():
    text = r"<think>so</think>It is \boxed{4}."
    assert score(text, region="boxed") == 1
    assert score(text, region="boxed", finished=False) == 0
    assert score(text + r" \boxed{4}", region="boxed") == 0


def test_unknown_mode():
    with pytest.raises(ValueError, match="required, optional, forbidden"):
        score("x", thinking="maybe")
