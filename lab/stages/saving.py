"""Saving: a trainer's whole weights, from wherever its engine keeps them, as a folder that plain transformers loads."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lab.distributed import is_main
from lab.errors import UserError
from lab.kept import flush

FULL = (errno.ENOSPC, errno.EDQUOT)
UNWRITABLE = ("No space left", "inline_container.cc")  # the second is torch.save, which loses the system's reason


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
        with full_disk_told(folder):
            plain.save_pretrained(half, state_dict=weights)
            tokenizer.save_pretrained(half)
            for file in filter(Path.is_file, half.rglob("*")):
                flush(file)
            for file in sorted(half.iterdir(), key=lambda file: file.name == "config.json"):
                os.replace(file, folder / file.name)
            half.rmdir()
    trainer.accelerator.wait_for_everyone()
    return folder


@contextlib.contextmanager
def full_disk_told(target: Path, then: str = "`lab resume` the run") -> Iterator[None]:
    """A full disk, or a quota that is used up, becomes a UserError that says what to do `then`.

    torch.save and safetensors have their own kinds of error for it.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if getattr(error, "errno", None) in FULL or any(words in str(error) for words in UNWRITABLE):
            raise UserError(
                f"the disk is full: {target} could not be saved, what was saved before is untouched; free some space, "
                f"then {then}"
            ) from error
        raise


def _weights(model) -> dict | None:
    """Name → whole tensor on the CPU, on the main process; None elsewhere.

    Under DeepSpeed the optimizer keeps the float32 weights and the model may hold bfloat16 copies, in shards: the
    optimizer's are taken, since small updates live in the bits that bfloat16 lacks.
    """
    if not any(hasattr(parameter, "_hp_mapping") or hasattr(parameter, "ds_id") for parameter in model.parameters()):
        return model.state_dict()
    from deepspeed.utils import safe_get_full_fp32_param

    with _gathered(model):
        precise = {p.data_ptr(): safe_get_full_fp32_param(p) for p in model.parameters() if p.requires_grad}
        return _copied(model.state_dict(), precise) if is_main() else None


def _merged_weights(model) -> dict | None:
    """A LoRA model's weights under the names of its base model, adapters added in. The model itself stays as it was."""
    with _gathered(model):
        model.merge_adapter()
        named = {
            name.removeprefix("base_model.model.").replace(".base_layer", "").replace("modules_to_save.default.", ""): t
            for name, t in model.state_dict().items()
            if "lora_" not in name and "original_module" not in name
        }
        merged = _copied(named, {}) if is_main() else None
        model.unmerge_adapter()
    return merged


def _copied(tensors: dict, instead: dict) -> dict:
    """Copies on the CPU; where `instead` has a tensor for the same memory, that one. Tied weights stay one tensor."""
    copies = {}
    for tensor in tensors.values():
        if tensor.data_ptr() not in copies:
            source = instead.get(tensor.data_ptr())
            source = tensor if source is None else source
            copies[tensor.data_ptr()] = source.detach().cpu().clone().view(tensor.shape)
    return {name: copies[tensor.data_ptr()] for name, tensor in tensors.items()}


def _gathered(model):
    """Within it every parameter is whole on every rank; changes are dropped at its end. Only ZeRO-3 has work to do."""
    if not any(hasattr(parameter, "ds_id") for parameter in model.parameters()):
        return contextlib.nullcontext()
    import deepspeed

    return deepspeed.zero.GatheredParameters(list(model.parameters()))
