"""The shared-prefix update gives plain TRL's loss and gradient, on the same completions, in float32."""

import copy

import pytest
import torch

CASES = {
    **{loss: {"loss_type": loss} for loss in ("dapo", "grpo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo")},
    **{f"scale_{scale}": {"scale_rewards": scale} for scale in ("batch", "none")},
    "kl": {"beta": 0.1},
    "kl_grpo": {"beta": 0.1, "loss_type": "grpo", "use_bias_correction_kl": True},
    "two_iterations": {"num_iterations": 2},
    "two_iterations_bnpo_kl": {"num_iterations": 2, "loss_type": "bnpo", "beta": 0.05},
    "long_generation_batch": {"steps_per_generation": 3, "gradient_accumulation_steps": 1},
    "sequence_ratio": {"importance_sampling_level": "sequence", "loss_type": "grpo", "num_iterations": 2},
    "sequence_ratio_dapo": {"importance_sampling_level": "sequence", "num_iterations": 2},
    "masks_truncated": {"mask_truncated_completions": True, "loss_type": "bnpo"},
    "group_across_micro_batches": {
        "per_device_train_batch_size": 6,
        "steps_per_generation": 2,
        "gradient_accumulation_steps": 2,
    },
    "temperature": {"temperature": 0.7, "num_iterations": 2},
    "entropy_bonus": {"entropy_coef": 0.01},
    "entropy_quantile": {"top_entropy_quantile": 0.3},
    "gradient_checkpointing": {"gradient_checkpointing": True},
    "lora": {"lora": True},
    "lora_checkpointing": {"lora": True, "gradient_checkpointing": True},
    "lora_kl": {"lora": True, "beta": 0.1, "num_iterations": 2, "loss_type": "grpo"},
}


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradient_are_those_of_trl(case, make_trainer, batches, gradient):
    from peft import LoraConfig

    fields = dict(CASES[case])
    lora = LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, r=4) if fields.pop("lora", False) else None
    torch.manual_seed(0)
    ours = make_trainer(True, peft_config=lora, **fields)
    if fields.get("mask_truncated_completions"):
        ours.eos_token_ids = list(range(0, 4096, 3))  # else hardly an untrained answer would end
    prepared = batches(ours)
    assert ours.paths == {"generation": "shared prefix", "update": "shared prefix"}
    trl = make_trainer(False, peft_config=lora, **fields)
    trl.model.train()
    trl.current_gradient_accumulation_steps = ours.current_gradient_accumulation_steps
    # away from the weights that generated, so that the ratios to the old policy are no longer 1
    noise = torch.Generator().manual_seed(1)
    changed = copy.deepcopy(ours.model.state_dict())
    for name, weight in changed.items():
        if weight.dim() > 1 and (lora is None or "lora" in name):
            weight += 0.02 * weight.std() * torch.randn(weight.shape, generator=noise)
    for trainer in (ours, trl):
        trainer.model.load_state_dict(changed, strict=False)
    for batch in prepared:
        # group-normalised advantages make a loss of about 0, which has no relative error: move it away
        batch["advantages"] = batch["advantages"] + 0.5
        loss, grad = gradient(ours, batch)
        expected, expected_grad = gradient(trl, batch)
        assert loss == pytest.approx(expected, rel=1e-5, abs=1e-9)
        assert torch.nn.functional.cosine_similarity(grad, expected_grad, dim=0) > 0.99999
        assert grad.norm().item() == pytest.approx(expected_grad.norm().item(), rel=1e-4)


def test_old_and_reference_log_probabilities_are_those_of_trl(make_trainer, batches):
    torch.manual_seed(0)
    ours = make_trainer(True, num_iterations=2, beta=0.1, per_device_train_batch_size=6, steps_per_generation=2)
    prepared = batches(ours)
    for batch in prepared:
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
        mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
        for name, model in (("old_per_token_logps", ours.model), ("ref_per_token_logps", ours.ref_model)):
            plain = super(type(ours), ours)._get_per_token_logps_and_entropies
            with torch.no_grad():
                expected, _, _ = plain(model, ids, mask, batch["completion_ids"].shape[1])
            assert (batch[name] - expected).abs().max() < 1e-4


