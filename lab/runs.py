"""Run folders: resolved config, provenance, metrics, samples, checkpoints and the report. Never overwritten."""

import contextlib
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lab import records
from lab.config import Experiment
from lab.errors import UserError
from lab.render import wording
from lab.task import Task

TRAINED_WITH = ("torch", "transformers", "trl", "accelerate", "peft", "deepspeed", "datasets", "math-verify")
SPARE = 200 * 2**20  # bytes left free beside the checkpoints a run is about to write
HASHED_WHOLE = 2 * 2**30  # bytes of weights up to which a checkpoint is hashed in full: about two seconds


class Run:
    """One run's folder: `<output>/<experiment>/<time>-<id>/`."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    @classmethod
    def create(cls, experiment: Experiment, provenance: dict, needed_bytes: int = 0) -> "Run":
        """A new folder; UserError where it cannot be written or the disk is full.

        needed_bytes: what the run's checkpoints will take.
        """
        now = datetime.datetime.now(datetime.UTC)
        path = new_folder(Path(experiment.output).expanduser() / experiment.name, needed_bytes)
        try:
            run = cls(path)
            run.write("config.yaml", experiment.as_yaml())
            run.write("provenance.json", json.dumps({"started": now.isoformat(), **provenance}, indent=2))
            run.write_summary(
                {
                    "experiment": experiment.name,
                    "task": " + ".join(Path(name).stem for name in experiment.task),
                    "seed": experiment.seed,
                    "started": now.isoformat(),
                    "stages": {},
                }
            )
        except OSError as error:
            raise _unwritable(path, error) from None
        return run

    @classmethod
    def open(cls, path: str | Path) -> "Run":
        """An existing run folder; UserError where there is none."""
        run = cls(path)
        if not (run.path / "summary.json").is_file():
            raise UserError(f"{path} is no run folder (it has no summary.json): `lab runs` lists the runs")
        return run

    def folder(self, name: str) -> Path:
        """The subfolder `name`, made where missing: one per stage, holding its checkpoint."""
        folder = self.path / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write(self, name: str, text: str) -> None:
        write_whole(self.path / name, text)

    def write_summary(self, summary: dict) -> None:
        self.write("summary.json", json.dumps(summary, indent=2))

    @property
    def summary(self) -> dict:
        return records.read(self.path / "summary.json", records.Summary)

    @property
    def unfinished(self) -> list[str]:
        """The stages that the run was asked for and that have no accuracy yet."""
        done = self.summary["stages"]
        return [stage for stage in self.provenance.get("stages", ()) if "accuracy" not in done.get(stage, {})]

    def record_stage(self, stage: str, **numbers) -> None:
        """Adds to a stage's entry in summary.json."""
        summary = self.summary
        summary["stages"].setdefault(stage, {}).update(numbers)
        self.write_summary(summary)

    @property
    def provenance(self) -> dict:
        return records.read(self.path / "provenance.json", records.Provenance)

    def add_provenance(self, **facts) -> None:
        self.write("provenance.json", json.dumps(self.provenance | facts, indent=2))

    def log(self, **metrics) -> None:
        """Appends one line to metrics.jsonl."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(metrics) + "\n")

    def metrics(self, stage: str | None = None) -> list[dict]:
        """The lines of metrics.jsonl, of one stage or all; a line that a kill cut short is left out."""
        lines = records.read_lines(self.path / "metrics.jsonl", may_be_cut=True)
        return [line for line in lines if stage in (None, line.get("stage"))]

    def drop_metrics(self, stage: str, after: int) -> None:
        """Takes a stage's steps beyond `after` out of metrics.jsonl: they are about to be done again."""
        if (self.path / "metrics.jsonl").is_file():
            kept = [line for line in self.metrics() if line["stage"] != stage or line["step"] <= after]
            self.write("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept))

    def write_samples(self, stage: str, samples: Iterable[dict]) -> None:
        """Keeps every evaluated completion of a stage in samples/<stage>.jsonl."""
        self.write(f"samples/{stage}.jsonl", json_lines(samples))

    def read_samples(self, stage: str) -> list[dict] | None:
        file = self.path / "samples" / f"{stage}.jsonl"
        return records.read_lines(file) if file.is_file() else None

    @contextlib.contextmanager
    def removed_if_nothing_was_made(self) -> Iterator["Run"]:
        """A mistake found before the first stage has left anything takes its empty folder away with it."""
        try:
            yield self
        except UserError:
            made = {p.name for p in self.path.rglob("*") if p.is_file()}
            if made <= {"config.yaml", "provenance.json", "summary.json"}:
                shutil.rmtree(self.path)
                with contextlib.suppress(OSError):  # other runs stand in it
                    self.path.parent.rmdir()
            raise


def write_whole(target: Path, text: str) -> None:
    """Writes a file whole or not at all: a kill or a full disk leaves the old one, or none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        # half of a surrogate pair, which a server may send, becomes JSON's own escape of it
        half.write_text(text, encoding="utf-8", errors="backslashreplace")
        os.replace(half, target)
    finally:
        half.unlink(missing_ok=True)


def json_lines(samples: Iterable[dict], default: Callable | None = None) -> str:
    """One JSON object a line, ended each; `default` makes what JSON has no form for into something it has."""
    return "".join(json.dumps(sample, default=default, ensure_ascii=False) + "\n" for sample in samples)


def new_folder(parent: Path, needed_bytes: int = 0) -> Path:
    """`parent`/<time>-<id>, made; UserError where it cannot be written or the disk is full."""
    path = parent / f"{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(parent).free
        if free < needed_bytes + SPARE:
            raise UserError(
                f"the disk of {parent} has {free / 2**30:.1f} GiB free, this run needs about "
                f"{(needed_bytes + SPARE) / 2**30:.1f} GiB for its checkpoints: free some, or set `output`"
            )
        path.mkdir()
    except OSError as error:
        raise _unwritable(path, error) from None
    return path


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"the run folder {path} cannot be written ({error.strerror or error}): set `output=` to a folder you own"
    )


def all_runs(output: str | Path = "runs") -> list[Run]:
    """Every run under `output`, the oldest first; the tables of `lab eval --model` lie beside them and are none."""
    return [Run(file.parent) for file in sorted(Path(output).glob("*/*/config.yaml"))]


def run_of(checkpoint: str | Path) -> Path | None:
    """The run that a checkpoint's folder lies in, as RUN/grpo and RUN/grpo/checkpoint-40 do; None for any other."""
    path = Path(checkpoint).expanduser()
    above = path.absolute().parents[:2] if path.exists() else ()
    return next((folder for folder in above if (folder / "provenance.json").is_file()), None)


def newest_checkpoint(path: Path) -> Path | None:
    """The last stage's checkpoint in a run folder: GRPO's, else SFT's, else None."""
    return next((path / s for s in ("grpo", "sft") if (path / s / "config.json").is_file()), None)


def provenance(experiment: Experiment, tasks: dict[str, Task], checkpoint: Path | str, renderer: str) -> dict:
    """What must be known to repeat a run: versions, machine, command, and hashes of task, template and checkpoint."""
    return {
        "command": sys.argv,
        "seed": experiment.seed,
        "processes": int(os.environ.get("WORLD_SIZE", 1)),
        "tasks": {
            name: {"source": t.source, "sha256": sha256(Path(t.source)), "wording": wording(t)}
            for name, t in tasks.items()
        },
        "checkpoint": {"path": str(checkpoint), "sha256": checkpoint_hash(checkpoint)},
        "renderer": renderer,
        "versions": {"python": platform.python_version(), **package_versions()},
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "processor": platform.machine()},
    }


