"""Response: reasoning, answer regions, truncation."""

import pytest

from lab.response import Response, check_region, in_region


@pytest.mark.parametrize(
    "text, region, answer",
    [
        ("  42 ", "everything", "42"),
        ("", "everything", None),
        ("so\n42\n", "last line", "42"),
        (r"thus \boxed{42}.", "boxed", "42"),
        (r"\boxed{\frac{1}{2}}", "boxed", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", "boxed", r"\{1, 2\}"),
        (r"\boxed{ \boxed{7} }", "boxed", r"\boxed{7}"),
        (r"\boxed{41} no, \boxed{42}", "boxed", None),
        (r"\boxed{42} again \boxed{42}", "boxed", "42"),
        (r"\boxed{\boxed{42}", "boxed", "42"),
        ("42", "boxed", None),
        ("<answer> 42 </answer>", "<answer>", "42"),
        ("<answer>42", "<answer>", None),
        ("<answer>41</answer><answer>42</answer>", "<answer>", None),
    ],
)
def test_answer(text, region, answer):
    assert Response(text, region=region).answer == answer


def test_a_truncated_response_has_no_answer():
    assert Response(r"\boxed{42}", finished=False, region="boxed").answer is None


def test_the_answer_stands_after_the_thinking():
    response = Response(r"<think>\boxed{41}?</think>\boxed{42}", region="boxed")
    assert (response.reasoning, response.answer) == (r"\boxed{41}?", "42")


def test_an_open_thought_commits_to_nothing():
    assert Response("<think>it is 42").answer is None
    assert Response("it is 42", prefilled="<think>\n").answer is None


def test_a_prefilled_thought_is_closed_by_the_model():
    response = Response("hm</think>42", prefilled="<think>\n")
    assert (response.reasoning, response.answer) == ("hm", "42")


def test_fifty_thousand_open_boxes_are_one_pass():
    assert Response("\\boxed{" * 50_000 + "42}", region="boxed").answer == "42"


@pytest.mark.parametrize("region", ["everything", "last line", "boxed", "<final>"])
def test_in_region_is_read_back(region):
    assert Response(in_region("42", region), region=region).answer == "42"


def test_an_unknown_region_is_refused():
    with pytest.raises(ValueError, match='use "everything"'):
        check_region("bold")
