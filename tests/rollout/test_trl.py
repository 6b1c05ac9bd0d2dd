"""What the lab replaces in TRL, pinned: a release that changes it must be looked at before it is allowed."""

import hashlib
import inspect

import pytest

PINNED = {
    "GRPOTrainer._generate_single_turn": (
        "e0f02e4fc094cefd",
        "SharedPrefixTrainer._generate_single_turn replaces its last branch: arguments, answers cut after the first "
        "end of turn, no log-probabilities",
    ),
    "GRPOTrainer._get_per_token_logps_and_entropies": (
        "ea73c3909275851d",
        "SharedPrefixTrainer replaces it for text: arguments, 0 where there is no token, three results",
    ),
    "GRPOTrainer._prepare_inputs": (
        "f824e7fb07147956",
        "SharedPrefixTrainer orders `_buffered_inputs` by prompt after TRL has filled it",
    ),
    "GRPOTrainer._compute_loss": (
        "80295546bbdbf6f7",
        "rows with advantage 0 are left out: does such a row still have gradient 0 where beta is 0 and no entropy "
        "counts, and is the old log-probability still `old_per_token_logps`?",
    ),
    "GRPOTrainer._generate": (
        "2a27fdf8f5e6f356",
        "DynamicSampling gathers its result row by row: a list has an entry for each row, anything else is for all",
    ),
    "GRPOTrainer._calculate_rewards": (
        "736ae29b083840b5",
        "DynamicSampling reads the rewards of all processes from it, rank after rank",
    ),
    "GRPOTrainer._generate_and_score_completions": (
        "1fa48922792dcd5c",
        "DynamicSampling chooses the rows first and hands their answers and rewards to it; does it call `_generate` "
        "and `_calculate_rewards` once each, and keep `_pending_extra_logs` a list a row?",
    ),
    "GRPOTrainer._save_checkpoint": (
        "ec91bde123649111",
        "DynamicSampling adds a file to the folder that it writes",
    ),
    "add_fused_lm_head": (
        "422d009f04b66659",
        "lab.rollout.trainer.add_packed_log_probs does the same for a packed row: scaling, softcapping, precision",
    ),
}


@pytest.mark.parametrize("name", PINNED)
def test_trl_is_as_it_was_when_we_replaced_it(name):
    import trl
    from trl.trainer import grpo_trainer

    found = grpo_trainer
    for part in name.split("."):
        found = getattr(found, part)
    digest = hashlib.sha256(inspect.getsource(found).encode()).hexdigest()[:16]
    pinned, look = PINNED[name]
    assert digest == pinned, (
        f"TRL {trl.__version__} changed {name}: {look}. When lab/rollout and tests/rollout still hold, pin {digest}"
    )
