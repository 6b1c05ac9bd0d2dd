"""The whole run, through the real command on the tiny model: it learns, and leaves what it promises."""

import json
import shutil
from pathlib import Path

import pytest

MARGIN = 0.10  # fixed beforehand: what GRPO must add to SFT's held-out accuracy

TASK = """
from lab import Task
from rewards.numeric import numeric_answer


def rows(split, rng):
    while True:
        a, b, c = (rng.randint(0, 9) for _ in range(3))
        yield {"question": f"{a} {b} {c}", "answer": str(min(a, b, c))}


task = Task(rows=rows, prompt="min {question}", rewards={"correct": numeric_answer()}, max_tokens=4)
"""


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("smoke")
    command = [sys.executable, "-m", "lab", "run", "smoke", f"output={folder / 'runs'}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (summary,) = (folder / "runs").glob("smoke/*/summary.json")
    return summary.parent, done


def test_grpo_learns_what_sft_did_not(smoke):
    stages = json.loads((smoke[0] / "summary.json").read_text())["stages"]
    assert stages["base"]["accuracy"] < 0.1 < stages["sft"]["accuracy"]
    assert stages["grpo"]["accuracy"] >= stages["sft"]["accuracy"] + MARGIN
    assert stages["grpo"]["change_ci95"][0] > 0
    assert stages["grpo"]["n"] == 200


def test_the_run_folder_holds_what_the_design_promises(smoke):
    run, _ = smoke
    for name in ("config.yaml", "provenance.json", "summary.json", "metrics.jsonl", "report.html"):
        assert (run / name).stat().st_size > 0
    facts = json.loads((run / "provenance.json").read_text())
    assert facts["seed"] == 0 and len(facts["tasks"]["digits"]["sha256"]) == 64 and facts["versions"]["trl"]
    steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {line["stage"] for line in steps} == {"sft", "grpo"}
    assert all(0 <= line["zero_signal"] <= 1 for line in steps if line["stage"] == "grpo")


def test_every_completion_is_kept_with_every_component(smoke):
    import pandas

    parts = sorted((smoke[0] / "grpo" / "completions").glob("*.parquet"))
    assert len(parts) == 60
    table = pandas.concat(map(pandas.read_parquet, parts))
    assert len(table) == 60 * 16 * 8
    assert {"prompt", "completion", "correct", "advantage", "finished", "task"} <= set(table.columns)


def test_checkpoints_load_with_plain_transformers_and_their_end_of_turn_was_trained(smoke):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = smoke[0] / "grpo"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "max 3 9 1 4"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    text = tokenizer.decode(model.generate(**ids, max_new_tokens=8, do_sample=False)[0, ids["input_ids"].shape[1] :])
    assert text.endswith("<|end|>") and len(text) < 12


def test_what_is_printed_is_the_table_and_the_paths(smoke):
    run, done = smoke
    assert "held-out digits, n = 200, greedy" in done.stdout and str(run.name) in done.stdout
    assert "60 steps × 16 prompts × 8 answers" in done.stdout
    assert "it/s" not in done.stderr and "Warning" not in done.stderr, done.stderr


def test_a_task_file_elsewhere_trains_from_an_empty_folder(lab, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "elsewhere" / "smallest.py").write_text(TASK)
    overrides = ("task=../elsewhere/smallest.py", "grpo.max_steps=2", "sft.demonstrations=800", "eval.n=50")
    done = lab("run", "smoke", *overrides, cwd=tmp_path / "empty")
    assert done.returncode == 0, done.stderr
    (summary,) = (tmp_path / "empty" / "runs").glob("smoke/*/summary.json")
    stages = json.loads(summary.read_text())["stages"]
    assert list(stages) == ["base", "sft", "grpo"] and stages["grpo"]["n"] == 50
    shown = int(stages["sft"]["label"].split()[0])  # there are 1,000 prompts, of which 70 % are for training
    assert 600 < shown < 800 and f"{shown} demonstrations" in done.stdout
    again = lab("report", summary.parent)
    assert again.returncode == 0 and "held-out smallest" in again.stdout
    assert str(summary.parent.name) in lab("runs", tmp_path / "empty" / "runs").stdout


def test_stages_alone_and_lora_on_a_mixture(lab, tmp_path):
    mixture = "task={digits: 3, largest: 1}"
    few = ("grpo.max_steps=1", "grpo.prompts_per_step=4", "sft.demonstrations=16", "eval.n=16", f"output={tmp_path}")
    trained = lab("sft", "smoke", mixture, "lora={r: 4, target_modules: all-linear}", *few)
    assert trained.returncode == 0, trained.stderr
    (checkpoint,) = tmp_path.glob("smoke/*/sft")
    assert not (checkpoint / "adapter_config.json").exists()
    further = lab("grpo", "smoke", mixture, f"model={checkpoint}", *few)
    assert further.returncode == 0, further.stderr
    newest = max(tmp_path.glob("smoke/*/summary.json"), key=lambda file: file.stat().st_mtime)
    assert set(json.loads(newest.read_text())["stages"]["grpo"]["tasks"]) == {"digits", "largest"}


def test_the_same_seed_gives_the_same_numbers(lab, tmp_path):
    few = ("grpo.max_steps=2", "grpo.prompts_per_step=4", "sft.demonstrations=64", "eval.n=20", "eval.base=false")
    for name in ("a", "b"):
        assert lab("run", "smoke", *few, f"output={tmp_path / name}").returncode == 0

    def losses(name):
        (file,) = Path(tmp_path / name).glob("smoke/*/metrics.jsonl")
        return [(line["stage"], line["step"], line["loss"]) for line in map(json.loads, file.read_text().splitlines())]

    assert losses("a") == losses("b")


@pytest.fixture
def begun(tiny, tmp_path, monkeypatch):
    """A run from a relative path, whose only stage does nothing here and has not been measured."""
    from lab.config import load_experiment
    from lab.stages import pipeline

    monkeypatch.setattr(pipeline, "_stage", lambda *_: None)
    shutil.copytree(tiny, tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    return pipeline.run_experiment(load_experiment("smoke", ["model=./mine", "output=runs", "eval.n=4"]), ["base"])


def test_a_run_is_resumed_from_another_folder_with_its_checkpoint_moved_or_not_but_not_with_another(
    begun, tmp_path, monkeypatch
):
    from lab.errors import UserError
    from lab.resume import resume

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    resume(f"../runs/smoke/{begun.path.name}")
    (tmp_path / "mine").rename(tmp_path / "moved")
    with pytest.raises(UserError, match=f"there is no checkpoint at '{tmp_path}/mine'"):
        resume(begun.path)
    config = (begun.path / "config.yaml").read_text()
    (begun.path / "config.yaml").write_text(config.replace(f"{tmp_path}/mine", f"{tmp_path}/moved"))
    resume(begun.path)
    facts = begun.provenance
    for changed, what in (
        ({"checkpoint": facts["checkpoint"] | {"sha256": "of other weights"}}, "the starting checkpoint"),
        (
            {"tasks": {"digits": facts["tasks"]["digits"] | {"wording": "as it was"}}},
            "the wording of the task's prompts",
        ),
        ({"renderer": "as it was"}, "the chat template"),
    ):
        begun.add_provenance(**facts | changed)
        with pytest.raises(UserError, match=f"{what} has changed since it began"):
            resume(begun.path)
    old = {name: entry for name, entry in facts["tasks"]["digits"].items() if name != "wording"}  # of an older lab
    begun.add_provenance(**facts | {"tasks": {"digits": old}})
    resume(begun.path)


def test_libraries_that_changed_before_a_resume_are_told_and_noted(begun, capsys):
    from lab.evidence.report import write_report
    from lab.resume import resume

    resume(begun.path)
    assert "libraries" not in capsys.readouterr().err and "resumed_with" not in begun.provenance
    versions = begun.provenance["versions"]
    then = {name: version for name, version in versions.items() if name != "peft"} | {"trl": "0.1", "lm-eval": "0.1"}
    begun.add_provenance(versions=then)
    for _ in range(2):
        resume(begun.path)
        (told,) = [line for line in capsys.readouterr().err.splitlines() if "libraries have changed" in line]
        changed = f"trl 0.1 → {versions['trl']}, peft none → {versions['peft']}"
        assert f"({changed})" in told and begun.provenance["resumed_with"] == [changed]
    assert changed in write_report(begun.path).read_text()
    begun.add_provenance(versions=versions)  # the old ones are back; what was trained with the others stays said
    resume(begun.path)
    assert "libraries" not in capsys.readouterr().err and begun.provenance["resumed_with"] == [changed]
