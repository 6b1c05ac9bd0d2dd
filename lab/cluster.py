"""Many machines: the command for each, or one sbatch file that queues itself again when it was stopped, and resumes."""

import re
import shlex
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from lab.checkpoints import resolve
from lab.config import Experiment
from lab.data import load_tasks
from lab.errors import UserError
from lab.launch import GRACE_SECONDS, Preset, batch_plans, command, load_preset
from lab.memory import planned
from lab.plan import BatchPlan
from lab.vllm import SHARE, check_settings

PORT = 29500
OURS = re.compile(r"[\w.=]*\$(SLURM_PROCID|HEAD|RUN|VLLM|OUTPUT)")  # an argument that the batch file's shell fills in
RETRIES = 3  # of a Slurm job that crashed: what a lost machine needs, and a bug does not deserve more


@dataclass(frozen=True)
class Job:
    """A job over several machines. `servers` of them run vLLM, the others train."""

    experiment: Experiment
    arguments: list[str]  # of `lab`: the verb, the config, its overrides
    preset: Preset
    nodes: int
    gpus: int  # on each machine
    servers: int = 0
    host: str = ""  # the first training machine's address

    @property
    def trainers(self) -> int:
        return self.nodes - self.servers

    @property
    def processes(self) -> int:
        return self.trainers * self.gpus

    def batches(self) -> dict[str, BatchPlan]:
        """Each training stage's batch plan."""
        longest = max(task.max_tokens for task in load_tasks(self.experiment).values())
        return batch_plans(self.experiment, self.processes, longest=longest)

    def describe(self) -> str:
        """The plan in words: machines, batches, and an estimate of the memory."""
        served = f", {self.servers} more for vLLM" if self.servers else ""
        lines = [f"{self.trainers} × {self.gpus} GPUs train under {self.preset.name}{served}"]
        for section, batch in self.batches().items():
            preset = self.preset
            engine = {"zero_stage": preset.zero_stage, "offload": preset.offload, "bf16": not preset.on_cpu}
            lines += [f"{section}: {batch.equation}", f"  {planned(self.experiment, section, batch, **engine)}"]
        arguments = self.experiment.grpo.arguments if self.experiment.grpo else {}
        if arguments.get("use_vllm") and not self.servers:
            share = arguments.get("vllm_gpu_memory_utilization", SHARE)
            lines.append(f"  beside it vLLM takes {share:.0%} of each GPU (grpo.vllm_gpu_memory_utilization)")
        return "\n".join(lines)

    def commands(self) -> str:
        """What to type on each machine."""
        server = ["grpo.vllm_server_host=ADDRESS-OF-THE-VLLM-MACHINE"] if self.servers else []
        lines = []
        for rank in range(self.trainers):
            host = self.host or "ADDRESS-OF-MACHINE-0"
            lines += [f"# machine {rank}", self._train([*self.arguments, *server], str(rank), host)]
        if self.servers:
            lines += [f"# machine {self.trainers}: vLLM", self._serve()]
        return "\n".join(lines)

    def sbatch(self) -> str:
        """A Slurm batch file: rendezvous, logs, retries; stopped before its time is over, it queues again and resumes.

        Every job id has an output folder of its own, in which a requeued job finds the run that it began.
        """
        first = ["grpo.vllm_server_host=$VLLM"] if self.servers else []
        again = ["--vllm-server", "$VLLM"] if self.servers else []  # another machine than the first time, maybe
        return SBATCH.format(
            name=shlex.quote(self.experiment.name),
            nodes=self.nodes,
            gpus="" if self.preset.on_cpu else f"#SBATCH --gpus-per-node={self.gpus}\n",
            grace=GRACE_SECONDS,
            folder=shlex.quote(f"{self.experiment.output}/slurm-"),
            trainers=self.trainers,
            vllm=VLLM.format(first=self.trainers, command=self._serve()) if self.servers else "",
            train=self._slurm([*self.arguments, *first, "output=$OUTPUT"]),
            resume=self._slurm(["resume", "$RUN", *again]),
            retries=RETRIES,
        )

    def write_sbatch(self) -> str:
        """Writes the batch file beside the user; what to do with it."""
        file = Path(f"{self.experiment.name}.sbatch")
        try:
            with file.open("x") as stream:
                stream.write(self.sbatch())
        except FileExistsError:
            raise UserError(f"{file} exists: move it away, or look at the new one with --dry-run") from None
        return (
            f"wrote {file}: `sbatch {file}` queues it; --partition, --account and --time, where your cluster wants "
            "them, go into it or onto that command line"
        )

    def _slurm(self, arguments: list[str]) -> str:
        """The lab's own launcher: its exit codes tell a stop and a mistake from a crash."""
        return self._train(arguments, "$SLURM_PROCID", "$HEAD").replace("accelerate", "python -m lab.launcher", 1)

    def _train(self, arguments: list[str], rank: str, host: str) -> str:
        options = {}
        if self.trainers > 1:
            options = {"num_machines": self.trainers, "machine_rank": rank, "main_process_ip": host}
            options["rdzv_backend"] = "lab" if entry_points(group="torchrun.handlers", name="lab") else "c10d"
        parts = command(self.preset, arguments, self.processes, PORT if options else 0, **options)
        return " ".join(f'"{part}"' if OURS.fullmatch(part) else shlex.quote(part) for part in parts)

    def _serve(self) -> str:
        """The command that serves the model to TRL's trainer from a machine of its own."""
        arguments = self.experiment.grpo.arguments
        options = {
            "--tensor-parallel-size": arguments.get("vllm_tensor_parallel_size", 1),
            "--gpu-memory-utilization": arguments.get("vllm_gpu_memory_utilization", 0.9),
            "--port": arguments.get("vllm_server_port", 8000),
            "--weight-transfer-config": '{"backend": "nccl"}',
            "--logprobs-mode": "processed_logprobs",
        }
        if arguments.get("vllm_max_model_length"):
            options["--max-model-len"] = arguments["vllm_max_model_length"]
        parts = ["env", "VLLM_SERVER_DEV_MODE=1", "vllm", "serve", resolve(self.experiment.model.checkpoint)]
        return shlex.join(map(str, [*parts, *(part for option in options.items() for part in option)]))


