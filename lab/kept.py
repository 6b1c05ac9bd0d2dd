"""Kept: a trainer's checkpoints on the disk, of which a killed run goes on from the newest that is whole."""

import json
import os
import shutil
from pathlib import Path

from lab.distributed import engine_asked, world_size
from lab.errors import UserError

MARK = "complete.json"  # written last: the files with their sizes, and the processes and engine they belong to


def mark_complete(folder: Path) -> None:
    """Declares a checkpoint whole. Its files reach the disk before the mark does."""
    files = {str(f.relative_to(folder)): f for f in sorted(folder.rglob("*")) if f.is_file() and f.name != MARK}
    for file in files.values():
        flush(file)
    sizes = {name: file.stat().st_size for name, file in files.items()}
    half = folder / f".{MARK}"
    half.write_text(json.dumps({"processes": world_size(), "engine": engine_asked(), "files": sizes}, indent=1))
    os.replace(half, folder / MARK)


def flush(file: Path) -> None:
    """Returns once the file lies on the disk: a machine may go before it has written what it holds in memory."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def is_complete(folder: Path) -> bool:
    """Whether every file that the checkpoint's mark names is there in its full size."""
    try:
        files = json.loads((folder / MARK).read_text())["files"]
        return all((folder / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError):
        return False


def checkpoints(folder: Path) -> list[Path]:
    """A trainer's checkpoints, the oldest first, half-written ones among them."""
    return sorted(folder.glob("checkpoint-*"), key=step)


def newest_complete(folder: Path) -> Path | None:
    """The checkpoint to go on from; UserError where it belongs to another number of processes, or another engine."""
    whole = [path for path in checkpoints(folder) if is_complete(path)]
    if not whole:
        return None
    mark = json.loads((whole[-1] / MARK).read_text())
    processes, engine = mark["processes"], mark.get("engine", engine_asked())
    if processes != world_size():
        raise UserError(
            f"{whole[-1]} was written by {processes} process{'es' * (processes > 1)}, this is a run of {world_size()}: "
            f"optimizer shards and random states belong to their process, so resume with {processes}"
        )
    if engine != engine_asked():
        raise UserError(
            f"{whole[-1]} was written under {engine}, this is a run under {engine_asked()}, which would begin with an "
            "empty optimizer: resume with the preset that the run was started with"
        )
    return whole[-1]


def remove_incomplete(folder: Path) -> None:
    for path in checkpoints(folder):
        if not is_complete(path):
            shutil.rmtree(path)


def remove_all(folder: Path) -> None:
    for path in checkpoints(folder):
        shutil.rmtree(path)


def step(checkpoint: Path) -> int:
    """The optimizer steps behind a checkpoint."""
    return int(checkpoint.name.rpartition("-")[2])
