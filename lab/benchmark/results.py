"""What a benchmark leaves: the samples, summary.json, and the text of the table with what to mind about it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lab.benchmark import numbers
from lab.benchmark.columns import Column
from lab.benchmark.tasks import Entry, ours
from lab.runs import json_lines, package_versions, write_whole


def write_samples(folder: Path, column: str, entries: Sequence[Entry], samples: Mapping) -> None:
    """samples-<column>-<task>.jsonl, each whole or not there."""
    from lm_eval.utils import handle_non_serializable

    for entry in entries:
        for task in entry.tasks:
            name = re.sub(r"[^\w.-]", "_", task.task_name)
            lines = json_lines(samples[task.task_name], handle_non_serializable)
            write_whole(folder / f"samples-{column}-{name}.jsonl", lines)


def conclude(
    folder: Path,
    columns: Sequence[Column],
    entries: Sequence[Entry],
    results: Mapping[str, dict],
    backend: str,
    limit: int | None,
    notes: Sequence[str],
) -> tuple[dict, str]:
    """The columns that have results: what summary.json holds, and what is printed: table, stock verdicts, notes."""
    columns = [column for column in columns if column.name in results]
    reference = columns[0].name
    found = numbers.lines(entries, results, reference)
    notes = [*notes]
    notes += [note for column in columns for note in _doubts(column, entries, results[column.name]["samples"])]
    notes += [f"{line.entry.label}: {line.metric}, see the samples in {folder}" for line in found if not line.cells]
    if backend in ("hf", "vllm") and ours(entries):
        counted = "the tokens of their texts are counted, which misses some"
        notes.append(f"{backend} does not say which answers were cut at the token limit: {counted}")
    if len(ours(entries)) < len(entries) and any(column.model.mode == "chat" for column in columns):
        notes.append("lm-eval's tasks, too, are prompted by the chat template, as by its own --apply_chat_template")
    summary = {
        "started": folder.name,
        "backend": backend,
        "limit": limit,
        "reference": reference,
        "columns": {
            c.name: {
                "checkpoint": c.model.checkpoint,
                "mode": c.model.mode,
                "seconds": results[c.name]["seconds"],
            }
            for c in columns
        },
        "tasks": numbers.as_json(found),
        "notes": notes,
        "versions": package_versions(),
    }
    shown = [numbers.table(found, [column.name for column in columns], reference)]
    shown += _stock_verdicts(entries, {name: result["samples"] for name, result in results.items()})
    shown += ["\n".join(f"note: {note}" for note in notes)] if notes else []
    return summary, "\n\n".join(shown)


def _stock_verdicts(entries: Sequence[Entry], samples: Mapping[str, Mapping]) -> Iterator[str]:
    """What lm-eval's own scorers say of the same answers, where it has some; samples: column → task → its rows."""
    from lab.evidence.stock import STOCK, compare

    for task in ours(entries):
        if task.settings["lab_task"] not in STOCK:  # by its name: not a file that is called alike
            continue
        for column, logged in samples.items():
            answers = _answers(task, logged)
            if any(answer["right"] is not None for answer in answers):
                yield f"{column}\n{compare(answers)}" if len(samples) > 1 else str(compare(answers))


def _doubts(column: Column, entries: Sequence[Entry], samples: Mapping[str, list]) -> Iterator[str]:
    """What a reader has to know before believing a column's numbers on our tasks; one sentence each."""
    from lab.evidence.report import TOO_MANY_TRUNCATED

    for task in ours(entries):
        name, answers = task.lab_task.name, _answers(task, samples)
        cut = sum(not answer["finished"] for answer in answers)
        if cut > TOO_MANY_TRUNCATED * len(answers):
            shares = f"{cut} of {len(answers)} answers to {name}"
            limit = task.config.generation_kwargs["max_gen_toks"]
            yield f"{column.name}: {shares} were cut at its {limit} tokens, and a cut one is wrong"
        if unscorable := sum(answer["right"] is None for answer in answers):
            yield f"{column.name}: {unscorable} answers to {name} could not be scored and are left out"


def _answers(task, samples: Mapping[str, list]) -> list[dict]:
    """Every answer to one of our tasks with its row and our verdict."""
    return [
        {**verdict, "index": sample["doc_id"], "row": task.rows[sample["doc_id"]]}
        for sample in samples[task.task_name]
        for verdict in sample["verdicts"]
    ]
