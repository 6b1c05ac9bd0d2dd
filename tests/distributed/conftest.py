"""Real jobs of two processes through `accelerate launch`. Each is run once and looked at by several tests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CLOCKS = ("second", "step_time", "cached", "profiling")
EXPERIMENT = """
name: invariance
model: tiny
task: digits
sft: {demonstrations: 20, examples_per_step: 8, learning_rate: 1e-3, save_total_limit: 2}
grpo: {prompts_per_step: 4, num_generations: 4, max_steps: 3, learning_rate: 1e-3}
eval: {n: 16, base: false}
"""


class Finished:
    """A run that came to its end: its folder, metrics and weights."""

    def __init__(self, output: Path):
        (self.path,) = output.glob("*/*/")
        self.metrics = [json.loads(line) for line in (self.path / "metrics.jsonl").read_text().splitlines()]
        self.provenance = json.loads((self.path / "provenance.json").read_text())
        self.summary = json.loads((self.path / "summary.json").read_text())
        self.output = output

    def weights(self, stage: str) -> dict:
        from safetensors.torch import load_file

        return load_file(self.path / stage / "model.safetensors")

    def assert_same_as(self, reference: "Finished", stages=("sft", "grpo")) -> None:
        """The same numbers, bit for bit: metrics, weights, evaluated completions."""
        import torch

        assert self.training() == reference.training()
        for stage in stages:
            weights, expected = self.weights(stage), reference.weights(stage)
            assert weights.keys() == expected.keys()
            assert all(torch.equal(weights[name], expected[name]) for name in expected)
            samples, wanted = ((run.path / "samples" / f"{stage}.jsonl").read_text() for run in (self, reference))
            assert samples == wanted

    def training(self) -> list[dict]:
        """The metrics but for those that measure the machine."""
        return [{k: v for k, v in m.items() if not any(clock in k for clock in CLOCKS)} for m in self.metrics]


@pytest.fixture(scope="session")
def finished():
    """finished(output) → the one run in that folder, as a Finished."""
    return Finished


@pytest.fixture(scope="session")
def experiment(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("experiment") / "invariance.yaml"
    file.write_text(EXPERIMENT)
    return file


@pytest.fixture(scope="session")
def accelerated():
    """accelerated("cpu2", "run", …) → CompletedProcess of `accelerate launch --config_file cpu2.yaml … run …`."""

    def run(preset: str, *arguments, script: Path | None = None, options=(), **environment):
        from lab.launch import PRESETS

        launcher = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--main_process_port", "0"]
        program = [script] if script else ["-m", "lab"]
        command = [*launcher, "--config_file", PRESETS / f"{preset}.yaml", *options, *program, *arguments]
        return subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=300, env=os.environ | environment
        )

    return run


@pytest.fixture(scope="session")
def trained(experiment, accelerated, tmp_path_factory):
    """trained("cpu2_zero2", *overrides) → the Finished run of the experiment with the fixed sampler, made once."""
    runs = {}

    def run(preset: str, *overrides: str) -> Finished:
        if (preset, overrides) not in runs:
            output = tmp_path_factory.mktemp(preset)
            arguments = ["run", experiment, f"output={output}", *overrides]
            graded = output / "graded.jsonl"
            job = accelerated(preset, *arguments, script=HERE / "fixed_sampler.py", GRADED=str(graded))
            assert job.returncode == 0 and "steps mismatch" not in job.stderr, job.stderr[-3000:]
            runs[preset, overrides] = Finished(output)
        return runs[preset, overrides]

    return run
