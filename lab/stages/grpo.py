"""GRPO: the task's prompts and rewards, with TRL's GRPOTrainer."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.config import Experiment, Grpo
from lab.distributed import is_main
from lab.progress import LiveLine
from lab.pulse import Pulse
from lab.render import Renderer
from lab.response import Response
from lab.runs import Run
from lab.scoring import Scorer
from lab.stages.recorder import Recorder
from lab.stages.training import built, fit, lora_config, trainer_arguments
from lab.stop import Stop
from lab.task import Graded, Row, Task


def grpo(
    experiment: Experiment,
    model,
    renderer: Renderer,
    tasks: Mapping[str, Task],
    rows: Sequence[Row],
    scorer: Scorer,
    run: Run,
    line: LiveLine,
    stop: Stop,
) -> Path:
    """Trains `model` against the tasks' rewards; returns the checkpoint's folder, RUN/grpo."""
    from datasets import Dataset
    from trl import GRPOConfig

    folder = run.folder("grpo")
    pulse = Pulse(run)
    table = RewardTable(tasks, rows, renderer, scorer, pulse)
    longest = max(task.max_tokens for task in tasks.values())
    arguments = {"max_completion_length": longest} | trainer_arguments(experiment, "grpo", folder)
    arguments |= {
        "reward_weights": [column.weight for column in table.columns],
        "chat_template_kwargs": renderer.template_kwargs,
        "remove_unused_columns": False,
    }
    prompts = [renderer.prompt(tasks[row["task"]].messages(row)) for row in rows]
    trainer = built(
        trainer_kind(experiment.grpo),
        model=model,
        args=built(GRPOConfig, **arguments),
        # Rows stay Python objects on this side: a round trip through Arrow would change some (tuples, mixed types).
        train_dataset=Dataset.from_dict({"prompt": prompts, "row_index": list(range(len(rows)))}),
        processing_class=renderer.tokenizer,
        reward_funcs=table.columns,
        peft_config=lora_config(experiment),
        callbacks=[Recorder("grpo", run, line)],
    )
    if trainer.use_vllm:
        from lab.rollout.vllm_sync import check_every_sync

        first = renderer.prompt_ids(tasks[rows[0]["task"]].messages(rows[0]))
        check_every_sync(trainer, first, experiment.grpo.sync_gap)
    pulse.note_generation(trainer, rows)
    trainer.ended = table.begin  # where TRL generates, nobody calls it
    fit(trainer, renderer.tokenizer, folder, run, stop, pulse)
    if is_main():
        off = dict.fromkeys(("generation", "update"), "TRL: grpo.shared_prefix is false")
        run.record_stage("grpo", computed_by=getattr(trainer, "paths", off))
    return folder


def trainer_kind(settings: Grpo) -> type:
    """TRL's GRPOTrainer, with what the experiment adds to it."""
    from trl import GRPOTrainer

    from lab.rollout.dynamic import DynamicSampling
    from lab.rollout.trainer import SharedPrefixTrainer

    kind = SharedPrefixTrainer if settings.shared_prefix else GRPOTrainer
    if settings.dynamic_sampling or settings.drop_solved:
        limits = {"rounds": settings.dynamic_sampling, "patience": settings.drop_solved}
        kind = type(kind.__name__, (DynamicSampling, kind), limits)
    return kind


class RewardTable:
    """A mixture's rewards as TRL's reward functions: one column a reward, every batch graded once.

    A row's unscorable total makes all its columns None, so that TRL leaves the row out of its group's baseline instead
    of counting the missing reward as 0. Columns of other tasks are None for a row, and so never score it.
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        rows: Sequence[Row],
        renderer: Renderer,
        scorer: Scorer,
        pulse: Pulse | None = None,
    ):
        self.tasks, self.rows, self.renderer, self.scorer = tasks, rows, renderer, scorer
        self._note = pulse.note if pulse else lambda *_: None
        self.columns = [Column(self, task, name) for task in tasks.values() for name in task.rewards]
        self._batch: tuple[list, list[Graded]] | None = None
        scorer.metrics()  # read away: what golds and evaluations left there belongs to no step

    def grade(self, completion_ids: list[list[int]], row_index: list[int], log_extra, log_metric) -> list[Graded]:
        """One Graded a completion. TRL asks once per column with the same list: the first asks the scorer."""
        if self._batch is None or self._batch[0] is not completion_ids:
            rows = [self.rows[index] for index in row_index]
            responses = [self._response(ids, row) for ids, row in zip(completion_ids, rows, strict=True)]
            first = str(dict(rows[0]))
            self._note("scoring answers, the first to", first)
            graded = self.scorer.grade(responses, rows)
            self._note("training on answers, the first to", first)
            self._batch = (completion_ids, graded)
            self._log(graded, rows, responses, log_extra, log_metric)
        return self._batch[1]

    def begin(self, answers: Sequence[tuple[Mapping, list[int]]]) -> None:
        """Lets the workers score answers, each with its row of the data set, while others are still being written."""
        if self.scorer.early:
            rows = [self.rows[asked["row_index"]] for asked, _ in answers]
            self.scorer.begin([self._response(ids, row) for (_, ids), row in zip(answers, rows, strict=True)], rows)

    def _response(self, ids: list[int], row: Row) -> Response:
        return self.tasks[row["task"]].response(
            self.renderer.completion_text(ids),
            finished=self.renderer.is_finished(ids),
            token_ids=ids,
            prefilled=self.renderer.prefilled,
        )

    def _log(self, graded: list[Graded], rows: list[Row], responses: list, log_extra, log_metric) -> None:
        log_extra("task", [row["task"] for row in rows])
        # With its row and what the template had begun, a completion can be scored anew: `lab score RUN`.
        log_extra("row", [json.dumps(dict(row), ensure_ascii=False, default=str) for row in rows])
        log_extra("prefilled", [response.prefilled for response in responses])
        log_extra("finished", [response.finished for response in responses])
        log_extra("right", [self.tasks[row["task"]].is_right(g) for g, row in zip(graded, rows, strict=True)])
        log_extra("reasons", ["; ".join(s.reason for s in g.scores.values() if s.reason) for g in graded])
        for name, task in self.tasks.items():
            scored = [
                (task.is_right(g), g.total)
                for g, row in zip(graded, rows, strict=True)
                if row["task"] == name and g.total is not None
            ]
            for right, total in scored:
                log_metric("accuracy", right)
                if len(self.tasks) > 1:
                    log_metric(f"accuracy/{name}", right)
                    log_metric(f"reward/{name}", total)
        for name, value in self.scorer.metrics().items():
            log_metric(name, value)


class Column:
    """One reward of one task in TRL's form: a callable with a unique `__name__` that returns a list."""

    def __init__(self, table: RewardTable, task: Task, name: str):
        self.table, self.task, self.name = table, task, name
        self.weight = task.weight(name)
        self.__name__ = name if len(table.tasks) == 1 else f"{task.name}/{name}"

    def __call__(self, completion_ids, row_index, log_extra, log_metric, **_) -> list[float | None]:
        graded = self.table.grade(completion_ids, row_index, log_extra, log_metric)
        tasks = [self.table.rows[index]["task"] for index in row_index]
        return [
            g.scores[self.name].value if task == self.task.name and g.total is not None else None
            for g, task in zip(graded, tasks, strict=True)
        ]
