"""What shared prefixes do not cover goes TRL's way, with one message that says why, and trains all the same."""

import logging

import pytest
import torch

FALLBACKS = {
    "repetition_penalty": ({"repetition_penalty": 1.2}, ["generation"], "repetition_penalty is set"),
    "generation_kwargs": ({"generation_kwargs": {"num_beams": 1}}, ["generation"], "generation_kwargs are set"),
    "cache": ({"cache_implementation": "dynamic"}, ["generation"], "cache_implementation is set"),
    "float32_head": ({"cast_lm_head_to_fp32": True}, ["generation", "update"], "the head is cast to float32"),
}


@pytest.mark.parametrize("case", FALLBACKS)
def test_settings_that_are_not_covered(case, make_trainer, caplog):
    fields, parts, reason = FALLBACKS[case]
    with caplog.at_level(logging.WARNING, "lab.rollout.trainer"):
        trainer = make_trainer(True, max_steps=2, **fields)
        trainer.train()
    assert [part for part in trainer.paths if not trainer.shares(part)] == parts
    assert trainer.paths["generation"] == f"TRL: {reason}"
    assert [record.getMessage() for record in caplog.records] == [
        f"prompts are not shared in {' and '.join(parts)}: {reason}"
    ]


def test_another_attention_implementation(make_trainer, tiny_model):
    import copy

    model = copy.deepcopy(tiny_model)
    model.set_attn_implementation("eager")
    trainer = make_trainer(True, model=model, max_steps=1)
    trainer.train()
    assert trainer.paths["update"] == "TRL: the attention is 'eager', not 'sdpa'"
    assert model.config._attn_implementation == "eager"


def test_rotary_frequencies_that_depend_on_the_batch(make_trainer, tiny_model):
    import copy

    model = copy.deepcopy(tiny_model)
    model.config.rope_parameters = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    trainer = make_trainer(True, model=model, max_steps=1)
    trainer.train()
    assert trainer.paths["update"] == "TRL: rotary frequencies depend on the batch's longest sequence"


def test_a_model_whose_log_probabilities_come_out_otherwise(make_trainer, tiny_model):
    """A model that does something to its logits which nobody declared: found out before it is trained on."""
    import copy

    model = copy.deepcopy(tiny_model)
    model.config.logit_scale = 0.5  # TRL's head reads it; ours does not
    trainer = make_trainer(True, model=model, max_steps=1)
    trainer.train()
    assert trainer.paths["update"].startswith("TRL: it gives this model's log-probabilities with a difference of")
    assert not trainer.shares("generation")


def test_sequences_beyond_a_sliding_window(make_trainer, batches, gradient):
    """Short prompts are shared; the first batch that is longer than the window goes TRL's way, and all after it."""
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=263,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=64,
    )
    ours = make_trainer(True, model=MistralForCausalLM(config))
    [batch] = batches(ours)
    assert ours.shares("update") and ours.shares("generation")
    gradient(ours, batch)
    assert ours.shares("update")
    batch["prompt_ids"] = batch["prompt_ids"].repeat(1, 5)
    batch["prompt_mask"] = batch["prompt_mask"].repeat(1, 5)
    gradient(ours, batch)
    assert ours.paths["update"].startswith("TRL: sequences of")
    assert "exceed the sliding window of 64" in ours.paths["generation"]


@pytest.mark.parametrize("kind", ["Qwen2", "Qwen3", "Gemma", "Mistral", "SmolLM3", "Olmo2", "Phi3"])
def test_architectures_share_their_prompts(kind, make_trainer, batches, gradient):
    """Random weights of each family: shared, and the loss that TRL computes."""
    import transformers

    torch.manual_seed(0)
    sizes = {"vocab_size": 263, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0}
    config = getattr(transformers, f"{kind}Config")(**sizes, **heads)
    ours = make_trainer(True, model=getattr(transformers, f"{kind}ForCausalLM")(config), num_iterations=2)
    [batch] = batches(ours)
    assert ours.paths == {"generation": "shared prefix", "update": "shared prefix"}
    loss, grad = gradient(ours, batch)
    ours.paths["update"] = "TRL: to compare"
    expected, expected_grad = gradient(ours, batch)
    assert loss == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert torch.nn.functional.cosine_similarity(grad, expected_grad, dim=0) > 0.99999
