"""Processes: this one's place among those that `accelerate launch` started, and the engine that trains in it."""

import datetime
import os
import socket
import time

from lab.errors import UserError


def rank() -> int:
    """This process's number among all, 0 being the one that writes."""
    return int(os.environ.get("RANK", 0))


def world_size() -> int:
    return int(os.environ.get("WORLD_SIZE", 1))


def is_main() -> bool:
    """Whether this process is the one that writes (rank 0, or the only one)."""
    return rank() == 0


def engine_asked() -> str:
    """The engine that the launcher was told to use: "one process", "ddp", "fsdp" or "deepspeed zero-N"."""
    if _on("ACCELERATE_USE_DEEPSPEED"):
        return f"deepspeed zero-{os.environ.get('ACCELERATE_DEEPSPEED_ZERO_STAGE', 2)}"
    if _on("ACCELERATE_USE_FSDP"):
        return "fsdp"
    return "ddp" if world_size() > 1 else "one process"


def engine_used(model_wrapped) -> str:
    """The engine around a trainer's model, in the words of `engine_asked`."""
    import torch

    kind = type(model_wrapped)
    if kind.__module__.startswith("deepspeed."):
        return f"deepspeed zero-{model_wrapped.zero_optimization_stage()}"
    if isinstance(model_wrapped, torch.nn.parallel.DistributedDataParallel):
        return "ddp"
    return "fsdp" if kind.__name__.startswith("FSDP") else "one process"


def check_engine(model_wrapped) -> str:
    """The engine in use; UserError where it is not the one that was asked for: accelerate falls back in silence."""
    asked, used = engine_asked(), engine_used(model_wrapped)
    if asked != used:
        raise UserError(
            f"the launcher was told to train with {asked}, but the model runs under {used}: look for `use_cpu: true` "
            "in the accelerate file or in the experiment, with which accelerate drops DeepSpeed"
        )
    return used


def machine_arguments(dtype: str) -> dict:
    """TrainingArguments that follow from the machine: bfloat16 where it can, float32 on a CPU."""
    import torch

    # Every parameter that is trained takes part in each loss: DDP need not search for others.
    always = {"fp16": False, "disable_tqdm": True, "ddp_find_unused_parameters": False}
    if torch.accelerator.is_available():
        bf16 = dtype != "float32" and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        return {"bf16": bf16, **always}
    arguments = {"use_cpu": not _on("ACCELERATE_USE_DEEPSPEED"), "bf16": False, **always}
    return arguments | ({"ddp_backend": "gloo"} if launched() else {})


def launched() -> bool:
    """Whether a launcher started this process, alone or among others."""
    return "RANK" in os.environ and "LOCAL_RANK" in os.environ


def start_processes(timeout_seconds: float) -> None:
    """Joins the other processes. `timeout_seconds` bounds every wait for another rank.

    It comes before the trainers, which would do the same but drop the time limit on a CPU. DeepSpeed runs on a CPU when
    accelerate is told that there is none, and when it does not have to guess the backend.
    """
    import torch

    if not torch.accelerator.is_available():
        os.environ["DS_ACCELERATOR"] = "cpu"
    if not launched():
        return
    from accelerate import PartialState

    _check_devices()
    if world_size() > 1:
        _find_rank_0(timeout_seconds)
    options = {"timeout": datetime.timedelta(seconds=timeout_seconds)}
    if not torch.accelerator.is_available() and (world_size() > 1 or _on("ACCELERATE_USE_DEEPSPEED")):
        options |= {"backend": "gloo", "cpu": not _on("ACCELERATE_USE_DEEPSPEED")}
    if _on("ACCELERATE_USE_DEEPSPEED"):
        _prepare_deepspeed()
    try:
        state = PartialState(**options)
    except (torch.distributed.DistError, RuntimeError) as error:
        where = f"{os.environ.get('MASTER_ADDR', 'localhost')}:{os.environ.get('MASTER_PORT', '29500')}"
        raise UserError(
            f"rank {rank()} waited {timeout_seconds:g} s at {where}, and the {world_size()} processes of this run did "
            f"not all meet there ({' '.join(str(error).split())[:200]}): start as many as WORLD_SIZE says, each with "
            "the address and port of rank 0"
        ) from error
    if state.num_processes != world_size():
        raise UserError(
            f"{world_size()} processes were started, but accelerate counts {state.num_processes}: start the run "
            "through `accelerate launch --config_file configs/accelerate/<preset>.yaml -m lab …`"
        )


def _find_rank_0(timeout_seconds: float) -> None:
    """UserError where this process's place makes no sense, or nobody answers where rank 0 is to be met.

    torch would find the latter out, too, and say so in two pages of C++ addresses.
    """
    address, port = os.environ.get("MASTER_ADDR"), int(os.environ.get("MASTER_PORT", 29500))
    if rank() >= world_size():
        raise UserError(f"RANK is {rank()} and WORLD_SIZE {world_size()}: ranks count from 0 and stay below it")
    if address is None:
        raise UserError(
            f"RANK is {rank()} of {world_size()}, but MASTER_ADDR is not set: export rank 0's address, and its port as "
            "MASTER_PORT, or start the run through `accelerate launch`"
        )
    until = time.monotonic() + timeout_seconds
    while True:
        try:
            if is_main():  # perhaps the one that the others look for
                socket.getaddrinfo(address, port)
            else:
                socket.create_connection((address, port), timeout=timeout_seconds).close()
            return
        except OSError as error:
            if time.monotonic() > until:
                raise UserError(
                    f"rank {rank()} found nobody at {address}:{port} within {timeout_seconds:g} s ({error}): "
                    "MASTER_ADDR and MASTER_PORT must be those of rank 0, started by then and reachable from here"
                ) from None
            time.sleep(0.2)


def _check_devices() -> None:
    """UserError where the launcher was told of devices that this machine does not have."""
    import torch

    if not torch.accelerator.is_available():
        precision = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
        if precision not in ("no", ""):  # each of our presets for GPUs has it, none of those for a CPU
            raise UserError(
                f"the launcher was told to train in {precision} on GPUs, and this machine has none: use one of the "
                "cpu presets, such as cpu2 or cpu2_zero3"
            )
        return
    local, devices = int(os.environ.get("LOCAL_WORLD_SIZE", 1)), torch.accelerator.device_count()
    if local > devices:
        raise UserError(
            f"{local} processes were started on this machine, which has {devices} device{'s' * (devices > 1)}: add "
            f"`--num_processes {devices}` after `accelerate launch`, or use a cpu preset"
        )


def release_engine() -> None:
    """Ends the time of a stage's DeepSpeed: what is loaded next is whole, not sharded as it is read."""
    if _on("ACCELERATE_USE_DEEPSPEED"):
        from transformers.integrations.deepspeed import unset_hf_deepspeed_config

        unset_hf_deepspeed_config()


def share_object(value):
    """Rank 0's value, on every rank."""
    if world_size() == 1:
        return value
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([value])[0]


def any_rank(flag: bool) -> bool:
    """Whether the flag is raised on any rank; every rank must ask."""
    if world_size() == 1:
        return flag
    import torch
    from accelerate import PartialState

    raised = torch.tensor([int(flag)], device=PartialState().device)
    torch.distributed.all_reduce(raised, op=torch.distributed.ReduceOp.MAX)
    return bool(raised.item())


def _on(variable: str) -> bool:
    return os.environ.get(variable, "false").lower() == "true"


def _prepare_deepspeed() -> None:
    import logging

    import deepspeed

    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
    # Its collectives in shared memory would be compiled first, a minute with a compiler; gloo does.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
