"""Run folders: whole files, nothing overwritten, a full disk told before it is full."""

import json
import shutil
from collections import namedtuple

import pytest

from lab.cli import main
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
    run.record_stage("sft", label="a")
    run.record_stage("sft", samples=3)
    run.add_provenance(b=2)
    assert Run.open(run.path).summary["stages"] == {"sft": {"label": "a", "samples": 3}}
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


MEASURED = {"accuracy": 0.5, "ci95": [0.1, 0.9], "n": 3}
DAMAGED = {  # what summary.json holds → what is said of it
    "{": "Expecting property name",
    "{}": "it holds no experiment",
    "[]": "it must be a valid dictionary, got []",
    "[" * 100_000: "recursion",
    None: "it has no summary.json",
    **{
        json.dumps({"experiment": "x", "task": "digits", "seed": 0, "stages": {}} | changed): said
        for changed, said in (
            ({"stages": []}, "stages must be a valid dictionary, got []"),
            ({"stages": {"sft": 0.5}}, "stages.sft must be a valid dictionary, got 0.5"),
            ({"stages": {"sft": MEASURED | {"accuracy": "high"}}}, "stages.sft.accuracy must be a valid number"),
            ({"stages": {"sft": MEASURED | {"n": None}}}, "stages.sft.n must be a valid integer, got None"),
            ({"stages": {"sft": MEASURED | {"ci95": [0.1]}}}, "stages.sft.ci95 must be"),
            ({"stages": {"sft": MEASURED | {"tasks": {"a": {}}}}}, "it holds no stages.sft.tasks.a.accuracy"),
            ({"stages": {"sft": {"accuracy": 0.5}}}, "stages.sft lacks ci95, n"),
            ({"stages": {"sft": MEASURED | {"change": 0.1}}}, "stages.sft lacks change_ci95, change_p"),
            ({"seed": "0"}, "seed must be a valid integer, got '0'"),
            ({"task": ["digits"]}, "task must be a valid string"),
        )
    },
}


@pytest.mark.parametrize("text", DAMAGED, ids=DAMAGED.get)
def test_a_damaged_summary_is_one_sentence_in_each_verb_and_its_run_listed_beside_the_others(
    experiment, text, monkeypatch, capsys
):
    facts = {"stages": ["sft", "grpo"], "label": ""}
    whole, damaged = Run.create(experiment, facts), Run.create(experiment, facts)
    whole.record_stage("sft", **MEASURED)
    file = damaged.path / "summary.json"
    file.write_text(text) if text else file.unlink()
    lines = {line.split()[0]: line for line in run_table(experiment.output).splitlines()}
    assert lines[str(damaged.path)].endswith("summary.json is missing or damaged")
    assert lines[str(whole.path)].endswith("sft 50.0 %, not finished: grpo")

    (damaged.path / "sft").mkdir()
    (damaged.path / "sft" / "config.json").write_text("{}")
    monkeypatch.setattr("lab.export._copy", lambda *_: None)
    monkeypatch.setattr("lab.export.resolve", lambda *_: None)
    for verb in ("report {0}", "report {0} {1}", "resume {0}", "export {0} --to {0}/exported"):
        monkeypatch.setattr("sys.argv", ["lab", *verb.format(damaged.path, whole.path).split()])
        with pytest.raises(SystemExit) as ended:
            main()
        (told,) = capsys.readouterr().err.strip().splitlines()
        assert ended.value.code == 2 and damaged.path.name in told and DAMAGED[text] in told, told


def test_finished_runs_say_nothing_more_than_their_numbers(experiment):
    run = Run.create(experiment, {"stages": ["sft", "grpo"]})
    run.record_stage("sft", **MEASURED)
    run.record_stage("grpo", **MEASURED | {"accuracy": 0.75})
    assert "sft 50.0 %, grpo 75.0 %" in run_table(experiment.output)
    assert "not finished" not in run_table(experiment.output)


@pytest.mark.parametrize("facts", [{"stages": 3}, {"stages": ["sft"], "versions": []}, {"checkpoint": "tiny"}])
def test_a_provenance_of_the_wrong_type_names_its_file(experiment, facts):
    run = Run.create(experiment, facts)
    with pytest.raises(UserError, match=rf"provenance.json is missing or damaged \({[*facts][-1]} must be"):
        _ = run.unfinished


def test_samples_with_other_line_ends_are_read_as_they_were_written(experiment):
    run, samples = Run.create(experiment, {}), [{"completion": "a\u2028b\x85c\n"}, {"completion": "\ud83d"}]
    run.write_samples("sft", samples)
    assert run.read_samples("sft") == samples
    run.write("samples/sft.jsonl", (run.path / "samples/sft.jsonl").read_text() + '{"completion": "cu')
    with pytest.raises(UserError, match="sft.jsonl is damaged in line 3"):
        run.read_samples("sft")


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
