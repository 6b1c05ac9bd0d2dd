"""A run's model as a folder for plain transformers: merged, with its numbers, never over something else."""

import os
import shutil

import pytest

from lab.errors import UserError
from lab.export import export

CONFIG = """
name: exported
model: tiny
task: digits
lora: {r: 4, target_modules: all-linear}
sft: {demonstrations: 24, examples_per_step: 8, learning_rate: 1e-2, save_steps: 1, save_total_limit: 2}
eval: {n: 16}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    import subprocess
    import sys

    home = tmp_path_factory.mktemp("export")
    (home / "exported.yaml").write_text(CONFIG)
    command = [sys.executable, "-m", "lab", "run", str(home / "exported.yaml"), f"output={home / 'runs'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (folder,) = (home / "runs").glob("*/*/")
    return folder


def test_the_folder_loads_in_plain_transformers_and_its_card_has_the_numbers(lab, run, tmp_path):
    import json

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    done = lab("export", run, "--to", tmp_path / "model")
    assert done.returncode == 0, done.stderr
    model, info = AutoModelForCausalLM.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "max 1 2 3 4"}], return_tensors="pt", return_dict=True
    )
    trained = AutoModelForCausalLM.from_pretrained(run / "sft")
    with torch.no_grad():
        assert torch.equal(model(**ids).logits, trained(**ids).logits)
    card = (tmp_path / "model" / "README.md").read_text()
    summary = json.loads((run / "summary.json").read_text())
    assert f"{100 * summary['stages']['sft']['accuracy']:.1f} %" in card
    assert summary["task"] in card and "sha256" in card
    assert (tmp_path / "model" / "lab_config.yaml").read_text() == (run / "config.yaml").read_text()


def test_a_lora_checkpoint_between_the_steps_is_merged_into_what_it_began_with(lab, run, tmp_path):
    import torch
    from safetensors.torch import load_file

    done = lab("export", run, "--to", tmp_path / "last", "--checkpoint", "sft/trainer/checkpoint-3")
    assert done.returncode == 0, done.stderr
    weights, expected = load_file(tmp_path / "last" / "model.safetensors"), load_file(run / "sft" / "model.safetensors")
    assert weights.keys() == expected.keys()
    assert all(torch.allclose(weights[name], expected[name], atol=1e-6) for name in expected)
    done = lab("export", run, "--to", tmp_path / "earlier", "--checkpoint", "sft/trainer/checkpoint-2")
    earlier = load_file(tmp_path / "earlier" / "model.safetensors")
    assert not all(torch.allclose(earlier[name], expected[name], atol=1e-6) for name in expected)
    assert "These weights are those of `sft/trainer/checkpoint-2`" in (tmp_path / "earlier" / "README.md").read_text()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--checkpoint", "sft/trainer/checkpoint-9"], "it has sft/trainer/checkpoint-2, sft/trainer/checkpoint-3"),
        (["--checkpoint", "sft/trainer"], "has no checkpoint 'sft/trainer': it has sft/trainer/checkpoint-2"),
        (["--push", "nobody/nothing"], "was written, but not uploaded to 'nobody/nothing'"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(lab, run, tmp_path, arguments, said):
    done = lab("export", run, "--to", tmp_path / "model", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_hub_that_cannot_be_reached_is_one_sentence(lab, run, tmp_path):
    nowhere = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = lab("export", run, "--to", tmp_path / "model", "--push", "nobody/nothing", env=os.environ | nowhere)
    assert done.returncode == 2
    assert "was written, but not uploaded to 'nobody/nothing' ([Errno 111]" in done.stderr
    assert done.stderr.count("\n") == 1


def test_nothing_is_overwritten_and_no_folder_is_half_made(lab, run, tmp_path):
    (tmp_path / "mine").write_text("precious")
    done = lab("export", run, "--to", tmp_path)
    assert done.returncode == 2 and "exists and is not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert lab("export", tmp_path, "--to", tmp_path / "model").returncode == 2


def test_a_half_saved_checkpoint_and_a_folder_that_is_a_file_are_refused(run, tmp_path):
    killed = shutil.copytree(run, tmp_path / "run")
    (killed / "sft" / "trainer" / "checkpoint-3" / "complete.json").unlink()
    with pytest.raises(UserError, match="checkpoint-3 was not saved to its end: export another .*checkpoint-2"):
        export(killed, tmp_path / "model", "sft/trainer/checkpoint-3")
    (tmp_path / "file").touch()
    for target, said in {"file": "is a file: give a new folder", "file/model": "cannot be made"}.items():
        with pytest.raises(UserError, match=said):
            export(run, tmp_path / target)


def test_weights_that_are_cut_short_are_not_exported(run, tmp_path):
    broken = shutil.copytree(run, tmp_path / "run")
    with (broken / "sft" / "model.safetensors").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(UserError, match="truncated"):
        export(broken, tmp_path / "model")
    assert not (tmp_path / "model").exists()
