"""A benchmark's columns: a checkpoint, or a run's first and last, and how each of them is prompted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.benchmark.tasks import Name
from lab.config import Experiment, Model, load_experiment
from lab.errors import UserError
from lab.runs import newest_checkpoint, run_of


@dataclass(frozen=True)
class Column:
    """One checkpoint of the table."""

    name: str  # "model", "before", "after" or "baseline"
    model: Model


def columns_of(spec: str) -> list[Column]:
    """A checkpoint as one column; a run folder as `before` and `after`, with the settings it was trained with."""
    path = Path(spec).expanduser()
    if not (path / "provenance.json").is_file():
        return [Column("model", replace(_trained_with(path), checkpoint=spec))]
    last = newest_checkpoint(path)
    if last is None:
        raise UserError(f"{spec} has no trained stage yet: `lab resume` it, or give a checkpoint")
    started_from = load_experiment(str(path / "config.yaml")).model
    return [Column("before", started_from), Column("after", replace(started_from, checkpoint=str(last)))]


def _trained_with(path: Path) -> Model:
    """The settings that a checkpoint was trained with: its run's, or those that its export carries."""
    if (exported := path / "lab_config.yaml").is_file():
        # It may come from anybody and anywhere: what runs code stays off, and its training need not be possible here.
        settings = load_experiment(str(exported), ["sft=null", "grpo=null", "sandbox=auto"]).model
        return replace(settings, trust_remote_code=False, allow_pickle=False)
    run = run_of(path)
    return load_experiment(str(run / "config.yaml")).model if run else Model(str(path))


def prompted(column: Column, names: Sequence[Name], notes: list[str]) -> Column:
    """The column with its mode: completion where the tokenizer has no chat template. Adds to `notes` what to mind."""
    from lab.checkpoints import load_tokenizer
    from lab.evidence.parity import renderer_note
    from lab.registry import load_task
    from lab.stages.pipeline import load_renderer

    model = column.model
    trust = model.trust_remote_code
    if load_tokenizer(model.checkpoint, trust_remote_code=trust, completion_mode=True).chat_template is None:
        model = replace(model, mode="completion")
        notes.append(f"{column.name}: {model.checkpoint} has no chat template and is prompted with plain text")
    tasks = {task.name: task for task in (load_task(name.spec) for name in names if name.kind == "ours")}
    renderer = load_renderer(Experiment("eval", model, {}), model.checkpoint)
    if note := renderer_note(model.checkpoint, renderer, tasks):
        notes.append(note)
    return replace(column, model=model)
