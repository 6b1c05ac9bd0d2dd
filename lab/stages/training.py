"""What SFT and GRPO share: the arguments a machine allows, LoRA, saving, and which warnings are worth a user's eyes."""

import contextlib
import errno
import gc
import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

from lab.config import Experiment, Model
from lab.defaults import SET_BY_THE_LAB
from lab.errors import UserError

# Messages that a user can do nothing about, by the library's logger. Everything else stays.
SILENCED = {
    "transformers.trainer": ("The tokenizer has new PAD/BOS/EOS tokens",),
    "transformers.generation.utils": ("The following generation flags are not valid",),
    "trl.trainer.grpo_trainer": ("All reward functions returned None",),  # the scorer has told it, with the reason
    "trl.trainer.base_trainer": ("You passed `model_init_kwargs`",),
}


def machine_arguments(model: Model) -> dict:
    """TrainingArguments that follow from the machine: without an accelerator CPU and float32, else bfloat16 if it can."""
    import torch

    if not torch.accelerator.is_available():
        return {"use_cpu": True, "bf16": False, "fp16": False, "disable_tqdm": True}
    bf16 = model.dtype != "float32" and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return {"bf16": bf16, "fp16": False, "disable_tqdm": True}


def training_dtype(experiment: Experiment) -> str:
    """Full fine-tuning keeps float32 weights: RL's small steps vanish in bfloat16's 8 bits. LoRA's base may be smaller."""
    return "float32" if experiment.model.dtype == "auto" and not experiment.lora else experiment.model.dtype


def trainer_arguments(experiment: Experiment, stage: str, folder: Path) -> dict:
    """Every argument for SFTConfig or GRPOConfig: the machine's, the batch plan's, then the user's."""
    given = {k: v for k, v in getattr(experiment, stage).arguments.items() if k not in SET_BY_THE_LAB}
    plan = experiment.plan(stage, processes=int(os.environ.get("WORLD_SIZE", 1)))
    batch = {"per_device_train_batch_size": plan.micro_batch, "gradient_accumulation_steps": plan.accumulation}
    fixed = {"output_dir": str(folder), "seed": experiment.seed}
    return machine_arguments(experiment.model) | given | batch | fixed


def built(config_class, arguments: dict):
    """`config_class(**arguments)`, with the library's own objections as one sentence."""
    try:
        return config_class(**arguments)
    except (ValueError, TypeError, ImportError) as error:
        raise UserError(f"{config_class.__name__} refuses these settings: {' '.join(str(error).split())}") from error


def lora_config(experiment: Experiment):
    """peft's LoraConfig from the `lora` section, or None."""
    if not experiment.lora:
        return None
    from peft import LoraConfig

    return built(LoraConfig, {"task_type": "CAUSAL_LM"} | experiment.lora)


def save_checkpoint(trainer, tokenizer, folder: Path) -> Path:
    """Writes a folder that plain transformers loads, LoRA merged, atomically; UserError when the disk is full."""
    from peft import PeftModel

    model = trainer.accelerator.unwrap_model(trainer.model)
    if isinstance(model, PeftModel):
        model = model.merge_and_unload()
    if trainer.accelerator.is_main_process:
        half = folder.with_name(f".{folder.name}.saving")
        shutil.rmtree(half, ignore_errors=True)
        try:
            model.save_pretrained(half)
            tokenizer.save_pretrained(half)
            for file in half.iterdir():
                os.replace(file, folder / file.name)
            half.rmdir()
        except OSError as error:
            shutil.rmtree(half, ignore_errors=True)
            if error.errno == errno.ENOSPC or "No space left" in str(error):
                raise UserError(f"the disk is full: {folder} could not be saved; free some space and resume") from None
            raise
    trainer.accelerator.wait_for_everyone()
    return folder


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silences what `SILENCED` lists, and deprecations inside the libraries, for the time of a stage."""

    class Known(logging.Filter):
        def __init__(self, beginnings):
            super().__init__()
            self.beginnings = beginnings

        def filter(self, record):
            return not record.getMessage().startswith(self.beginnings)

    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    filters = {name: Known(beginnings) for name, beginnings in SILENCED.items()}
    for name, known in filters.items():
        logging.getLogger(name).addFilter(known)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            yield
        finally:
            for name, known in filters.items():
                logging.getLogger(name).removeFilter(known)


def free_memory() -> None:
    """Returns a finished stage's model to the device before the next one loads its own."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
