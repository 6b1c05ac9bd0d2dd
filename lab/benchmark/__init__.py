"""Benchmark: checkpoints × tasks, ours and stock, through lm-eval: one table, every number with its interval."""

import json
import logging
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from lab.benchmark import models, numbers
from lab.benchmark.tasks import Entry, Name, build, find
from lab.config import Experiment, Model, load_experiment
from lab.distributed import world_size
from lab.errors import UserError
from lab.runs import new_folder, newest_checkpoint, package_versions, run_of


@dataclass(frozen=True)
class Column:
    """One checkpoint of the table."""

    name: str  # "model", "before", "after" or "baseline"
    model: Model


def benchmark(
    model: str,
    tasks: Sequence[str],
    *,
    samples: int = 1,
    limit: int | None = None,
    baseline: str = "",
    backend: str = "lab-hf",
    batch_size: int = 32,
    output: str = "runs",
    small: bool = False,
) -> tuple[Path, str]:
    """Evaluates a checkpoint, or a run's first and last, on `tasks`; returns the folder of the results and the table.

    What can be refused is refused before a model loads: names, backend, checkpoints, data out of reach, tasks so small
    that one sample a row says next to nothing, unless `small` or a `limit` as small asks for them.
    """
    if world_size() > 1:
        raise UserError("lab eval --model runs in one process: start it without accelerate")
    remote = models.is_url(backend)
    columns = [Column("model", Model(model))] if remote else _columns(model)
    if baseline:
        columns.insert(0, Column("baseline", Model(baseline) if remote else _columns(baseline)[-1].model))
    models.check_backend(backend, [column.model.checkpoint for column in columns])
    names = find(tasks)
    notes: list[str] = []
    columns = columns if remote else [_prompted(column, names, notes) for column in columns]
    _quiet()
    with ExitStack() as stack:
        entries = build(names, notes, stack, samples, limit, small, remote)
        _check_sandbox(entries)
        folder = stack.enter_context(_results_folder(output))
        results = {c.name: _evaluate(c, entries, backend, batch_size, limit, folder) for c in columns}
        return folder, _conclude(folder, columns, entries, results, backend, limit, notes)


@contextmanager
def _results_folder(output: str) -> Iterator[Path]:
    """A new folder, which goes again where nothing was measured. A full disk amid the writing is one sentence."""
    from lab.stages.saving import full_disk_told

    folder = new_folder(Path(output).expanduser() / "eval")
    try:
        with full_disk_told(folder, "evaluate again"):
            yield folder
    finally:
        with suppress(OSError):  # it is not empty: what was measured stays
            folder.rmdir()


# ---- which checkpoints


def _columns(spec: str) -> list[Column]:
    """A checkpoint as one column; a run folder as `before` and `after`, with the settings it was trained with."""
    path = Path(spec).expanduser()
    if not (path / "provenance.json").is_file():
        run = run_of(path)  # with whose settings it was trained
        settings = load_experiment(str(run / "config.yaml")).model if run else Model(spec)
        return [Column("model", replace(settings, checkpoint=spec))]
    last = newest_checkpoint(path)
    if last is None:
        raise UserError(f"{spec} has no trained stage yet: `lab resume` it, or give a checkpoint")
    started_from = load_experiment(str(path / "config.yaml")).model
    return [Column("before", started_from), Column("after", replace(started_from, checkpoint=str(last)))]


def _prompted(column: Column, names: Sequence[Name], notes: list[str]) -> Column:
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


def _check_sandbox(entries: Sequence[Entry]) -> None:
    from lab.sandbox import checked

    if any(task.lab_task.runs_code for task in _ours(entries)):
        checked("auto")


# ---- the evaluation itself


def _evaluate(
    column: Column,
    entries: Sequence[Entry],
    backend: str,
    batch_size: int,
    limit: int | None,
    folder: Path,
) -> dict[str, Any]:
    """One column through lm-eval's simple_evaluate; its results JSON and every sample go into `folder`."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    from lab.stages.training import free_memory, quiet_libraries

    print(f"{column.name}: {column.model.checkpoint}", flush=True)
    tracker = EvaluationTracker(output_path=str(folder / f"results-{column.name}.json"))
    with quiet_libraries():
        lm, arguments = models.load(column.model, backend, batch_size)
        for task in _ours(entries):
            task.settings["mode"] = task.config.metadata["mode"] = column.model.mode
            task.tokenizer = getattr(lm, "tokenizer", None)
        chat = column.model.mode == "chat"
        with _server_errors(backend), patch("lm_eval.evaluator.get_git_commit_hash", _commit):
            results = simple_evaluate(
                lm,
                model_args=arguments,
                tasks=[item for entry in entries for item in ([entry.group] if entry.group else entry.tasks)],
                batch_size=batch_size,
                limit=limit,
                task_manager=TaskManager(include_defaults=False),
                apply_chat_template=chat,
                fewshot_as_multiturn=chat,  # as lm-eval's command does
                bootstrap_iters=1000,
                evaluation_tracker=tracker,
            )
        del lm
        free_memory()
    samples = results.pop("samples")
    _write_samples(folder, column.name, entries, samples)
    tracker.save_results_aggregated(results, samples)
    try:
        json.loads(next(folder.glob(f"results-{column.name}_*.json")).read_text(encoding="utf-8"))
    except (StopIteration, ValueError) as error:  # lm-eval only logs why it could not write
        raise UserError(
            f"lm-eval's results could not be written to {folder}: free some space on its disk, then evaluate again"
        ) from error
    return {**results, "samples": samples}


@contextmanager
def _server_errors(backend: str) -> Iterator[None]:
    """A server that fails amid the answers is one sentence, after lm-eval's client has tried three times."""
    if not models.is_url(backend):
        yield
        return
    import aiohttp
    import requests

    try:
        yield
    except (aiohttp.ClientError, requests.RequestException, TimeoutError) as error:
        raise UserError(
            f"the endpoint {backend} failed three times on one request ({type(error).__name__}: {error}): see its log, "
            "or ask for less at once with --batch-size 1"
        ) from error


