"""A run that was killed, stopped or whose disk was full resumes to the numbers of one that was not, bit for bit."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

EXPERIMENT = """
name: resume
model: tiny
task: digits
sft: {demonstrations: 48, examples_per_step: 8, learning_rate: 1e-3, save_steps: 2}
grpo: {prompts_per_step: 4, num_generations: 4, max_steps: 8, learning_rate: 1e-3, save_steps: 2, prompts: 12,
       dynamic_sampling: 1, drop_solved: 2}
eval: {n: 16, base: false}
"""
LAB = [sys.executable, "-m", "lab"]
CLOCKS = ("second", "step_time", "cached", "profiling")  # metrics that measure the machine, not the training


def start(experiment: Path, output: Path, verb: str = "run") -> subprocess.Popen:
    return subprocess.Popen(
        [*LAB, verb, str(experiment), f"output={output}"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def folder(output: Path) -> Path:
    (run,) = output.glob("*/*/")
    return run


def metrics(run: Path) -> list[dict]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if not any(clock in k for clock in CLOCKS)} for line in lines]


def wait_for_lines(process: subprocess.Popen, output: Path, lines: int) -> None:
    """Until the run has logged so many steps."""
    while process.poll() is None:
        file = next(iter(output.glob("*/*/metrics.jsonl")), None)
        if file and file.read_text().count("\n") >= lines:
            return
        time.sleep(0.002)
    raise AssertionError(f"the run ended before step {lines}: {process.stderr.read()[-2000:]}")


def checkpoints(run: Path, stage: str) -> list[str]:
    return sorted(path.name for path in (run / stage).rglob("checkpoint-*"))


def assert_same_run(run: Path, reference: Path, stages=("sft", "grpo")) -> None:
    import torch
    from safetensors.torch import load_file

    assert metrics(run) == [line for line in metrics(reference) if line["stage"] in stages]
    for stage in stages:
        weights, expected = (load_file(folder / stage / "model.safetensors") for folder in (run, reference))
        assert weights.keys() == expected.keys()
        assert all(torch.equal(weights[name], expected[name]) for name in expected)
        samples, wanted = ((folder / "samples" / f"{stage}.jsonl").read_text() for folder in (run, reference))
        assert samples == wanted


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    file = tmp_path_factory.mktemp("experiment") / "resume.yaml"
    file.write_text(EXPERIMENT)
    return file


@pytest.fixture(scope="module")
def reference(experiment, tmp_path_factory):
    output = tmp_path_factory.mktemp("reference")
    process = start(experiment, output)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said[-2000:]
    return folder(output)


@pytest.fixture(scope="module")
def stopped(experiment, tmp_path_factory):
    """A run that SIGTERM reached in GRPO's second epoch of prompts."""
    output = tmp_path_factory.mktemp("stopped")
    process = start(experiment, output)
    wait_for_lines(process, output, 6 + 3)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said[-2000:]
    assert f"`lab resume {folder(output)}` goes on" in said
    return folder(output)


def copy_of(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / run.name))


@pytest.mark.parametrize(
    "lines, stages",
    [
        (3, ("sft",)),
        pytest.param(1, ("sft",), marks=pytest.mark.slow),
        *(pytest.param(n, ("sft", "grpo"), marks=pytest.mark.slow) for n in (6, 8, 12)),
    ],
)
def test_a_run_killed_at_any_step_resumes_to_the_same_numbers(lab, experiment, reference, tmp_path, lines, stages):
    process = start(experiment, tmp_path, "run" if "grpo" in stages else "sft")
    wait_for_lines(process, tmp_path, lines)
    process.kill()
    process.communicate()
    assert lab("resume", folder(tmp_path)).returncode == 0
    assert_same_run(folder(tmp_path), reference, stages)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_run_killed_at_any_moment_resumes_to_the_same_numbers(lab, experiment, reference, tmp_path, seed):
    """Between two steps the moment falls into the saving as often as not: the model is tiny, its step takes 20 ms."""
    process = start(experiment, tmp_path)
    wait_for_lines(process, tmp_path, 2 + 2 * seed)
    time.sleep(0.013 * seed)
    process.kill()
    process.communicate()
    assert lab("resume", folder(tmp_path)).returncode == 0
    assert_same_run(folder(tmp_path), reference)


