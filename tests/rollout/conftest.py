"""A GRPO trainer on the tiny model, ours or TRL's, and batches that both of them can take."""

import copy

import pytest
import torch


@pytest.fixture(scope="session")
def tiny_model(tiny):
    from lab.checkpoints import load_model

    return load_model(tiny)


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny):
    from lab.checkpoints import load_tokenizer

    return load_tokenizer(tiny)


@pytest.fixture
def make_trainer(tiny_model, tiny_tokenizer, tmp_path):
    """make_trainer(shared, model=None, **GRPOConfig fields) → a trainer over prompts of unequal length."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from lab.rollout.trainer import SharedPrefixTrainer

    prompts = [[{"role": "user", "content": "max " + " ".join("9182736455"[:n])}] for n in (2, 9, 4, 7, 3, 5)]

    def rewards(completion_ids, **_):
        return [float(sum(ids) % 5) for ids in completion_ids]

    def make(shared: bool, model=None, peft_config=None, reward=rewards, **fields):
        settings = {
            "output_dir": str(tmp_path),
            "use_cpu": True,
            "bf16": False,
            "report_to": "none",
            "disable_tqdm": True,
            "per_device_train_batch_size": 8,
            "num_generations": 4,
            "max_completion_length": 6,
            "top_k": 0,
            "save_strategy": "no",
            "gradient_checkpointing": False,
            "learning_rate": 0.1,
            "optim": "sgd",
            "max_grad_norm": 1e9,
            "lr_scheduler_type": "constant",
        } | fields
        return (SharedPrefixTrainer if shared else GRPOTrainer)(
            model=copy.deepcopy(tiny_model) if model is None else model,
            args=GRPOConfig(**settings),
            train_dataset=Dataset.from_dict({"prompt": prompts, "row_index": list(range(len(prompts)))}),
            processing_class=tiny_tokenizer,
            reward_funcs=reward,
            peft_config=peft_config,
        )

    return make


@pytest.fixture
def batches():
    """batches(trainer) → the micro-batches of one generation batch, as the trainer makes them."""

    def make(trainer):
        rows = trainer.args.per_device_train_batch_size * trainer.args.steps_per_generation
        inputs = [trainer.train_dataset[i // trainer.num_generations] for i in range(rows)]
        trainer.model.train()
        trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
        trainer._prepare_inputs(inputs)
        return trainer._buffered_inputs

    return make


@pytest.fixture
def gradient():
    """gradient(trainer, batch) → the loss, and the gradient of all trained weights as one vector in float64."""

    def compute(trainer, batch):
        trainer.model.zero_grad()
        loss = trainer._compute_loss(trainer.model, batch)
        loss.backward()
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in trainer.model.parameters()]
        kept = [g.flatten().double() for g, p in zip(grads, trainer.model.parameters(), strict=True) if p.requires_grad]
        return loss.item(), torch.cat(kept)

    return compute
