"""A benchmark's tasks: names → lm-eval's task objects, ours and stock, refused in one sentence before a model loads."""

import importlib.util
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lab.benchmark.repeats import sample_each, unsampled
from lab.errors import UserError, nearest
from lab.registry import load_task, task_names

STOCK = "lm-eval:"  # before a name: lm-eval's own task, where ours has the same name
SMALL = 100  # rows below which one sample a row says next to nothing
LOCAL = ("json", "csv", "parquet", "arrow", "text")  # data sets that are files, for which no hub is asked
# A stock task's YAML names it, its groups and its tags at the beginning of a line.
_NAMED = re.compile(rb"^[\"']?(task|group|tag)[\"']?:[ \t]*[\"']?([^\s\"'#\[\]{}]+)", re.MULTILINE)
_TAGS = re.compile(rb"^[\"']?tag[\"']?:[ \t]*(?:\[([^\]]*)\]|\r?\n((?:[ \t]*-[^\n]*\n?)+))", re.MULTILINE)


@dataclass(frozen=True)
class Name:
    """One of --tasks: ours, a YAML file with lm-eval's own kind of task, or a name in lm-eval's index."""

    spec: str
    kind: str  # "ours", "yaml", "index"


@dataclass
class Entry:
    """One row of the table: a task of lm-eval, or a group of them with its aggregate."""

    label: str
    tasks: list[Any]  # lm_eval.api.task.Task
    group: Any = None  # lm_eval.api.group.Group
    ours: bool = False
    samples: int = 1

    def rows(self, limit: int | None) -> int:
        """How many are answered where each task has `limit` at most."""
        return _limited([len(task.eval_docs) for task in self.tasks], limit)

    def drawn(self, limit: int | None) -> int:
        """The same before the rows of ours were dropped whose gold does not verify."""
        return _limited([task.drawn if self.ours else len(task.eval_docs) for task in self.tasks], limit)


def _limited(counts: Sequence[int], limit: int | None) -> int:
    return sum(counts if limit is None else (min(count, limit) for count in counts))


def ours(entries: Sequence[Entry]) -> list[Any]:
    """Those of our own, as the LabTasks that they are."""
    return [entry.tasks[0] for entry in entries if entry.ours]


def find(specs: Sequence[str]) -> list[Name]:
    """Each name where it is known: ours first, then lm-eval's. Raises UserError with the nearest of both for others."""
    found = []
    for spec in dict.fromkeys(spec.strip() for spec in specs if spec.strip()):
        name = spec.removeprefix(STOCK)
        if spec.endswith((".yaml", ".yml")):
            if not Path(spec).expanduser().is_file():
                raise UserError(f"there is no file {spec}: give the path of a YAML file with a task for lm-eval")
            found.append(Name(str(Path(spec).expanduser().resolve()), "yaml"))
        elif name == spec and (spec.endswith(".py") or "/" in spec or spec in task_names()):
            load_task(spec)
            found.append(Name(spec, "ours"))
        elif name in (stock := stock_names()):
            found.append(Name(stock[name], "yaml") if stock[name] else Name(name, "index"))
        else:
            close = [nearest(name, task_names()), nearest(name, stock)]
            hint = " or lm-eval's ".join(text.removeprefix("did you mean ").rstrip("?") for text in close if text)
            hint = f"did you mean {hint}?" if hint else "`lab tasks` lists ours, `lm_eval ls tasks` lm-eval's"
            raise UserError(f"neither we nor lm-eval have a task {name!r}: {hint}")
    if not found:
        raise UserError("--tasks names none: give one or several, separated by commas, such as gsm8k,math500")
    return found


@cache
def stock_names() -> dict[str, str]:
    """Name → the YAML file of a stock task, or "" for a group or a tag, which only lm-eval's whole index resolves.

    Read from the text of the files, in a second or two: lm-eval's own index parses all of them, which takes 15.
    """
    folder = Path(next(iter(importlib.util.find_spec("lm_eval").submodule_search_locations))) / "tasks"
    names: dict[str, str] = {}
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".py", ".md", ".json", ".pyc", ".txt", ".jsonl", ".csv") or not file.is_file():
            continue
        text = file.read_bytes()
        for kind, name in _NAMED.findall(text):
            is_task = kind == b"task" and file.suffix == ".yaml"
            names.setdefault(name.decode(), str(file) if is_task else "")
        for inline, listed in _TAGS.findall(text):
            for name in re.findall(rb"[\w./:+-]*\w[\w./:+-]*", inline or listed):
                names.setdefault(name.decode(), "")
    return names


def build(
    names: Sequence[Name],
    notes: list[str],
    stack: ExitStack,
    samples: int,
    limit: int | None,
    small: bool,
    remote: bool,
) -> list[Entry]:
    """The tasks with their rows. Raises UserError for data that is out of reach and for what cannot be run.

    notes: gets a sentence for each task that lost rows, has few, or stays at one answer a row.
    stack: closes the scorers of our tasks, also where a later task is refused.
    samples: answers a row.
    small: also tasks whose few rows say next to nothing from one sample each; a limit below SMALL asks for as much.
    remote: for an endpoint, which gives no log-likelihoods of the prompt.
    """
    entries: list[Entry] = []
    for name in names:
        if name.kind == "ours":
            entries.append(_ours(name.spec, samples, limit, remote))
            stack.callback(entries[-1].tasks[0].scorer.close)
            notes += entries[-1].tasks[0].notes
        else:
            entries += _stock(name)
    seen: dict[str, str] = {}
    for entry in entries:
        for task in entry.tasks:
            if task.task_name in seen:
                by = f"{seen[task.task_name]} and {entry.label}"
                raise UserError(f"the task {task.task_name} comes twice, by {by}: leave one of them out of --tasks")
            seen[task.task_name] = entry.label
            _check(entry, task, remote)
        if entry.ours:
            entry.samples = samples
        elif samples > 1:
            why_not = next(filter(None, map(unsampled, entry.tasks)), "")
            if why_not:
                notes.append(f"{entry.label} {why_not}")
            else:
                entry.samples = samples
                for task in entry.tasks:
                    sample_each(task, samples, remote)
        # A gold that was dropped makes no benchmark small, nor a limit that asked for enough.
        if entry.drawn(limit) < SMALL and all((task.config.repeats or 1) == 1 for task in entry.tasks):
            n = entry.rows(limit)
            if not small and (limit is None or limit >= SMALL):
                raise UserError(f"{_uncertain(entry, n)}: {_surer(entry)}, --small shows it all the same")
            notes.append(_uncertain(entry, n))
    return entries


