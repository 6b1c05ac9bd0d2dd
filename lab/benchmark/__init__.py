"""Benchmark: checkpoints × tasks, ours and stock, through lm-eval: one table, every number with its interval."""

import json
import logging
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from lab.benchmark import models
from lab.benchmark.columns import Column, columns_of, prompted
from lab.benchmark.results import conclude, write_samples
from lab.benchmark.tasks import Entry, build, find, ours
from lab.config import Model
from lab.distributed import world_size
from lab.errors import UserError
from lab.runs import new_folder, write_whole


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
    columns = [Column("model", Model(model))] if remote else columns_of(model)
    if baseline:
        columns.insert(0, Column("baseline", Model(baseline) if remote else columns_of(baseline)[-1].model))
    models.check_backend(backend, [column.model.checkpoint for column in columns])
    names = find(tasks)
    notes: list[str] = []
    columns = columns if remote else [prompted(column, names, notes) for column in columns]
    _quiet()
    with ExitStack() as stack:
        entries = build(names, notes, stack, samples, limit, small, remote)
        _check_sandbox(entries)
        folder = stack.enter_context(_results_folder(output))
        results: dict[str, dict[str, Any]] = {}

        def concluded() -> tuple[dict, str]:
            return conclude(folder, columns, entries, results, backend, limit, notes)

        try:
            for column in columns:
                results[column.name], tracker = _evaluate(column, entries, backend, batch_size, limit, folder)
                _keep(folder, column, entries, results[column.name], tracker)
            summary, shown = concluded()
            write_whole(folder / "summary.json", json.dumps(summary, indent=2))
        except (OSError, UserError):
            if results:  # hours of evaluation are not lost for a full disk, or a server that is gone
                print(f"\n{concluded()[1]}\n", flush=True)
            raise
        return folder, shown


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


def _check_sandbox(entries: Sequence[Entry]) -> None:
    from lab.sandbox import checked

    if any(task.lab_task.runs_code for task in ours(entries)):
        checked("auto")


# ---- the evaluation itself


def _evaluate(
    column: Column,
    entries: Sequence[Entry],
    backend: str,
    batch_size: int,
    limit: int | None,
    folder: Path,
) -> tuple[dict[str, Any], Any]:
    """One column through lm-eval's simple_evaluate: its results, and the tracker that writes them into `folder`.

    Every sample is among the results, as lm-eval logs it, and for our tasks with a verdict an answer.
    """
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    from lab.stages.training import free_memory, quiet_libraries

    print(f"{column.name}: {column.model.checkpoint}", flush=True)
    started = time.monotonic()
    tracker = EvaluationTracker(output_path=str(folder / f"results-{column.name}.json"))
    with quiet_libraries():
        lm, arguments = models.load(column.model, backend, batch_size)
        for task in ours(entries):
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
    for task in ours(entries):
        for sample in results["samples"][task.task_name]:
            sample["verdicts"] = task.verdicts[sample["doc_id"]]
    return results | {"seconds": time.monotonic() - started}, tracker


def _keep(folder: Path, column: Column, entries: Sequence[Entry], results: dict[str, Any], tracker) -> None:
    """Writes a column's samples, and lm-eval's own results JSON."""
    write_samples(folder, column.name, entries, results["samples"])
    theirs = {name: value for name, value in results.items() if name not in ("samples", "seconds")}
    tracker.save_results_aggregated(theirs, results["samples"])
    try:
        json.loads(next(folder.glob(f"results-{column.name}_*.json")).read_text(encoding="utf-8"))
    except (StopIteration, ValueError) as error:  # lm-eval only logs why it could not write
        raise UserError(
            f"lm-eval's results could not be written to {folder}: free some space on its disk, then evaluate again"
        ) from error


@contextmanager
def _server_errors(backend: str) -> Iterator[None]:
    """A server that fails amid the answers is one sentence, after lm-eval's client has tried three times."""
    if not models.is_url(backend):
        yield
        return
    import aiohttp
    import requests
    from tqdm import tqdm

    try:
        yield
    except (aiohttp.ClientError, requests.RequestException, TimeoutError) as error:
        for bar in list(getattr(tqdm, "_instances", ())):  # left open, it would share its line with the sentence
            bar.close()
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
