"""The rows of an experiment: drawn from its tasks, golds verified, split between the stages."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.config import Experiment
from lab.errors import ContractError, UserError
from lab.evidence import decontaminate
from lab.evidence.decontaminate import Index, Overlap
from lab.registry import load_task
from lab.reward import Score
from lab.task import TRAIN, Row, Task

if TYPE_CHECKING:
    from lab.scoring import Scorer

WRONG_GOLDS = 0.02  # share of rows whose own gold does not verify, above which the task is refused


@dataclass
class Data:
    """Rows by purpose; each row carries its task's name. `notes` says in words what was dropped or fell short.

    index, overlaps: the benchmarks' questions, where the experiment names some, and the training rows removed for them.
    """

    sft: list[Row] = field(default_factory=list)
    grpo: list[Row] = field(default_factory=list)
    eval: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    index: Index | None = None
    overlaps: list[Overlap] = field(default_factory=list)

    @property
    def decontamination(self) -> dict | None:
        """What was compared and what removed, for the provenance; None where nothing was compared."""
        return decontaminate.provenance(self.index, self.overlaps) if self.index else None


def load_tasks(experiment: Experiment) -> dict[str, Task]:
    """Task name → Task, for a mixture in its order. Two tasks of one name are refused: rows could not be told apart."""
    tasks: dict[str, Task] = {}
    for spec in experiment.task:
        task = load_task(spec)
        if task.name in tasks:
            raise UserError(f"two tasks of the mixture are called {task.name!r}: rename one of the files")
        tasks[task.name] = task
    return tasks


def first_rows(task: Task, count: int, seed: int = 0) -> list[Row]:
    """Rows of the first split that can be had: without the hub a benchmark's package has its test split alone."""
    unreachable = None
    for split in task.has:
        try:
            return task.sample(split, count, seed)
        except ContractError:
            raise
        except UserError as error:
            unreachable = unreachable or error
    raise unreachable


def draw(
    experiment: Experiment, tasks: Mapping[str, Task], scorer: "Scorer", stages: Sequence[str] = ("sft", "grpo")
) -> Data:
    """The rows for `stages`, and the held-out rows. SFT and GRPO see different training rows where there are enough.

    Raises ContractError where a task has no rows, lacks a field that its rewards read, or has too many wrong golds, and
    UserError where a benchmark to decontaminate against cannot be had or leaves a task without training rows.
    """
    wanted_sft = experiment.sft.demonstrations if experiment.sft and "sft" in stages else 0
    wanted_grpo = grpo_prompts(experiment) if experiment.grpo and "grpo" in stages else 0
    compared = experiment.decontaminate and (wanted_sft or wanted_grpo)
    data = Data(index=decontaminate.index_of(experiment.decontaminate) if compared else None)
    shares = dict(zip(tasks, experiment.task.values(), strict=True))
    for name, task in tasks.items():
        if wanted_sft or wanted_grpo:
            sft, grpo = counts(wanted_sft, shares)[name], counts(wanted_grpo, shares)[name]
            rows = verified(task, training_rows(task, sft + grpo, experiment.seed, data), scorer, data.notes)
            if len(rows) < sft + grpo:
                data.notes.append(
                    f"{name}: {len(rows)} training rows where {sft + grpo} were wanted: some are seen again"
                )
            data.sft += rows[:sft]
            data.grpo += rows[-grpo:] if grpo else []  # from the end: where rows are short, they overlap least
        held_out = counts(experiment.eval.n, shares)[name]
        rows = verified(task, task.sample(experiment.eval.split, held_out, experiment.eval.seed), scorer, data.notes)
        if len(rows) < held_out:
            data.notes.append(f"{name}: {len(rows)} held-out rows where {held_out} were wanted")
        data.eval += rows
    for rows in (data.sft, data.grpo):
        random.Random(experiment.seed).shuffle(rows)
    return data


def training_rows(task: Task, count: int, seed: int, data: Data) -> list[Row]:
    """Up to `count` training rows, without those that a benchmark of `data.index` has; what it finds is noted there."""
    rows = task.sample(TRAIN, count, seed)
    if data.index is None:
        if task.splits == "given":  # rows that somebody collected, maybe from where a benchmark has its own
            data.notes.append(
                f"{task.name}: training rows are not compared with any benchmark, `decontaminate: [gsm8k, …]` does that"
            )
        return rows
    kept, overlaps = decontaminate.decontaminated(rows, {task.name: task}, data.index)
    data.overlaps += overlaps
    if overlaps:
        data.notes.append(decontaminate.note(task.name, len(rows), overlaps))
    if not kept:
        raise UserError(
            f"{data.notes[-1]}: none is left, for example {overlaps[0].text!r:.120} is near {overlaps[0].twin!r:.120}: "
            "train on other rows, or take that benchmark out of `decontaminate`"
        )
    return kept


def grpo_prompts(experiment: Experiment) -> int:
    """How many distinct prompts GRPO trains on: each step its own, unless `grpo.prompts` says fewer."""
    stage = experiment.grpo
    if stage.prompts is not None:
        return stage.prompts
    steps = stage.arguments["max_steps"]
    return experiment.plan("grpo").prompts * steps if steps > 0 else 1000


def counts(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """`total` rows divided by shares, exactly, the remainders to the largest fractions."""
    whole = sum(shares.values())
    exact = {name: total * share / whole for name, share in shares.items()}
    result = {name: int(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda n: result[n] - exact[n])[: total - sum(result.values())]:
        result[name] += 1
    return result


def verified(task: Task, rows: list[Row], scorer: "Scorer", notes: list[str]) -> list[Row]:
    """The rows that have a gold, where it earns the primary reward."""
    if task.gold is None and task.demonstrate is None:
        return rows
    responses = [gold_response(task, row) for row in rows]
    graded = scorer.grade(responses, rows, keep_going=True)
    right = [task.has_gold(row) and task.is_right(grade) for row, grade in zip(rows, graded, strict=True)]
    kept = [row for row, good in zip(rows, right, strict=True) if good]
    wrong = len(rows) - len(kept)
    if wrong > max(WRONG_GOLDS * len(rows), 1) or not kept:  # one wrong row of twenty is no verdict on a task
        row, grade = rows[right.index(False)], graded[right.index(False)]
        score = grade.scores[task.primary] if task.has_gold(row) else Score(None, "the gold is blank")
        raise ContractError(
            f"task {task.name}: {wrong} of {len(rows)} golds do not verify (allowed are {WRONG_GOLDS:.0%}), "
            f"for example {gold_response(task, row).text!r:.80} scores {score.value} {score.reason} in row "
            f"{dict(row)!r:.160}: mend the row's gold, `demonstrate` or the reward"
        )
    if wrong:
        notes.append(f"{task.name}: {wrong} of {len(rows)} rows dropped, their gold does not verify")
    return kept


def gold_response(task: Task, row: Row):
    """The demonstration as a Response: what a perfect model would have written."""
    if task.demonstrate is None and task.gold is not None and task.gold not in row:
        have = ", ".join(key for key in row if key != "task")
        raise ContractError(
            f"task {task.name}: rows have no gold field {task.gold!r}, only {have}: set Task(gold=…) or demonstrate"
        )
    return task.response(task.demonstration(row)[-1]["content"])