def _ours(spec: str, samples: int, limit: int | None, remote: bool) -> Entry:
    from lab.lm_eval_path import PREFIX
    from lab.lm_eval_task import LabTask

    task = load_task(spec)
    metadata = {"lab_task": spec, "version": 1, **({"base_url": "an endpoint"} if remote else {})}
    if limit:  # no more rows are drawn than are asked for
        metadata["rows"] = limit
    made = LabTask(config={"task": PREFIX + task.name, "metadata": metadata, "repeats": samples})
    return Entry(task.name, [made], ours=True)


def _stock(name: Name) -> Iterator[Entry]:
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._yaml_loader import load_yaml

    spec, config = name.spec, {}
    with _told(spec):
        if name.kind == "yaml":
            config = load_yaml(spec, resolve_func=False)
            neighbours = str(Path(spec).parent) if "group" in config else None  # to which a group refers
            manager = TaskManager(include_path=neighbours, include_defaults=False)
        else:
            manager = _whole_index()
    path = str(config.get("dataset_path"))
    is_path = path.startswith((".", "/"))
    with _told(spec, local=is_path or path in LOCAL or Path(path).is_dir()):
        if is_path and not Path(path).exists():  # `datasets` would look for it on the hub
            raise FileNotFoundError(path)
        loaded = manager.load([config.get("group", spec)])
    group = next(iter(loaded["groups"].values()), None)
    if group is not None and group.has_aggregation:
        yield Entry(STOCK + group.name, list(loaded["tasks"].values()), group)
        return
    for task in loaded["tasks"].values():
        yield Entry(STOCK + task.task_name, [task])


@cache
def _whole_index():
    from lm_eval.tasks import TaskManager

    print("reading lm-eval's whole index of tasks, which takes some 15 seconds", flush=True)
    return TaskManager()


@contextmanager
def _told(spec: str, local: bool = True) -> Iterator[None]:
    """Whatever keeps a stock task from loading, in one sentence; a hub out of reach is asked once, not for a minute."""
    from lab.sources import offline, why_unreachable

    name = Path(spec).stem
    why = "" if local else why_unreachable("openai/gsm8k")  # any that exists: does the hub answer at all?
    try:
        with offline(bool(why)):
            yield
    except (ConnectionError, FileNotFoundError) as error:
        said = " ".join(str(error).split())[:200]
        if local and "://" not in said:  # the data files of `json` and the like may also be URLs
            raise UserError(
                f"lm-eval's task {name!r} names a file that is not there ({said}): put it there, or mend the path in "
                f"{spec}"
            ) from error
        own = f", or evaluate our own version of it, {name!r}" if name in task_names() else ""
        why = why or said
        raise UserError(
            f"the data of lm-eval's task {name!r} cannot be had ({why}): connect to the hub once, after which its "
            f"cache has them{own}"
        ) from error
    except ImportError as error:
        raise UserError(
            f"lm-eval's task {name!r} needs a package that is not installed ({error}): install it, or leave it out"
        ) from error
    except Exception as error:  # a task's YAML and its functions may raise anything
        said = " ".join(str(error).split())[:200]
        raise UserError(
            f"lm-eval cannot load the task {name!r} ({type(error).__name__}: {said}): mend it, or leave it out"
        ) from error


def _check(entry: Entry, task, remote: bool) -> None:
    if remote and task.OUTPUT_TYPE != "generate_until":
        raise UserError(
            f"the task {entry.label} compares log-likelihoods, which a chat endpoint does not give: evaluate it with "
            "--backend lab-hf, hf or vllm, or leave it out"
        )
    if getattr(task, "MULTIMODAL", False):
        raise UserError(
            f"the task {entry.label} shows pictures or sound, and we evaluate language models: leave it out"
        )
    if getattr(task, "UNSAFE_CODE", False):
        raise UserError(
            f"the task {entry.label} runs programs that the model wrote without confining them: evaluate one of ours, "
            "such as humaneval or mbpp, whose programs run in the sandbox"
        )


def _uncertain(entry: Entry, n: int) -> str:
    from lab.evidence.statistics import wilson

    low, high = wilson(n / 2, n)
    rows = f"only {n} row{'s' * (n > 1)}"
    return (
        f"{entry.label}: {rows} with one answer each, an accuracy's interval is up to ±{50 * (high - low):.0f} points"
    )


def _surer(entry: Entry) -> str:
    if any(task.OUTPUT_TYPE != "generate_until" for task in entry.tasks):
        return "it compares log-likelihoods, so that no sampling helps"
    return "--samples 16 says more of each row"
