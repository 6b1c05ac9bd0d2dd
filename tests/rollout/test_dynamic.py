"""Dynamic sampling: every group has spread where prompts with spread can be found, within its bound."""

import pytest
import torch

from lab.errors import UserError
from lab.rollout.dynamic import DynamicSampling


@pytest.fixture
def dynamic(make_trainer):
    """dynamic(hopeless, rounds): a trainer for which the prompts of `hopeless` contents earn 0 whatever is written."""

    def make(hopeless, rounds, **fields):
        def reward(prompts, completion_ids, log_extra, log_metric, **_):
            texts = [prompt[0]["content"] for prompt in prompts]
            log_extra("text", texts)
            return [0.0 if len(text) in hopeless else float(i % 4) for i, text in enumerate(texts)]

        trainer = make_trainer(True, reward=reward, **fields)
        kind = type("Trainer", (DynamicSampling, type(trainer)), {"rounds": rounds})
        trainer.__class__ = kind
        trainer.model.train()
        return trainer

    return make


def rows_of(trainer, *indices):
    return [trainer.train_dataset[i] for i in indices for _ in range(4)]


def test_groups_without_spread_are_replaced(dynamic):
    torch.manual_seed(0)
    lengths = [len("max " + " ".join("9182736455"[:n])) for n in (2, 9, 4, 7, 3, 5)]
    trainer = dynamic({lengths[0], lengths[1]}, 8, per_device_train_batch_size=16)
    batch = trainer._generate_and_score_completions(rows_of(trainer, 0, 2, 1, 3))
    assert len(batch["advantages"]) == 16
    assert (batch["advantages"].view(4, 4).abs().amax(1) > 0).all()
    assert trainer._metrics["train"]["sampling/drawn"][0] > 1
    # what is logged, trained on and scored are the same rows
    logged = list(trainer._logs["extra"]["text"])
    assert not {len(text) for text in logged} & {lengths[0], lengths[1]}
    assert logged == [prompt[0]["content"] for prompt in trainer._logs["prompt"]]
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


def test_training_with_it(dynamic):
    trainer = dynamic({len("max 9 1")}, 2, max_steps=3)
    trainer.train()
    assert trainer.state.global_step == 3


def test_several_processes_are_refused(make_trainer, monkeypatch):
    from accelerate import Accelerator

    from lab.rollout.trainer import SharedPrefixTrainer

    class Trainer(DynamicSampling, SharedPrefixTrainer):
        pass

    plain = make_trainer(True)
    monkeypatch.setattr(Accelerator, "num_processes", property(lambda self: 2))
    monkeypatch.setattr(SharedPrefixTrainer, "__init__", lambda self: setattr(self, "accelerator", plain.accelerator))
    with pytest.raises(UserError, match="runs on one process, got 2"):
        Trainer()
