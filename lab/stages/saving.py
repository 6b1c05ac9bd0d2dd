"""Saving: a trainer's whole weights, from wherever its engine keeps them, as a folder that plain transformers loads."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lab.errors import UserError


def save_checkpoint(trainer, tokenizer, folder: Path) -> Path:
    """Writes the model into `folder`, LoRA merged, ZeRO's shards gathered in the precision that was trained.

    config.json comes last: where it lies, the checkpoint is whole. Every rank must call it. UserError on a full disk.
    """
    from peft import PeftModel

    model = trainer.accelerator.unwrap_model(trainer.model)
    weights = _merged_weights(model) if isinstance(model, PeftModel) else _weights(model)
    if trainer.accelerator.is_main_process:
        plain = model.get_base_model() if isinstance(model, PeftModel) else model
        half = folder.with_name(f".{folder.name}.saving")
        shutil.rmtree(half, ignore_errors=True)
        with full_disk_told(folder, half):
            plain.save_pretrained(half, state_dict=weights)
            tokenizer.save_pretrained(half)
            for file in sorted(half.iterdir(), key=lambda file: file.name == "config.json"):
                os.replace(file, folder / file.name)
            half.rmdir()
    trainer.accelerator.wait_for_everyone()
    return folder


@contextlib.contextmanager
def full_disk_told(target: Path, half_written: Path) -> Iterator[None]:
    """Removes `half_written` when writing fails; a full disk becomes a UserError."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch.save and safetensors raise their own kinds
        shutil.rmtree(half_written, ignore_errors=True)
        if getattr(error, "errno", None) == errno.ENOSPC or _is_full(target.parent):
            raise UserError(
                f"the disk is full: {target} could not be saved, what was saved before is untouched; free some space, "
                "then `lab resume` the run"
            ) from error
        raise


def _is_full(folder: Path) -> bool:
    return shutil.disk_usage(folder).free < 2**20


def _weights(model) -> dict | None:
    """Name → whole tensor on the CPU, on the main process; None elsewhere.

    Under DeepSpeed the optimizer keeps the float32 weights and the model may hold bfloat16 copies, in shards: the
    optimizer's are taken, since small updates live in the bits that bfloat16 lacks.
    """
    if not _under_deepspeed(model):
        return model.state_dict()
    from accelerate import PartialState
    from deepspeed.utils import safe_get_full_fp32_param

    weights = {}
    with _gathered(model):
        frozen = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        full = safe_get_full_fp32_param(parameter) if parameter.requires_grad else None
        if full is not None and PartialState().is_main_process:
            weights[name] = full.detach().cpu().clone().view(frozen[name].shape)
    return frozen | weights if PartialState().is_main_process else None


def _merged_weights(model) -> dict:
    """A LoRA model's weights under the names of its base model, adapters added in. The model itself stays as it was."""
    with _gathered(model):
        model.merge_adapter()
        merged = {
            _base_name(name): tensor.detach().cpu().clone()
            for name, tensor in model.state_dict().items()
            if "lora_" not in name and "original_module" not in name
        }
        model.unmerge_adapter()
    return merged


def _base_name(name: str) -> str:
    return name.removeprefix("base_model.model.").replace(".base_layer", "").replace("modules_to_save.default.", "")


def _under_deepspeed(model) -> bool:
    return any(hasattr(parameter, "_hp_mapping") or hasattr(parameter, "ds_id") for parameter in model.parameters())


def _gathered(model):
    """Within it every parameter is whole on every rank, and changes are dropped at its end. Only ZeRO-3 has work to do."""
    if not any(hasattr(parameter, "ds_id") for parameter in model.parameters()):
        return contextlib.nullcontext()
    import deepspeed

    return deepspeed.zero.GatheredParameters(list(model.parameters()))