def _commit() -> str | None:
    """The `git_hash` of lm-eval's results. Its own function lets git complain where there is no repository."""
    with suppress(OSError):  # there is no git
        return subprocess.run(["git", "describe", "--always"], capture_output=True, text=True).stdout.strip() or None


def _quiet() -> None:
    """lm-eval logs a hundred lines a task at its default level."""
    import datasets

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    logging.getLogger("lm_eval.models.api_models").setLevel(logging.CRITICAL)  # a server's failure is told as ours is
    datasets.disable_progress_bars()


def _ours(entries: Sequence[Entry]) -> list[Any]:
    return [entry.tasks[0] for entry in entries if entry.ours]


# ---- what it leaves


def _write_samples(folder: Path, column: str, entries: Sequence[Entry], samples: Mapping) -> None:
    """samples-<column>-<task>.jsonl: each row as lm-eval logs it, and for our tasks a verdict an answer."""
    from lm_eval.utils import handle_non_serializable

    for entry in entries:
        for task in entry.tasks:
            logged = samples[task.task_name]
            if entry.ours:
                for sample in logged:
                    sample["verdicts"] = task.verdicts[sample["doc_id"]]
            name = re.sub(r"[^\w.-]", "_", task.task_name)
            file = folder / f"samples-{column}-{name}.jsonl"
            # half of a surrogate pair, which a server may send, becomes JSON's own escape of it
            with file.open("w", encoding="utf-8", errors="backslashreplace") as lines:
                for sample in logged:
                    lines.write(json.dumps(sample, default=handle_non_serializable, ensure_ascii=False) + "\n")


def _conclude(
    folder: Path,
    columns: Sequence[Column],
    entries: Sequence[Entry],
    results: Mapping[str, dict],
    backend: str,
    limit: int | None,
    notes: list[str],
) -> str:
    """Writes summary.json and returns what is printed: the table, the stock scorers' verdicts, the notes."""
    reference = columns[0].name
    found = numbers.lines(entries, results, reference)
    notes += [note for column in columns for note in _doubts(column, entries, results[column.name]["samples"])]
    notes += [f"{line.entry.label}: {line.metric}, see the samples in {folder}" for line in found if not line.cells]
    if backend in ("hf", "vllm") and _ours(entries):
        counted = "the tokens of their texts are counted, which misses some"
        notes.append(f"{backend} does not say which answers were cut at the token limit: {counted}")
    if len(_ours(entries)) < len(entries) and any(column.model.mode == "chat" for column in columns):
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
                "seconds": float(results[c.name]["total_evaluation_time_seconds"]),
            }
            for c in columns
        },
        "tasks": numbers.as_json(found),
        "notes": notes,
        "versions": package_versions(),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")
    shown = [numbers.table(found, [column.name for column in columns], reference)]
    shown += _stock_verdicts(entries, {name: result["samples"] for name, result in results.items()})
    shown += ["\n".join(f"note: {note}" for note in notes)] if notes else []
    return "\n\n".join(shown)


def _stock_verdicts(entries: Sequence[Entry], samples: Mapping[str, Mapping]) -> Iterator[str]:
    """What lm-eval's own scorers say of the same answers, where it has some; samples: column → task → its rows."""
    from lab.evidence.stock import STOCK, compare

    for task in _ours(entries):
        if task.settings["lab_task"] not in STOCK:  # by its name: not a file that is called alike
            continue
        for column, logged in samples.items():
            answers = _answers(task, logged)
            if any(answer["right"] is not None for answer in answers):
                yield f"{column}: {compare(answers)}" if len(samples) > 1 else str(compare(answers))


def _doubts(column: Column, entries: Sequence[Entry], samples: Mapping[str, list]) -> Iterator[str]:
    """What a reader has to know before believing a column's numbers on our tasks; one sentence each."""
    from lab.evidence.report import TOO_MANY_TRUNCATED

    for task in _ours(entries):
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
