"""lm-eval's own scorer on answers that we scored: its verdicts are its own, and every difference has a reason."""

import pytest

from lab.errors import UserError
from lab.evidence.stock import compare
from lab.registry import load_task
from lab.scoring import Scorer

ANSWERS = [  # text for the gold 1280 (with %s), finished, ours, strict-match, flexible-extract
    (r"So it is \boxed{%s}", True, True, False, True),
    (r"\boxed{%s}, that is 2 more than thought", True, True, False, False),
    ("So it is %s.", True, False, False, True),
    ("#### %s", True, False, True, True),
    (r"\boxed{%s} and", False, False, False, True),
    (r"\boxed{7} or maybe %s", True, False, False, True),
    (r"\boxed{7}", True, False, False, False),
]


@pytest.fixture
def samples(hub_copies):
    task = load_task("gsm8k")
    rows = task.sample("test", len(ANSWERS))
    texts = [text.replace("%s", row["answer"]) for (text, *_), row in zip(ANSWERS, rows)]
    responses = [task.response(text, finished=answer[1]) for text, answer in zip(texts, ANSWERS)]
    with Scorer({"gsm8k": task}, workers=1) as scorer:
        graded = scorer.grade(responses, rows)
    return [
        {
            "index": i,
            "row": row,
            "completion": r.text,
            "finished": r.finished,
            "answer": r.answer,
            "right": task.is_right(grade),
        }
        for i, (row, r, grade) in enumerate(zip(rows, responses, graded))
    ]


def test_each_scorer_keeps_its_own_verdict(samples):
    found = compare(samples)
    assert found.ours == [answer[2] for answer in ANSWERS]
    assert found.stock["strict-match"] == [answer[3] for answer in ANSWERS]
    assert found.stock["flexible-extract"] == [answer[4] for answer in ANSWERS]


def test_every_difference_has_its_reason(samples):
    found = compare(samples)
    reasons = found.reasons["flexible-extract"]
    assert sum(reasons.values()) == 5
    for part in ("outside the region", "cut at the token limit", "another number follows", "stands in the region"):
        assert sum(count for reason, count in reasons.items() if part in reason) >= 1, part
    lines = str(found).splitlines()
    assert lines[0].startswith("the same 7 answers to gsm8k") and lines[1].startswith("ours") and "28.6 %" in lines[1]
    assert "57.1 %" not in lines[2] and any("flexible-extract" in line and "71.4 %" in line for line in lines)


def test_what_could_not_be_scored_is_left_out(samples):
    samples[0]["right"] = None
    assert len(compare(samples).ours) == len(ANSWERS) - 1


def test_a_task_without_a_stock_scorer(samples):
    samples[0]["row"]["task"] = "digits"
    with pytest.raises(UserError, match="there is one for gsm8k"):
        compare(samples)


def test_several_answers_to_one_row_are_one_row(samples):
    twice = samples + [{**sample, "index": sample["index"]} for sample in samples]
    found = compare(twice)
    assert len(found.ours) == 14
    assert str(found).splitlines()[1:3] == str(compare(samples)).splitlines()[1:3]  # no surer by asking twice
