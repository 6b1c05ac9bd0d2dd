"""Evaluation: truncated is wrong, unscorable is left out, pairs stay pairs."""

import pytest

from lab.checkpoints import load_model
from lab.config import Eval
from lab.errors import UserError
from lab.progress import LiveLine
from lab.registry import load_task
from lab.scoring import Scorer
from lab.stages.evaluate import evaluate, numbers


def sample(index, right, sample=0, tokens=2, finished=True):
    row = {"task": "t"}
    return {"index": index, "row": row, "sample": sample, "right": right, "tokens": tokens, "finished": finished,
            "answer": "x" if finished else None}  # fmt: skip


def test_accuracy_with_wilsons_interval_and_the_paired_change():
    before = [sample(i, i < 4) for i in range(10)]
    after = [sample(i, i < 8) for i in range(10)]
    result = numbers(after, before)
    assert result["accuracy"] == 0.8 and result["ci95"] == pytest.approx([0.4902, 0.9433], abs=1e-4)
    assert result["change"] == pytest.approx(0.4) and result["change_ci95"][0] > 0


def test_unscorable_rows_are_left_out_on_both_sides():
    before = [sample(0, True), sample(1, None), sample(2, False)]
    after = [sample(0, True), sample(1, True), sample(2, None)]
    result = numbers(after, before)
    assert (result["accuracy"], result["n"], result["unscorable"], result["change"]) == (1.0, 2, 1, 0.0)


def test_nothing_scorable_is_an_error_not_a_zero():
    with pytest.raises(UserError, match="no sample could be scored"):
        numbers([sample(0, None)])


def test_several_samples_a_row_are_one_row():
    result = numbers([sample(i, (i + s) % 2 == 0, sample=s) for i in range(6) for s in range(4)])
    assert (result["n"], result["samples"], result["accuracy"]) == (6, 4, 0.5)


@pytest.fixture(scope="module")
def model(tiny):
    return load_model(tiny)


def answers(model, renderer, **settings):
    task = load_task("digits")
    rows = task.sample("test", 8)
    with Scorer({"digits": task}) as scorer:
        return evaluate(model, renderer, {"digits": task}, rows, scorer, Eval(**settings), LiveLine())


def test_greedy_answers_do_not_depend_on_the_batch(model, tiny_renderer):
    one, eight = (answers(model, tiny_renderer, batch_size=size) for size in (1, 8))
    assert [s["completion"] for s in one] == [s["completion"] for s in eight]
    assert [s["index"] for s in one] == list(range(8))


def test_a_truncated_answer_is_wrong_whatever_it_says(model, tiny_renderer):
    for got in answers(model, tiny_renderer, max_tokens=1):
        assert (got["tokens"], got["finished"], got["answer"], got["right"]) == (1, False, None, False)


def test_the_seed_decides_the_samples(model, tiny_renderer):
    sampled = [answers(model, tiny_renderer, samples=2, temperature=1.0, seed=seed) for seed in (1, 1, 2)]
    texts = [[s["completion"] for s in samples] for samples in sampled]
    assert texts[0] == texts[1] != texts[2] and len(texts[0]) == 16
