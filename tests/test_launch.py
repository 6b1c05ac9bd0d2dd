"""Presets, plans and commands; what can be refused before anything starts is."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.config import load_experiment
from lab.distributed import check_engine
from lab.errors import UserError
from lab.launch import PRESETS, exit_code, fitted, load_preset
from lab.memory import Shape, estimate, read_shape
from lab.plan import BatchPlan


@pytest.mark.parametrize("file", sorted(PRESETS.glob("*.yaml")), ids=lambda file: file.stem)
def test_accelerate_reads_every_preset_as_we_do(file):
    from accelerate.commands.config import load_config_from_file

    theirs, ours = load_config_from_file(str(file)), load_preset(file.stem)
    assert theirs.num_processes == ours.processes
    assert theirs.num_machines == ours.machines
    assert theirs.distributed_type.value == ours.kind
    assert theirs.deepspeed_config.get("zero_stage", 0) == ours.zero_stage
    assert f"zero{ours.zero_stage}" in ours.name or ours.zero_stage == 0


@pytest.mark.parametrize(
    "preset, devices, said",
    [
        ("zero2", 0, "this machine has none: use cpu2_zero2"),
        ("ddp", 0, "this machine has none: use cpu2"),
        ("multi_node_zero3", 8, "is for 2 machines: `lab launch CONFIG --nodes 2 --gpus 8`"),
        ("zero4", 8, r"did you mean 'zero\d'\?$"),
    ],
)
def test_a_preset_that_this_machine_cannot_hold_is_refused(preset, devices, said):
    with pytest.raises(UserError, match=said):
        fitted(load_preset(preset), devices)


def test_our_presets_take_the_gpus_there_are_and_other_files_are_taken_at_their_word(tmp_path):
    assert fitted(load_preset("zero3"), devices=3) == 3
    assert fitted(load_preset("cpu2"), devices=3) == 2
    mine = tmp_path / "mine.yaml"
    mine.write_text((PRESETS / "ddp.yaml").read_text())
    with pytest.raises(UserError, match="asks for 8 processes, this machine has 2 GPUs: set num_processes to 2"):
        fitted(load_preset(str(mine)), devices=2)
    mine.write_text("- no\n- preset\n")
    with pytest.raises(UserError, match="is no accelerate file"):
        load_preset(str(mine))


@pytest.mark.parametrize(
    "launcher, ranks, wanted",
    [
        (143, [0, 0], 0),  # SIGTERM, and both ranks have saved
        (143, [0], 143),  # one was killed before it had
        (143, [], 143),  # it came before any rank was there
        (143, [0, 1], 143),
        (2, [2, 0], 2),
        (1, [0, 0], 1),  # the ranks stopped because one of another machine was lost
        (0, [], 0),  # trained to the end: ranks say nothing then
        (-9, [], 1),  # the launcher was killed
    ],
)
def test_a_stop_counts_as_success_where_every_rank_says_so(launcher, ranks, wanted):
    assert exit_code(launcher, ranks, processes=2) == wanted


def test_a_silent_fallback_to_another_engine_is_an_error(monkeypatch):
    import torch

    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", "3")
    with pytest.raises(UserError, match="told to train with deepspeed zero-3, but the model runs under one process"):
        check_engine(torch.nn.Linear(1, 1))
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "false")
    assert check_engine(torch.nn.Linear(1, 1)) == "one process"


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["run", "smoke", "--accelerate", "zero9"], "there is no accelerate preset 'zero9'"),
        (
            ["run", "smoke", "--accelerate", "cpu2", "grpo.prompts_per_step=3", "grpo.num_generations=3"],
            "do not divide",
        ),
        (
            ["launch", "smoke", "--nodes", "3", "--gpus", "7"],
            "do not divide among 21 processes: use examples_per_step 21",
        ),
        (["launch", "smoke", "--preset", "cpu1", "--gpus", "2"], "the preset cpu1 is for one process, got 2"),
        (["launch", "smoke", "--nodes", "0"], "--nodes must be at least 1, got 0"),
        (
            ["launch", "smoke", "grpo.use_vllm=true", "grpo.vllm_mode=server"],
            "takes a machine of its own: use --nodes 2 or more",
        ),
        (["launch", "smoke", "grpo.use_vllm=true", "grpo.vllm_tensor_parallel_size=3"], "it may be 1, 2, 4, 8"),
        (["launch", "smoke", "grpo.use_vllm=true", "grpo.vllm_max_model_length=4"], "leaves no room for a prompt"),
        (["launch", "smoke", "grpo.use_vllm=true", "grpo.vllm_gpu_memory_utilization=1.5"], "below 1, got 1.5"),
        (["launch", "smoke", "grpo.use_vllm=true", "grpo.vllm_mode=serve"], "vllm_mode must be 'server' or 'colocate'"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(lab, arguments, said):
    result = lab(*arguments)
    assert result.returncode == 2
    assert said in result.stderr and result.stderr.count("\n") == 1


def test_the_commands_of_two_machines(lab):
    result = lab("launch", "smoke", "grpo.max_steps=5", "--nodes", "2", "--gpus", "4", "--host", "10.0.0.1")
    assert "2 × 4 GPUs train under zero3" in result.stdout
    assert "128 rows a step, each ≤ 4 tokens = 8 processes × 16 rows × 1 accumulation" in result.stdout
    assert "an estimate in GiB" in result.stdout
    first, second = (line for line in result.stdout.splitlines() if line.startswith("accelerate launch"))
    assert first.replace("--machine_rank 0", "--machine_rank 1") == second
    for option in ("--num_processes 8", "--num_machines 2", "--main_process_ip 10.0.0.1", "run smoke grpo.max_steps=5"):
        assert option in first


SRUN = """#!/bin/bash
# Passes USR1 on, and makes SIGKILL of SIGTERM, as Slurm's own does.
while [[ $1 == --* ]]; do shift; done
trap 'kill -KILL $task' TERM
trap 'kill -USR1 $task' USR1
SLURM_PROCID=0 "$@" &
task=$!
wait $task; code=$?
while kill -0 $task 2>/dev/null; do wait $task; code=$?; done
exit $code
"""
SCONTROL = """#!/bin/bash
[ "$1" = show ] && echo n0 || echo "$@" >> scontrol.log
"""
PYTHON = """#!/bin/bash
# `python -m lab.launcher …`: makes a run folder and trains until it is told to stop; with $ENDS it ends at once.
mkdir -p runs/slurm-7/smoke/a && touch runs/slurm-7/smoke/a/summary.json
[ -z "${ENDS:-}" ] || exit $ENDS
trap 'kill $!; exit 143' USR1
sleep 60 &
echo "$@" >> launcher.log  # now it may be told to stop
wait
"""


@pytest.fixture
def cluster(tmp_path, lab):
    """cluster(settings, **stand-ins) → start: the batch file of these settings, run by bash as Slurm would."""

    def written(*settings: str, **programs: str):
        for name, text in {"srun": SRUN, "scontrol": SCONTROL, **programs}.items():
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        done = lab("launch", "smoke", *settings, "--slurm", cwd=tmp_path)
        assert done.returncode == 0 and "sbatch smoke.sbatch" in done.stdout, done.stderr
        root = str(Path(__file__).parent.parent)
        environment = os.environ | {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n0", "PYTHONPATH": root}
        environment["PATH"] = f"{tmp_path}:{Path(sys.executable).parent}:{environment['PATH']}"

        def start(**more: str) -> subprocess.Popen:
            command, quiet = ["bash", "smoke.sbatch"], subprocess.PIPE
            return subprocess.Popen(command, cwd=tmp_path, env=environment | more, stderr=quiet, text=True)

        return start

    return written


def wait_for(something) -> None:
    for _ in range(6000):
        if something():
            return
        time.sleep(0.02)
    raise AssertionError("it never came")


def test_the_batch_file_starts_queues_again_and_resumes(cluster, tmp_path, lab):
    settings = ["grpo.use_vllm=true", "grpo.vllm_mode=server", "output=runs", "--nodes", "2", "--gpus", "4"]
    settings.append('model.chat_template_kwargs.name=it"s $5')  # what a shell would read stays the user's text
    start = cluster(*settings, python=PYTHON, env="#!/bin/bash\n")
    assert lab("launch", "smoke", "--slurm", cwd=tmp_path).returncode == 2  # it would be overwritten
    log, queued = tmp_path / "launcher.log", tmp_path / "scontrol.log"
    (tmp_path / "runs/slurm-7/smoke/0").mkdir(parents=True)  # a start that was killed before it had begun a run
    for begun, wanted in enumerate(["run smoke", "resume runs/slurm-7/smoke/a/ --vllm-server n0"]):
        job = start()
        wait_for(lambda lines=begun + 1: log.exists() and log.read_text().count("\n") == lines)
        job.send_signal(signal.SIGUSR1)
        _, said = job.communicate(timeout=60)
        assert f"-m lab {wanted}" in log.read_text().splitlines()[begun], said
        assert queued.read_text().splitlines() == ["requeue 7"] * (begun + 1)
    first = log.read_text().splitlines()[0]
    assert first.endswith('name=it"s $5 grpo.vllm_server_host=n0 output=runs/slurm-7')


def test_the_batch_file_tries_a_crash_again_a_few_times_and_a_mistake_never(cluster, tmp_path):
    start, queued = cluster("output=runs", python=PYTHON), tmp_path / "scontrol.log"

    def times(code: str) -> int:
        before = queued.read_text().count("requeue 7") if queued.exists() else 0
        assert start(ENDS=code).wait(timeout=60) == int(code)
        return (queued.read_text().count("requeue 7") if queued.exists() else 0) - before

    assert [times(code) for code in ("2", "0", "1", "137", "1", "1")] == [0, 1, 1, 1, 1, 0]
    (tmp_path / "runs/slurm-7/smoke/a/report.html").touch()  # the run is finished
    assert times("0") == 0


@pytest.mark.slow
def test_a_preempted_slurm_job_queues_again_and_resumes(cluster, tmp_path):
    """Training for real: Slurm's signal in its midst, then the job's second start, which finishes it."""
    settings = ["output=runs", "eval.base=false", "eval.n=8", "grpo.max_steps=60", "sft=null"]
    start = cluster(*settings, "--nodes", "1", "--gpus", "2", "--preset", "cpu2")
    job = start()
    wait_for(lambda: any(f.read_text().count("\n") > 3 for f in tmp_path.glob("runs/slurm-7/*/*/metrics.jsonl")))
    job.send_signal(signal.SIGUSR1)
    _, said = job.communicate(timeout=120)
    assert "requeue 7" in (tmp_path / "scontrol.log").read_text(), said
    (run,) = tmp_path.glob("runs/slurm-7/*/*/")
    mark = next(run.glob("grpo/checkpoint-*/complete.json"))
    assert json.loads(mark.read_text())["processes"] == 2
    assert "goes on" in said
    job = start()
    _, said = job.communicate(timeout=300)
    assert job.returncode == 0, said
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 61))
    assert "accuracy" in json.loads((run / "summary.json").read_text())["stages"]["grpo"]


def test_the_estimate_divides_what_zero_divides():
    shape = Shape(parameters=10**9, layers=16, hidden=2048, intermediate=8192, vocabulary=128_000, key_values=1024)
    plan = BatchPlan(prompts=8, answers=8, processes=8, micro_batch=8, accumulation=1, tokens=1024)
    ddp, zero1, zero2, zero3 = (estimate(shape, plan, zero_stage=stage) for stage in range(4))
    assert (ddp.weights, ddp.gradients, ddp.optimizer) == (4e9, 4e9, 8e9)
    assert (zero1.weights, zero1.gradients, zero1.optimizer) == (2e9, 2e9, 12e9 / 8)
    assert (zero2.weights, zero2.gradients) == (2e9, 2e9 / 8)
    assert (zero3.weights, zero3.gradients) == (2e9 / 8, 2e9 / 8)
    offloaded = estimate(shape, plan, zero_stage=3, offload=True)
    assert offloaded.optimizer == 0 and offloaded.offloaded == zero3.optimizer + zero3.weights
    assert ddp.logits == 3 * 4 * 8 * 1024 * 128_000  # what runs small models out of memory
    assert estimate(shape, plan, checkpointing=True).activations < ddp.activations / 4
    assert estimate(shape, plan, lora_rank=8).total < ddp.total - 10e9


def test_the_shape_is_that_of_the_model(tiny):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny)
    shape = read_shape(tiny)
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert shape.vocabulary == model.config.vocab_size


def test_the_plan_counts_tokens_of_the_task():
    experiment = load_experiment("smoke")
    from lab.cluster import plan

    assert plan(experiment, "smoke", [], "ddp", 1, 2).batches()["grpo"].tokens == 4


def test_absent_vllm_is_told_with_how_to_install_it(lab, tmp_path):
    import importlib.util

    assert importlib.util.find_spec("vllm") is None, "this test is for machines without vLLM"
    result = lab("grpo", "smoke", "grpo.use_vllm=true", f"output={tmp_path}")
    assert result.returncode == 2
    assert "pip install 'reasoning-lab[vllm]'" in result.stderr
    assert not any(tmp_path.iterdir())


def test_a_vllm_server_gets_a_machine_and_a_command(lab):
    settings = ["grpo.use_vllm=true", "grpo.vllm_mode=server", "grpo.vllm_tensor_parallel_size=2"]
    result = lab("launch", "smoke", *settings, "--nodes", "2", "--gpus", "4")
    assert "1 × 4 GPUs train under zero3, 1 more for vLLM" in result.stdout
    assert "vllm serve" in result.stdout and "--tensor-parallel-size 2" in result.stdout
    assert """--weight-transfer-config '{"backend": "nccl"}'""" in result.stdout
    script = lab("launch", "smoke", *settings, "--nodes", "2", "--gpus", "4", "--slurm", "--dry-run").stdout
    script = script[script.index("#!/bin/bash") :]
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    assert "srun --relative=1 --nodes=1" in script and '"$VLLM"' in script


def test_the_plan_says_what_vllm_takes_beside_it(lab):
    shown = lab("launch", "smoke", "grpo.use_vllm=true", "--gpus", "2").stdout
    assert "beside it vLLM takes 30% of each GPU" in shown
    assert "vLLM takes" not in lab("launch", "smoke", "--gpus", "2").stdout
