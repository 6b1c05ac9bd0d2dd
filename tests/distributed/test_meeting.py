"""Ranks that do not find each other, or not what they were told of: one sentence, exit code 2, no traceback."""

import os
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lab.distributed import start_processes
from lab.errors import UserError

ROOT = Path(__file__).parent.parent.parent
LAB = [sys.executable, "-m", "lab"]


@pytest.fixture(scope="module")
def rendezvous_known(tmp_path_factory) -> str:
    """A PYTHONPATH on which torchrun finds the rendezvous that pyproject.toml names, installed or not."""
    folder = tmp_path_factory.mktemp("site")
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["torchrun.handlers"]
    about = folder / "meeting-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: meeting\nVersion: 1\n")
    lines = [f"{name} = {target}" for name, target in points.items()]
    (about / "entry_points.txt").write_text("\n".join(["[torchrun.handlers]", *lines]))
    return f"{folder}:{ROOT}"


def free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


@pytest.mark.parametrize(
    "conditions, said",
    [
        ("read_timeout=2,is_host=0", "lab: nobody answered at 127.0.0.1:{port} within 2 s: --main_process_ip must be"),
        pytest.param(
            "join_timeout=2",
            "lab: 2 machines were to meet at 127.0.0.1:{port}, but not all came within 2 s",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_machines_that_do_not_meet_are_told_so(accelerated, rendezvous_known, conditions, said):
    port = free_port()
    address = ["--main_process_ip", "127.0.0.1", "--main_process_port", port, "--rdzv_conf", conditions]
    options = ["--num_processes", "2", "--machine_rank", "1", "--rdzv_backend", "lab", *address]
    job = accelerated("multi_node_zero3", "grpo", "smoke", options=options, PYTHONPATH=rendezvous_known)
    assert job.returncode == 2, job.stderr
    assert said.format(port=port) in job.stderr and "Traceback" not in job.stderr


@pytest.mark.slow
def test_two_machines_meet_and_train(accelerated, rendezvous_known, experiment, finished, tmp_path):
    """Both are this one, each with its own accelerate."""
    from concurrent.futures import ThreadPoolExecutor

    port, path = free_port(), {"PYTHONPATH": rendezvous_known}
    sizes = ["--num_processes", "2", "--num_machines", "2", "--rdzv_backend", "lab", "--main_process_ip", "127.0.0.1"]

    def machine(number: int):
        options = [*sizes, "--machine_rank", str(number), "--main_process_port", port]
        options += ["--rdzv_conf", f"is_host={1 - number}"]
        return accelerated("cpu2", "sft", experiment, f"output={tmp_path}", options=options, **path)

    with ThreadPoolExecutor() as both:
        for job in both.map(machine, range(2)):
            assert job.returncode == 0, job.stderr[-3000:]
    assert finished(tmp_path).provenance["processes"] == 2


def test_a_process_whose_fellows_never_start_says_so(experiment, tmp_path):
    place = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    limits = ["grpo.ddp_timeout=3", "grpo.reward_budget=2"]
    command = [*LAB, "grpo", str(experiment), f"output={tmp_path}", *limits]
    job = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | place)
    assert job.returncode == 2, job.stderr
    assert "lab: rank 0 waited 3 s" in job.stderr and "the 2 processes of this run did not all meet" in job.stderr


@pytest.mark.parametrize(
    "place, said",
    [
        ({"RANK": "1", "MASTER_ADDR": "127.0.0.1"}, "rank 1 found nobody at 127.0.0.1:.* within 0.2 s .*refused"),
        ({"RANK": "0", "MASTER_ADDR": "no.such.host.invalid"}, "rank 0 found nobody at no.such.host.invalid"),
        ({"RANK": "2", "MASTER_ADDR": "127.0.0.1"}, "RANK is 2 and WORLD_SIZE 2: ranks count from 0"),
        ({"RANK": "1"}, "RANK is 1 of 2, but MASTER_ADDR is not set: export rank 0's address"),
    ],
)
def test_a_place_where_rank_0_cannot_be_met(monkeypatch, place, said):
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    place |= {"LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_PORT": free_port(), "DS_ACCELERATOR": "cpu"}
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=said):
        start_processes(0.2)


@pytest.mark.slow
def test_a_preset_for_gpus_where_there_are_none(accelerated, tmp_path):
    options = ["--num_processes", "2"]
    job = accelerated("ddp", "grpo", "smoke", f"output={tmp_path}", options=options, CUDA_VISIBLE_DEVICES="")
    assert job.returncode != 0
    assert "lab: the launcher was told to train in bf16 on GPUs, and this machine has none" in job.stderr
    assert not any(tmp_path.iterdir())


def test_deepspeed_missing(lab, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['deepspeed'] = None\n")
    path = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    job = lab("grpo", "smoke", "--accelerate", "cpu2_zero2", cwd=tmp_path, env=path)
    assert job.returncode == 2
    assert job.stderr == "lab: the preset cpu2_zero2 needs DeepSpeed: `pip install deepspeed`, or use ddp or cpu2\n"


UNSHARED = """
import os
from pathlib import Path

import lab.stages.pipeline

lab.stages.pipeline.SEEN_WITHIN_SECONDS = 0.1
there = Path.is_dir
Path.is_dir = lambda path: there(path) and not (os.environ["RANK"] == "1" and "unshared" in path.parts)

if __name__ == "__main__":
    from lab.cli import main

    main()
"""


def test_a_run_folder_that_one_rank_does_not_see(accelerated, experiment, tmp_path):
    script, output = tmp_path / "unshared.py", tmp_path / "unshared"
    script.write_text(UNSHARED)
    job = accelerated("cpu2", "grpo", experiment, f"output={output}", script=script)
    assert job.returncode != 0
    assert "is not visible from every machine: set `output` to a folder on a disk they share" in job.stderr
    assert "accuracy" not in job.stderr
    assert not any(output.glob("*/*"))


DIES = """
import os

from lab import Task
from rewards.numeric import numeric_answer

if os.environ.get("RANK") == "1":
    os._exit(7)
task = Task(rows=lambda split, rng: iter(()), prompt="{a}", rewards={"correct": numeric_answer()})
"""


def test_the_exit_code_of_a_mistake_and_of_a_crash(lab, tmp_path):
    mistaken = lab("grpo", "smoke", "task=digit", "--accelerate", "cpu2", cwd=tmp_path)
    assert mistaken.returncode == 2
    assert mistaken.stderr.startswith("lab: there is no task 'digit'") and mistaken.stderr.count("\n") == 1
    (tmp_path / "dies.py").write_text(DIES)
    crashed = lab("grpo", "smoke", "task=dies.py", "--accelerate", "cpu2", cwd=tmp_path)
    assert crashed.returncode == 1
    assert "lab: rank 1 ended with exit code 7" in crashed.stderr