@pytest.mark.parametrize(
    "fields",
    [
        {"loss_type": "dapo"},
        {"loss_type": "dapo", "num_iterations": 2},
        {"loss_type": "grpo", "num_iterations": 2},
        {"loss_type": "grpo", "num_iterations": 2, "importance_sampling_level": "sequence"},
        {"loss_type": "bnpo"},
        {"loss_type": "dr_grpo", "num_iterations": 2},
    ],
    ids=lambda fields: "_".join(map(str, fields.values())),
)
def test_rows_without_signal_are_left_out_and_change_nothing(fields, make_trainer, batches, gradient, monkeypatch):
    torch.manual_seed(0)
    ours, trl = (make_trainer(shared, **fields) for shared in (True, False))
    [batch] = batches(ours)
    trl.model.train()
    trl.current_gradient_accumulation_steps = 1
    computed = _packed_lengths(ours, monkeypatch)
    gradient(ours, batch)
    batch["advantages"][:5] = 0.0
    loss, grad = gradient(ours, batch)
    expected, expected_grad = gradient(trl, batch)
    assert computed[1] < computed[0]
    assert loss == pytest.approx(expected, rel=1e-5)
    assert torch.nn.functional.cosine_similarity(grad, expected_grad, dim=0) > 0.99999


def test_a_batch_without_any_signal_still_runs_backward_with_a_gradient_of_zero(
    make_trainer, batches, gradient, monkeypatch
):
    ours = make_trainer(True)
    [batch] = batches(ours)
    computed = _packed_lengths(ours, monkeypatch)
    batch["advantages"][:] = 0.0
    loss, grad = gradient(ours, batch)
    assert loss == 0.0 and not grad.any() and computed == [1]
    assert all(p.grad is not None for p in ours.model.parameters())


def test_rows_with_advantage_zero_stay_where_the_kl_term_needs_them(make_trainer, batches, gradient, monkeypatch):
    ours = make_trainer(True, beta=0.1)
    [batch] = batches(ours)
    computed = _packed_lengths(ours, monkeypatch)
    gradient(ours, batch)
    batch["advantages"][:] = 0.0
    gradient(ours, batch)
    assert computed[0] == computed[1]


@pytest.mark.parametrize("fields", [{}, {"num_iterations": 2, "loss_type": "grpo"}], ids=["dapo", "grpo_twice"])
def test_training_gives_the_weights_that_trl_gives(fields, make_trainer, monkeypatch):
    """Through Trainer.train: accumulation, several generation batches, the same completions for both."""
    trained = []
    for shared in (True, False):
        trainer = make_trainer(shared, max_steps=3, gradient_accumulation_steps=2, seed=5, **fields)
        trainer._generate_single_turn = lambda prompt_ids, *_: (
            [[(7 * i + sum(ids)) % 230 + 20 for _ in range(1 + i % 5)] for i, ids in enumerate(prompt_ids)],
            None,
        )
        begin = torch.cat([p.detach().flatten() for p in trainer.model.parameters()]).double()
        trainer.train()
        trained.append(torch.cat([p.detach().flatten() for p in trainer.model.parameters()]).double() - begin)
    assert trained[0].norm() > 0
    assert torch.nn.functional.cosine_similarity(*trained, dim=0) > 0.99999


def _packed_lengths(trainer, monkeypatch) -> list[int]:
    """Fills up with the number of tokens of each packed row that the trainer computes."""
    from lab.rollout import trainer as module

    seen = []

    class Counted(module.Layout):
        def __init__(self, *args):
            super().__init__(*args)
            seen.append(self.input_ids.shape[1])

    monkeypatch.setattr(module, "Layout", Counted)
    return seen
