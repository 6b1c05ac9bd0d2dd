"""Run folders: whole files, nothing overwritten, a full disk told before it is full."""

import json
import shutil
from collections import namedtuple

import pytest

from lab.config import load_experiment
from lab.errors import UserError
from lab.look import run_table
from lab.runs import Run, all_runs, checkpoint_hash, provenance


@pytest.fixture
def experiment(tmp_path):
    return load_experiment("smoke", [f"output={tmp_path / 'runs'}"])


def test_two_runs_of_one_second_are_two_folders(experiment):
    first, second = Run.create(experiment, {}), Run.create(experiment, {})
    assert first.path != second.path and len(all_runs(experiment.output)) == 2
    assert load_experiment(str(first.path / "config.yaml")) == experiment


def test_stages_are_added_to_the_summary(experiment):
    run = Run.create(experiment, {"a": 1})
    run.record_stage("sft", accuracy=0.5)
    run.record_stage("sft", n=3)
    run.add_provenance(b=2)
    assert Run.open(run.path).summary["stages"] == {"sft": {"accuracy": 0.5, "n": 3}}
    facts = json.loads((run.path / "provenance.json").read_text())
    assert (facts["a"], facts["b"]) == (1, 2)


def test_a_full_disk_is_told_before_the_run(experiment, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**9, 9 * 10**8, 10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match="0.1 GiB free, this run needs about 1.2 GiB"):
        Run.create(experiment, {}, needed_bytes=2**30)
    assert not all_runs(experiment.output)


def test_an_empty_run_goes_with_the_mistake_and_a_used_one_stays(experiment):
    empty, used = Run.create(experiment, {}), Run.create(experiment, {})
    used.log(step=1)
    for run in (empty, used):
        with pytest.raises(UserError), run.removed_if_nothing_was_made():
            raise UserError("no")
    assert not empty.path.exists() and used.path.exists()


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(UserError, match="`lab runs` lists the runs"):
        Run.open(tmp_path)


@pytest.mark.parametrize("name", ["summary", "provenance"])
def test_a_damaged_run_names_its_file(experiment, name):
    run = Run.create(experiment, {})
    file = run.path / f"{name}.json"
    file.write_text("{")
    with pytest.raises(UserError, match=f"{name}.json is missing or damaged"):
        getattr(run, name)
    file.unlink()
    with pytest.raises(UserError, match=f"{name}.json is missing or damaged"):
        getattr(run, name)


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"task": "digits"}', None])
def test_one_damaged_run_is_listed_beside_the_others(experiment, text):
    whole, damaged = Run.create(experiment, {"stages": ["sft", "grpo"]}), Run.create(experiment, {})
    whole.record_stage("sft", accuracy=0.5, n=3)
    file = damaged.path / "summary.json"
    file.write_text(text) if text else file.unlink()
    lines = {line.split()[0]: line for line in run_table(experiment.output).splitlines()}
    assert lines[str(damaged.path)].endswith("summary.json is missing or damaged")
    assert lines[str(whole.path)].endswith("sft 50.0 %, not finished: grpo")
    whole.record_stage("grpo", accuracy=0.75)
    assert "sft 50.0 %, grpo 75.0 %" in run_table(experiment.output)
    assert "not finished" not in run_table(experiment.output)


def test_the_checkpoint_hash_follows_the_weights(tiny, tmp_path):
    copy = shutil.copytree(tiny, tmp_path / "copy")
    assert checkpoint_hash(copy) == checkpoint_hash(tiny)
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    assert checkpoint_hash(copy) != checkpoint_hash(tiny)


def test_provenance_names_versions_and_hashes(experiment, tiny):
    from lab.data import load_tasks

    facts = provenance(experiment, load_tasks(experiment), tiny, "abc")
    assert facts["versions"]["transformers"] and len(facts["checkpoint"]["sha256"]) == 64
    assert facts["tasks"]["digits"]["source"].endswith("digits.py")