def plan(
    experiment: Experiment, config: str, overrides: list[str], preset: str, nodes: int, gpus: int, host: str = ""
) -> Job:
    """A checked Job; UserError for sizes below 1, batches that do not divide, vLLM without a machine of its own."""
    for name, number in {"--nodes": nodes, "--gpus": gpus}.items():
        if number < 1:
            raise UserError(f"{name} must be at least 1, got {number}")
    arguments = experiment.grpo.arguments if experiment.grpo else {}
    servers = int(bool(arguments.get("use_vllm")) and arguments.get("vllm_mode", "colocate") == "server")
    if servers and nodes < 2:
        raise UserError(
            "grpo.vllm_mode is server, which takes a machine of its own: use --nodes 2 or more, or "
            "grpo.vllm_mode=colocate"
        )
    job = Job(experiment, ["run", config, *overrides], load_preset(preset), nodes, gpus, servers, host)
    if job.preset.kind == "NO" and job.processes > 1:
        raise UserError(f"the preset {job.preset.name} is for one process, got {job.processes}: use ddp, zero3 or cpu2")
    batches = job.batches()  # what does not divide is refused here
    if "grpo" in batches:
        check_settings(experiment, job.processes, batches["grpo"].tokens)
    return job


SBATCH = """#!/bin/bash
# What your cluster wants beside, such as --partition, --account and --time, goes here or onto sbatch's command line.
#SBATCH --job-name={name}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
{gpus}# Whole machines: Slurm's own choice would be one processor for all the ranks and scoring workers of a machine.
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
set -uo pipefail
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT={grace}  # seconds that torchrun leaves the ranks to save; its own are 30
# The output folder must lie on a disk that every machine sees. A requeued job keeps its id, and so finds its run.
export OUTPUT={folder}$SLURM_JOB_ID
mkdir -p "$OUTPUT/logs"  # of each machine
RUN=$(ls "$OUTPUT"/*/*/summary.json 2>/dev/null | head -n 1)  # the last file that a new run writes
export RUN=${{RUN%summary.json}}
export HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
{vllm}
train() {{
  if [ -n "$RUN" ]; then
    exec {resume}
  else
    exec {train}
  fi
}}
export -f train
srun --relative=0 --nodes={trainers} --ntasks={trainers} --cpu-bind=none --kill-on-bad-exit=1 \\
  --output="$OUTPUT/logs/machine-%n.log" --open-mode=append bash -c train &
TRAINING=$!

# Before the time is over each rank saves at the end of its step. srun passes USR1 on; of SIGTERM it makes SIGKILL.
trap 'kill -USR1 "$TRAINING"' USR1
wait "$TRAINING"; CODE=$?
while kill -0 "$TRAINING" 2>/dev/null; do wait "$TRAINING"; CODE=$?; done

case $CODE in
  0 | 143)  # finished, or stopped: then the job queues again and resumes
    compgen -G "$OUTPUT/*/*/report.html" >/dev/null || scontrol requeue "$SLURM_JOB_ID" ;;
  2) ;;  # a mistake of yours: it would come again
  *)  # a crash or a lost machine
    echo "$CODE" >>"$OUTPUT/retries"
    [ "$(wc -l <"$OUTPUT/retries")" -gt {retries} ] || scontrol requeue "$SLURM_JOB_ID" ;;
esac
exit "$CODE"
"""

VLLM = """
export VLLM=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | tail -n 1)
srun --relative={first} --nodes=1 --ntasks=1 --cpu-bind=none \\
  --output="$OUTPUT/logs/vllm.log" --open-mode=append {command} &
"""
