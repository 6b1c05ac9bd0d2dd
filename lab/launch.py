"""Launching: from an accelerate preset to `accelerate launch`, here and now, with what can be refused refused first."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.config import STAGES, Experiment
from lab.errors import UserError, nearest
from lab.outcome import OUTCOME
from lab.plan import BatchPlan, shared_to_the_end

GRACE_SECONDS = 280  # after SIGTERM, for ranks to finish their step and save: torchrun's own are 30
PRESETS = Path(__file__).resolve().parent.parent / "configs" / "accelerate"


@dataclass(frozen=True)
class Preset:
    """An accelerate file, as far as it matters before anything is launched."""

    path: Path
    processes: int
    machines: int
    kind: str  # accelerate's distributed_type: NO, MULTI_GPU, DEEPSPEED, …
    zero_stage: int
    offload: bool
    on_cpu: bool

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def is_ours(self) -> bool:
        return self.path.parent == PRESETS


def load_preset(name: str) -> Preset:
    """A bundled preset's name or the path of an accelerate file; UserError where it is neither, or no such file."""
    path = next((p for p in (Path(name).expanduser(), PRESETS / f"{name}.yaml") if p.is_file()), None)
    if path is None:
        known = sorted(p.stem for p in PRESETS.glob("*.yaml"))
        hint = nearest(name, known, f"bundled are {', '.join(known)}, or give the path of an accelerate file")
        raise UserError(f"there is no accelerate preset {name!r}: {hint}")
    try:
        tree = yaml.safe_load(path.read_text())
        deepspeed = tree.get("deepspeed_config") or {}
        return Preset(
            path=path.absolute(),
            processes=int(tree.get("num_processes", 1)),
            machines=int(tree.get("num_machines", 1)),
            kind=str(tree.get("distributed_type", "NO")),
            zero_stage=int(deepspeed.get("zero_stage", 0)),
            offload="cpu" in (deepspeed.get("offload_optimizer_device"), deepspeed.get("offload_param_device")),
            on_cpu=bool(tree.get("use_cpu")) or str(tree.get("gpu_ids", "")).startswith("-1"),
        )
    except (OSError, yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        said = " ".join(str(getattr(error, "problem", None) or error).split())
        raise UserError(
            f"{path} is no accelerate file ({said}): `accelerate config` writes one, and {PRESETS} holds ours"
        ) from None


def fitted(preset: Preset, devices: int | None = None) -> int:
    """How many processes the preset gets on this machine; UserError where it cannot hold them.

    Our own GPU presets take as many processes as there are GPUs; somebody's own file is taken at its word.
    """
    if preset.kind == "DEEPSPEED" and importlib.util.find_spec("deepspeed") is None:
        raise UserError(f"the preset {preset.name} needs DeepSpeed: `pip install deepspeed`, or use ddp or cpu2")
    if preset.machines > 1:
        raise UserError(
            f"the preset {preset.name} is for {preset.machines} machines: `lab launch CONFIG --nodes "
            f"{preset.machines} --gpus {preset.processes // preset.machines}` prints the command for each"
        )
    if preset.on_cpu:
        return preset.processes
    devices = _devices() if devices is None else devices
    if devices == 0:
        alike = f"cpu2_zero{preset.zero_stage}" if preset.zero_stage in (2, 3) else "cpu2"
        raise UserError(f"the preset {preset.name} is for GPUs, and this machine has none: use {alike}")
    if preset.is_ours:
        return devices
    if preset.processes > devices:
        raise UserError(
            f"{preset.path} asks for {preset.processes} processes, this machine has {devices} GPU{'s' * (devices > 1)}:"
            f" set num_processes to {devices} at most"
        )
    return preset.processes


def batch_plans(
    experiment: Experiment, processes: int, stages: Sequence[str] = STAGES, longest: int | None = None
) -> dict[str, BatchPlan]:
    """Each training stage's batch plan on so many processes; longest: the tasks' most tokens."""
    plans = {name: experiment.plan(name, processes, longest) for name in stages if getattr(experiment, name)}
    if "sft" in plans:
        plans["sft"] = shared_to_the_end(plans["sft"], experiment.sft.demonstrations)
    return plans


def _devices() -> int:
    import torch

    return torch.accelerator.device_count() if torch.accelerator.is_available() else 0


def command(preset: Preset, arguments: list[str], processes: int, port: int = 0, **options) -> list[str]:
    """`accelerate launch …` for `lab ARGUMENTS`. Port 0 finds a free one; options are accelerate's own."""
    launcher = ["accelerate", "launch", "--config_file", str(preset.path), "--num_processes", str(processes)]
    if processes == 1 and preset.kind == "MULTI_GPU":
        launcher = ["accelerate", "launch", "--num_processes", "1", "--num_machines", "1", "--mixed_precision", "no"]
    for name, value in {"main_process_port": port, **options}.items():
        launcher += [f"--{name}", str(value)]
    return [*launcher, "-m", "lab", *arguments]


def start(preset_name: str, experiment: Experiment | None, arguments: list[str]) -> int:
    """Runs `lab ARGUMENTS` under the preset, here and now; returns its exit code. SIGTERM is passed on."""
    preset = load_preset(preset_name)
    processes = fitted(preset)
    if experiment:  # what does not divide is refused here
        batch_plans(experiment, processes, [stage for stage in STAGES if arguments[0] in ("run", stage)])
    with tempfile.TemporaryDirectory() as folder:
        _, *launcher = command(preset, arguments, processes)
        environment = {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(GRACE_SECONDS)} | os.environ | {OUTCOME: folder}
        environment |= {"DS_ACCELERATOR": "cpu"} if preset.on_cpu else {}  # accelerate's own look at it would warn
        child = subprocess.Popen([sys.executable, "-m", "lab.launcher", *launcher], env=environment)
        before = signal.signal(signal.SIGTERM, lambda number, _: child.send_signal(number))
        try:
            code = child.wait()
        except KeyboardInterrupt:  # the terminal has told the child too
            code = child.wait() and 130
        finally:
            signal.signal(signal.SIGTERM, before)
        outcomes = [json.loads(file.read_text()) for file in sorted(Path(folder).glob("[0-9]*"))]
    said = {outcome["sentence"] for outcome in outcomes if outcome["rank"] == 0}  # rank 0 has said it itself
    for outcome in outcomes:
        if outcome["sentence"] not in said:
            said.add(outcome["sentence"])
            print(f"lab (rank {outcome['rank']}): {outcome['sentence']}", file=sys.stderr)
    return exit_code(code, [outcome["code"] for outcome in outcomes], processes)


def exit_code(launcher: int, ranks: Sequence[int], processes: int) -> int:
    """The whole job's, from the launcher's and those that the ranks said: SIGTERM is 0 where every rank has saved.

    A launcher that was killed, which Python tells as a number below 0, is a crash.
    """
    stopped = len(ranks) == processes and not any(ranks)
    return 0 if stopped and launcher == 128 + signal.SIGTERM else launcher if launcher >= 0 else 1
