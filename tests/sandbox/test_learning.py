"""A tiny model learns to write programs: GRPO against the sandbox raises the held-out share of right ones."""

import json

import pytest

MARGIN = 0.10  # fixed beforehand: what GRPO must add to SFT's held-out accuracy


@pytest.mark.slow
def test_grpo_on_programs_learns_what_sft_did_not(lab, tmp_path):
    done = lab(
        "run", "smoke", "task=programs", f"output={tmp_path}", "sft.demonstrations=1400", "sft.examples_per_step=16",
        "eval.base=false", "grpo.max_steps=60", cwd=tmp_path, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (summary,) = tmp_path.glob("smoke/*/summary.json")
    stages = json.loads(summary.read_text())["stages"]
    assert stages["grpo"]["accuracy"] >= stages["sft"]["accuracy"] + MARGIN
    assert stages["grpo"]["change_ci95"][0] > 0
