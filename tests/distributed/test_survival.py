"""Two ranks, and one or both are lost: the job ends, says which, and goes on to the numbers it would have had."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SAMPLER = Path(__file__).parent / "fixed_sampler.py"
SAVES = ["sft.save_steps=1", "grpo.save_steps=1"]
LAB = [sys.executable, "-m", "lab"]


@pytest.mark.parametrize(
    "preset", ["cpu2_zero2", *(pytest.param(p, marks=pytest.mark.slow) for p in ("cpu2", "cpu2_zero3"))]
)
def test_a_killed_rank_is_named_and_the_run_goes_on_to_the_same_numbers(
    accelerated, trained, finished, experiment, tmp_path, preset
):
    environment = {"GRADED": str(tmp_path / "graded")}
    arguments = ("run", experiment, f"output={tmp_path / 'runs'}", *SAVES)
    job = accelerated(preset, *arguments, script=SAMPLER, LOST="1 1 SIGKILL", **environment)
    assert job.returncode != 0
    assert "lab: rank 1 was lost or is stuck" in job.stderr
    assert "in step 2, it was answering (\"{'digits': " in job.stderr
    (run,) = (tmp_path / "runs").glob("*/*/")
    resumed = accelerated(preset, "resume", run, script=SAMPLER, **environment)
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    finished(tmp_path / "runs").assert_same_as(trained(preset))


@pytest.mark.slow
def test_a_stopped_rank_is_named_and_ended_within_the_time_limit(accelerated, experiment, tmp_path):
    job = accelerated(
        "cpu2",
        *("grpo", experiment, f"output={tmp_path}", "grpo.ddp_timeout=15", "grpo.reward_budget=10"),
        script=SAMPLER,
        GRADED=str(tmp_path / "graded"),
        LOST="1 1 SIGSTOP",  # it would sleep forever: the test's own limit is five minutes
        TORCH_ELASTIC_SHUTDOWN_TIMEOUT="1000",
    )
    assert job.returncode != 0
    assert "lab: rank 1 was lost or is stuck" in job.stderr and "in step 2" in job.stderr


@pytest.fixture(scope="module")
def unkilled(finished, experiment, tmp_path_factory):
    """unkilled("cpu2") → a Finished run with real sampling, made once."""
    runs = {}

    def run(preset: str):
        if preset not in runs:
            output = tmp_path_factory.mktemp(f"unkilled-{preset}")
            command = [*LAB, "run", str(experiment), f"output={output}", *SAVES, "--accelerate", preset]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr[-3000:]
            runs[preset] = finished(output)
        return runs[preset]

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    "preset, lines, lost",
    [
        ("cpu2", 1, [0, 1]),
        ("cpu2", 5, [0]),
        ("cpu2_zero2", 2, [1]),
        ("cpu2_zero2", 4, [0, 1]),
        ("cpu2_zero3", 2, [0, 1]),
        ("cpu2_zero3", 5, [1]),
    ],
)
def test_ranks_killed_at_any_moment_resume_to_the_same_numbers(
    unkilled, finished, experiment, tmp_path, lab, preset, lines, lost
):
    """After `lines` steps, three of SFT and three of GRPO, whatever the ranks are doing then; answers are sampled."""
    command = [*LAB, "run", str(experiment), f"output={tmp_path}", *SAVES, "--accelerate", preset]
    job = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while job.poll() is None:
        file = next(iter(tmp_path.glob("*/*/metrics.jsonl")), None)
        if file and file.read_text().count("\n") >= lines:
            break
        time.sleep(0.002)
    (run,) = tmp_path.glob("*/*/")
    for number in lost:
        os.kill(json.loads((run / "ranks" / f"{number}.json").read_text())["pid"], signal.SIGKILL)
    _, said = job.communicate(timeout=300)
    assert job.returncode == 1, said[-3000:]
    assert "was ended by SIGKILL" in said and "Traceback" not in said
    resumed = lab("resume", run, "--accelerate", preset)
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    finished(tmp_path).assert_same_as(unkilled(preset))


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["lab run", "lab.launcher"])
def test_ranks_whose_launcher_is_killed_save_and_end(finished, experiment, tmp_path, killed):
    """Else they would go on beside the resumed run, in one folder."""
    settings = ["sft=null", "grpo.max_steps=100000", "eval.n=1"]
    command = [*LAB, "run", str(experiment), f"output={tmp_path}", *settings, "--accelerate", "cpu2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as job:
        while job.poll() is None and not list(tmp_path.glob("*/*/metrics.jsonl")):
            time.sleep(0.01)
        children = Path(f"/proc/{job.pid}/task/{job.pid}/children")
        os.kill(job.pid if killed == "lab run" else int(children.read_text()), signal.SIGKILL)
        _, said = job.communicate(timeout=300)  # the ranks hold its other end: it closes with the last of them
    (run,) = tmp_path.glob("*/*/")
    assert list(run.glob("grpo/checkpoint-*/complete.json")), said[-3000:]
