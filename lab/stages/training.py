"""What SFT and GRPO share: their arguments, LoRA, the training itself, and which warnings are worth a user's eye."""

import contextlib
import gc
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

from lab.config import Experiment
from lab.defaults import SET_BY_THE_LAB
from lab.distributed import check_engine, is_main, launched, machine_arguments, release_engine, world_size
from lab.errors import UserError
from lab.plan import shared_to_the_end
from lab.progress import LiveLine
from lab.pulse import Pulse
from lab.runs import Run
from lab.stages.saving import full_disk_told, save_checkpoint
from lab.stop import Stop

# Messages that a user can do nothing about, by the library's logger. Everything else stays.
SILENCED = {
    "transformers.trainer": ("The tokenizer has new PAD/BOS/EOS tokens",),
    "transformers.generation.utils": ("The following generation flags are not valid",),
    "trl.trainer.grpo_trainer": ("All reward functions returned None",),  # the scorer has told it, with the reason
    "trl.trainer.base_trainer": ("You passed `model_init_kwargs`",),
    "lm_eval.models.huggingface": ("`pretrained` model kwarg is not", "Passed an already-initialized model"),
    "accelerate.accelerator": ("Gradient accumulation steps mismatch", "[RANK 0] Gradient accumulation steps mismatch"),
    "DeepSpeed": ("Setting accelerator to CPU",),
}


def training_dtype(experiment: Experiment) -> str:
    """Full fine-tuning keeps float32 weights: RL's small steps vanish in bfloat16's 8 bits. LoRA's base may be less."""
    return "float32" if experiment.model.dtype == "auto" and not experiment.lora else experiment.model.dtype


def trainer_arguments(experiment: Experiment, stage: str, folder: Path, examples: int = 0) -> dict:
    """Every argument for SFTConfig or GRPOConfig: the machine's, the batch plan's, then the user's.

    examples: the rows of an SFT epoch.
    """
    given = {k: v for k, v in getattr(experiment, stage).arguments.items() if k not in SET_BY_THE_LAB}
    plan = experiment.plan(stage, processes=world_size())
    if stage == "sft":
        plan = shared_to_the_end(plan, examples)
    batch = {"per_device_train_batch_size": plan.micro_batch, "gradient_accumulation_steps": plan.accumulation}
    fixed = {"output_dir": str(folder), "seed": experiment.seed}
    return machine_arguments(experiment.model.dtype) | given | batch | fixed


@contextlib.contextmanager
def library_objections(what: str, kinds: tuple[type[Exception], ...]) -> Iterator[None]:
    """What a library refuses in a user's settings, as one sentence."""
    try:
        yield
    except kinds as error:
        raise UserError(f"{what} refuses these settings: {' '.join(str(error).split())}") from error


def built(kind, **arguments):
    """`kind(**arguments)`, a configuration or a trainer, whose own objections are the user's to mend."""
    with library_objections(kind.__name__, (ValueError, TypeError, ImportError)):
        return kind(**arguments)


def lora_config(experiment: Experiment):
    """peft's LoraConfig from the `lora` section, or None."""
    if not experiment.lora:
        return None
    from peft import LoraConfig

    return built(LoraConfig, **{"task_type": "CAUSAL_LM"} | experiment.lora)


def fit(trainer, tokenizer, folder: Path, run: Run, stop: Stop, pulse: Pulse) -> Path:
    """Trains to the end, from the newest whole checkpoint where there is one; returns `folder` with the result.

    The run's metrics after that checkpoint are dropped: its steps are taken again, with the same numbers. Raises
    Stopped where SIGTERM came.
    """
    from transformers import PrinterCallback

    from lab import kept
    from lab.stages.keeping import Keeper, restore

    checkpoints, limit = Path(trainer.args.output_dir), trainer.args.save_total_limit
    trainer.args.save_total_limit = None  # Keeper drops old ones, after the new one is whole
    start = kept.newest_complete(checkpoints)
    trainer.accelerator.wait_for_everyone()
    if is_main():
        kept.remove_incomplete(checkpoints)
        run.drop_metrics(folder.name, after=kept.step(start) if start else 0)
    if start:
        restore(trainer, start)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(engine_check(trainer, folder.name, run, pulse))
    trainer.add_callback(Keeper(trainer, limit, stop, steps_between_generations(trainer)))
    with stop.at_step_ends():
        objections = library_objections(type(trainer).__name__, (ImportError,))
        with objections, full_disk_told(checkpoints):
            trainer.train(resume_from_checkpoint=str(start) if start else None)
        if trainer.state.global_step >= trainer.state.max_steps:
            save_checkpoint(trainer, tokenizer, folder)
            if is_main() and limit == 1:  # who keeps more of them wants to see them
                kept.remove_all(checkpoints)
    release_engine()
    return folder


def steps_between_generations(trainer) -> int:
    """Optimizer steps that share one batch of completions; 1 in SFT."""
    generation = getattr(trainer.args, "steps_per_generation", None)
    if generation is None:
        return 1
    return max(1, generation * trainer.num_iterations // trainer.args.gradient_accumulation_steps)


def engine_check(trainer, stage: str, run: Run, pulse: Pulse):
    """A callback that refuses another engine than the launcher's, and says the one in use and notes each step's begin.

    Nothing is said of a process that no launcher started.
    """
    from transformers import TrainerCallback

    class EngineCheck(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            engine = check_engine(trainer.model_wrapped)
            if is_main():
                run.add_provenance(engine=engine, processes=world_size())  # a finished stage's may have been others
                if launched():
                    batch = f"{args.per_device_train_batch_size} rows × {args.gradient_accumulation_steps} accumulation"
                    LiveLine().done(f"{stage:5} engine: {engine}, {world_size()} × {batch} a step")

        def on_step_begin(self, args, state, control, **kwargs):
            pulse.step = state.global_step
            pulse.note("in its step")

    return EngineCheck()


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
