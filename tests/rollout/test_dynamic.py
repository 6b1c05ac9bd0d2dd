"""Dynamic sampling: every group has spread where prompts with spread can be found, within its bound."""

import logging

import pytest
import torch

from lab.rollout.dynamic import DynamicSampling
from lab.rollout.visits import Visits


@pytest.fixture
def dynamic(make_trainer):
    """dynamic(hopeless, rounds, patience=0): a trainer whose prompts at the places `hopeless` always earn 0."""

    def make(hopeless, rounds, patience=0, **fields):
        def reward(prompts, row_index, log_extra, **_):
            log_extra("text", [prompt[0]["content"] for prompt in prompts])
            log_extra("right", [False] * len(prompts))
            return [0.0 if place in hopeless else float(i % 4) for i, place in enumerate(row_index)]

        trainer = make_trainer(True, reward=reward, **fields)
        trainer.__class__ = type("Trainer", (DynamicSampling, type(trainer)), {"rounds": rounds, "patience": patience})
        trainer.visits = Visits(len(trainer.train_dataset), patience, 0)
        trainer.model.train()
        return trainer

    return make


def rows_of(trainer, *indices):
    return [trainer.train_dataset[i] for i in indices for _ in range(4)]


def test_groups_without_spread_are_replaced(dynamic):
    torch.manual_seed(0)
    trainer = dynamic({0, 1}, 8, per_device_train_batch_size=16)
    batch = trainer._generate_and_score_completions(rows_of(trainer, 0, 2, 1, 3))
    assert len(batch["advantages"]) == 16
    assert (batch["advantages"].view(4, 4).abs().amax(1) > 0).all()
    assert trainer._metrics["train"]["sampling/drawn"][0] > 1
    # what is logged, trained on and scored are the same rows
    logged = list(trainer._logs["extra"]["text"])
    assert not set(logged) & {trainer.train_dataset[i]["prompt"][0]["content"] for i in (0, 1)}
    assert logged == [prompt[0]["content"] for prompt in trainer._logs["prompt"]]
    assert len(set(logged)) == 4  # each prompt at most once while there are others
    decoded = trainer.processing_class.batch_decode(batch["prompt_ids"], skip_special_tokens=True)
    assert all(text in prompt for text, prompt in zip(logged, decoded, strict=True))


def test_the_search_is_bounded_and_the_batch_full(dynamic):
    trainer = dynamic(set(range(100)), 2)
    batch = trainer._generate_and_score_completions(rows_of(trainer, 0, 2))
    assert len(batch["advantages"]) == 8 and not batch["advantages"].any()
    assert trainer._metrics["train"]["sampling/drawn"] == [3.0]


def test_nothing_more_is_drawn_where_all_groups_have_spread(dynamic):
    trainer = dynamic(set(), 2)
    trainer._generate_and_score_completions(rows_of(trainer, 0, 2))
    assert trainer._metrics["train"]["sampling/drawn"] == [1.0]


def test_prompts_that_taught_nothing_are_not_asked_again(dynamic):
    trainer = dynamic({0}, 0, patience=1)
    trainer._generate_and_score_completions(rows_of(trainer, 0, 2))
    assert trainer._metrics["train"]["sampling/hopeless"] == [1]
    batch = trainer._generate_and_score_completions(rows_of(trainer, 0, 3))
    assert (batch["advantages"].view(2, 4).abs().amax(1) > 0).all()
    assert trainer.train_dataset[0]["prompt"] not in list(trainer._logs["prompt"])[-8:]
    assert trainer._metrics["train"]["sampling/solved"] == [0, 0]


def test_training_with_it(dynamic):
    trainer = dynamic({0}, 2, patience=2, max_steps=3)
    trainer.train()
    assert trainer.state.global_step == 3


def test_a_prompt_rests_for_its_epochs_and_then_each_visit_decides():
    visits = Visits(10, 2, 0)
    visits.note(3, spread=False, solved=True)
    visits.note(3, spread=True, solved=False)
    visits.note(3, spread=False, solved=True)
    assert visits.replaced([3]) == [3]  # two visits, but not running
    visits.note(3, spread=False, solved=True)
    assert visits.replaced([3]) != [3] and visits.set_aside(solved=True) == 1
    for _ in range(2 * 10):
        assert 3 not in visits.draw(9, ())
        visits.note(5, spread=True, solved=False)
    assert visits.replaced([3]) == [3]
    visits.note(3, spread=False, solved=False)
    assert visits.replaced([3]) != [3]
    assert (visits.set_aside(solved=True), visits.set_aside(solved=False)) == (0, 1)


def test_prompts_never_run_out(caplog):
    visits = Visits(5, 1, 0)
    for prompt in (0, 1, 2):
        visits.note(prompt, spread=False, solved=False)
    assert sorted(visits.replaced([0, 1])) == [3, 4]
    visits.note(3, spread=False, solved=False)
    with caplog.at_level(logging.WARNING):
        assert visits.replaced([0, 4]) == [0, 4]
    assert "4 of 5 prompts are set aside, 2 are wanted" in caplog.text and not visits.aside
    assert len(visits.draw(7, ())) == 7  # more than there are: some twice


def test_draws_repeat_with_the_state():
    def walk(visits, steps):
        drawn = []
        for _ in range(steps):
            drawn.append(visits.draw(3, {0}))
            for prompt in drawn[-1]:
                visits.note(prompt, spread=prompt % 2 == 0, solved=False)
        return drawn

    import json

    first, second = Visits(30, 1, 7), Visits(30, 1, 7)
    walk(first, 4)
    second.load(json.loads(json.dumps(first.state())))
    assert walk(first, 4) == walk(second, 4)
    assert second.state() == first.state()