def weight_files(checkpoint: Path | str) -> list[Path]:
    """The files that hold a checkpoint's weights; none for a hub id."""
    if isinstance(checkpoint, str):
        return []
    if checkpoint.is_file():
        return [checkpoint]
    return sorted(checkpoint.glob("*.safetensors")) or sorted(checkpoint.glob("*.bin"))


def size_in_bytes(checkpoint: Path | str) -> int:
    """How much disk a trained copy in float32 may take: twice the files, eight times a quantised one."""
    files = weight_files(checkpoint)
    return sum(file.stat().st_size * (8 if file.suffix == ".gguf" else 2) for file in files)


def package_versions() -> dict[str, str]:
    found = {}
    for name in (*TRAINED_WITH, "lm-eval", "reasoning-lab"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def changed_versions(began: dict[str, str], now: dict[str, str]) -> str:
    """What a run trains with and has changed since it began, as "trl 1.15.0 → 1.16.0, …"; "" where nothing has."""
    pairs = [(name, began.get(name), now.get(name)) for name in ("python", *TRAINED_WITH, "reasoning-lab")]
    return ", ".join(f"{name} {was or 'none'} → {now or 'none'}" for name, was, now in pairs if began and was != now)


def checkpoint_hash(checkpoint: Path | str) -> str | None:
    """sha256 over a checkpoint's weights; over names and sizes alone where they exceed 2 GiB; None for a hub id."""
    files = weight_files(checkpoint)
    if not files:
        return None
    if sum(f.stat().st_size for f in files) > HASHED_WHOLE:
        listing = "".join(f"{f.name} {f.stat().st_size}\n" for f in files)
        return "sizes:" + hashlib.sha256(listing.encode()).hexdigest()
    return hashlib.sha256("".join(sha256(file) for file in files).encode()).hexdigest()


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
