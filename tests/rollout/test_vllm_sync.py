"""vLLM must hold the trained weights after each sync, or the run stops. TRL's own client and engine code runs; vLLM
itself is a stand-in on a CPU (stand_in/vllm.py), which computes with transformers and can lose its syncs."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
STAND_IN = Path(__file__).parent / "stand_in"
TASK = """
from lab import Score, Task, reward


@reward(reads=[], range=(0, 1), version="1")
def even(response, row):
    return Score(float(not response.text or ord(response.text[0]) % 2 == 0), "")


def rows(split, rng):
    while True:
        yield {"digit": str(rng.randint(0, 999)), "answer": "0"}


task = Task(rows=rows, prompt="say {digit}", rewards={"even": even()}, max_tokens=4)
"""
SETTINGS = [
    *("model=tiny", "sft=null", "grpo.audit=off", "eval.n=4", "eval.base=false", "grpo.unscorable_share=1"),
    *("grpo.use_vllm=true", "grpo.prompts_per_step=2", "grpo.num_generations=4", "grpo.max_steps=5"),
    *("grpo.learning_rate=1e-2", "grpo.vllm_importance_sampling_correction=false"),
]


def train(tmp_path, *settings: str, **environment: str):
    (tmp_path / "even.py").write_text(TASK)
    command = [sys.executable, str(STAND_IN / "lab_without_nccl.py"), "grpo", "smoke", f"task={tmp_path / 'even.py'}"]
    command += [f"output={tmp_path / 'runs'}", *SETTINGS, *settings]
    paths = {"PYTHONPATH": f"{STAND_IN}:{ROOT}", "WEIGHTS": str(tmp_path / "weights")}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=os.environ | paths | environment, cwd=tmp_path
    )
    (run,) = (tmp_path / "runs").glob("*/*/")
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return done, [json.loads(line)["vllm/sync_gap"] for line in lines]


@pytest.fixture
def server(tiny, tmp_path):
    """The settings that reach a stand-in server on this machine, whose third sync and all after it are lost."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
    environment = os.environ | {"WEIGHTS": str(tmp_path / "weights"), "STALE": "3"}
    process = subprocess.Popen([sys.executable, str(STAND_IN / "vllm.py"), str(tiny), port], env=environment)
    yield ["grpo.vllm_mode=server", "grpo.vllm_server_host=127.0.0.1", f"grpo.vllm_server_port={port}"]
    process.kill()
    process.wait()


def test_a_server_that_loses_a_sync_stops_the_run(server, tmp_path):
    done, gaps = train(tmp_path, *server)
    assert done.returncode == 2, done.stderr[-3000:]
    assert "lab: after the weight sync of step 3, vLLM and the trainer give a fixed prompt's tokens" in done.stderr
    assert len(gaps) == 2 and max(gaps) < 1e-3


@pytest.mark.slow
def test_an_engine_of_our_own_that_loses_a_sync_stops_the_run(tmp_path):
    done, gaps = train(tmp_path, "grpo.vllm_mode=colocate", STALE="2")
    assert done.returncode == 2, done.stderr[-3000:]
    assert "after the weight sync of step 2" in done.stderr
    assert len(gaps) == 1 and gaps[0] < 1e-3


@pytest.mark.slow
def test_an_engine_that_sleeps_between_steps_is_checked_awake(tmp_path):
    done, gaps = train(tmp_path, "grpo.vllm_mode=colocate", "grpo.vllm_enable_sleep_mode=true")
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(gaps) == 5 and max(gaps) < 1e-3
