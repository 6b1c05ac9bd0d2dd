"""SFT: the task's demonstrations, with TRL's SFTTrainer; the loss is on what the assistant writes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.config import Experiment
from lab.progress import LiveLine
from lab.pulse import Pulse
from lab.render import Renderer
from lab.runs import Run
from lab.stages.recorder import Recorder
from lab.stages.training import built, fit, lora_config, trainer_arguments
from lab.stop import Stop
from lab.task import Row, Task


def sft(
    experiment: Experiment,
    model,
    renderer: Renderer,
    tasks: Mapping[str, Task],
    rows: Sequence[Row],
    run: Run,
    line: LiveLine,
    stop: Stop,
) -> Path:
    """Trains `model` on the rows' demonstrations; returns the checkpoint's folder, RUN/sft."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    folder = run.folder("sft")
    trainer = built(
        SFTTrainer,
        model=model,
        args=built(SFTConfig, **trainer_arguments(experiment, "sft", folder / "trainer", len(rows))),
        train_dataset=Dataset.from_list([training_row(tasks[row["task"]], row, renderer) for row in rows]),
        processing_class=renderer.tokenizer,
        peft_config=lora_config(experiment),
        callbacks=[Recorder("sft", run, line)],
    )
    pulse = Pulse(run)
    pulse.note_examples(trainer, renderer.tokenizer)
    return fit(trainer, renderer.tokenizer, folder, run, stop, pulse)


def training_row(task: Task, row: Row, renderer: Renderer) -> dict[str, list[int]]:
    """{"input_ids": [T], "labels": [T]}: -100 everywhere but on the assistant's tokens and its end of turn."""
    ids, mask = renderer.target(task.messages(row), task.demonstration(row))
    return {"input_ids": ids, "labels": [token if m else -100 for token, m in zip(ids, mask, strict=True)]}