def test_sigterm_saves_and_exits_0_and_half_written_checkpoints_are_passed_over(lab, stopped, reference, tmp_path):
    run = copy_of(stopped, tmp_path)
    (name,) = checkpoints(run, "grpo")
    whole = run / "grpo" / name
    later = run / "grpo" / "checkpoint-7"  # as if killed between two files of a save, and within one of them
    shutil.copytree(whole, later)
    (later / "scheduler.pt").unlink()
    with (later / "optimizer.pt").open("r+b") as file:
        file.truncate(1000)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "grpo", "step": 7, "lo')
    summary = json.loads((run / "summary.json").read_text())  # as if the run had been moved, and not copied
    summary["stages"]["sft"]["checkpoint"] = str(tmp_path / "elsewhere" / "sft")
    (run / "summary.json").write_text(json.dumps(summary))
    facts = json.loads((run / "provenance.json").read_text())
    (run / "provenance.json").write_text(json.dumps(facts | {"processes": 2}))  # as if two had trained the first stage
    trained_once = (run / "sft" / "model.safetensors").stat().st_mtime_ns
    resumed = lab("resume", run)
    assert resumed.returncode == 0, resumed.stderr
    assert (run / "sft" / "model.safetensors").stat().st_mtime_ns == trained_once
    assert not checkpoints(run, "grpo")
    assert json.loads((run / "provenance.json").read_text())["processes"] == 1
    assert_same_run(run, reference)
    again = lab("resume", run)  # a finished run has nothing left to do
    assert again.returncode == 0 and "grpo" in again.stdout


@pytest.mark.parametrize(
    "began, said",
    [
        ({"processes": 2}, "was written by 2 processes, this is a run of 1"),
        ({"engine": "deepspeed zero-2"}, "was written under deepspeed zero-2, this is a run under one process"),
    ],
)
def test_another_number_of_processes_or_another_engine_is_refused(lab, stopped, tmp_path, began, said):
    run = copy_of(stopped, tmp_path)
    mark = next(run.glob("grpo/checkpoint-*/complete.json"))
    mark.write_text(json.dumps(json.loads(mark.read_text()) | began))
    resumed = lab("resume", run)
    assert resumed.returncode == 2
    assert said in resumed.stderr


def test_a_changed_task_is_refused(lab, stopped, tmp_path):
    run = copy_of(stopped, tmp_path)
    facts = json.loads((run / "provenance.json").read_text())
    facts["tasks"]["digits"]["sha256"] = "of the file as it was then"
    (run / "provenance.json").write_text(json.dumps(facts))
    resumed = lab("resume", run)
    assert resumed.returncode == 2
    assert "the task's file has changed since it began" in resumed.stderr


FULL_DISK = """
import torch
from lab.cli import main

real = torch.save

def save(thing, to, *args, **kwargs):
    return real(thing, "/dev/full" if "optimizer" in str(to) else to, *args, **kwargs)

torch.save = save
if __name__ == "__main__":
    main()
"""


def test_a_full_disk_keeps_the_last_good_checkpoint(lab, stopped, reference, tmp_path):
    run = copy_of(stopped, tmp_path)
    (good,) = checkpoints(run, "grpo")
    script = tmp_path / "full_disk.py"
    script.write_text(FULL_DISK)
    process = subprocess.run([sys.executable, script, "resume", run], capture_output=True, text=True, timeout=300)
    assert process.returncode == 2, process.stderr[-2000:]
    assert "lab: the disk is full" in process.stderr
    assert (run / "grpo" / good / "complete.json").is_file()
    assert lab("resume", run).returncode == 0
    assert_same_run(run, reference)
