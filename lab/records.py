"""Records: what a run's summary.json and provenance.json hold. A file that is damaged is told in one sentence."""

import json
from functools import cache
from pathlib import Path
from typing import Annotated, NotRequired

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic reads Python's own from 3.12 on

from lab.errors import UserError

Interval = Annotated[list[float], Field(min_length=2, max_length=2)]  # of shares, low and high


class Measured(TypedDict):
    """An accuracy over `n` held-out rows with its 95 % interval."""

    accuracy: float
    ci95: Interval
    n: int


class Stage(TypedDict, total=False):
    """A stage: once it is evaluated a `Measured`, with its change from the stage before it; GRPO begins without."""

    accuracy: float
    ci95: Interval
    n: int
    change: float
    change_ci95: Interval
    change_p: float
    tasks: dict[str, Measured]  # of a mixture
    label: str
    checkpoint: str
    computed_by: dict
    mean_tokens: float
    no_answer: float
    samples: int
    seconds: float
    train_seconds: float
    truncated: float
    unscorable: int


class Summary(TypedDict):
    """summary.json."""

    experiment: str
    task: str
    seed: int
    stages: dict[str, Stage]
    started: NotRequired[str]
    temperature: NotRequired[float]
    warnings: NotRequired[list[str]]


class Named(TypedDict, total=False):
    """Where a task or a checkpoint lay, and its hash: None for a hub id."""

    source: str
    path: str
    sha256: str | None
    wording: str


class Provenance(TypedDict, total=False):
    """provenance.json, as far as it is read again."""

    audit: dict
    checkpoint: Named
    label: str
    processes: int
    renderer: str
    resumed_with: list[str]  # versions other than those it began with
    sandbox: dict | None
    stages: list[str]
    tasks: dict[str, Named]
    versions: dict[str, str]


TOGETHER = (Measured.__annotations__.keys(), {"change", "change_ci95", "change_p"})  # a stage has all of them or none
CHECKS = cache(TypeAdapter)


def read(file: Path, kind: type) -> dict:
    """The `kind` (Summary, Provenance) that a file holds. Raises UserError where it is missing or anything else."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        CHECKS(kind).validate_python(found, strict=True)
        for name, stage in found["stages"].items() if kind is Summary else ():
            for group in TOGETHER:
                if (has := group & stage.keys()) and has != group:
                    raise ValueError(f"stages.{name} lacks {', '.join(sorted(group - has))}")
        return found
    except (OSError, ValueError, RecursionError) as error:  # pydantic's own is a ValueError
        why = _first(error) if isinstance(error, ValidationError) else error
        raise UserError(
            f"{file} is missing or damaged ({why}): put it back from a copy; the run's checkpoints, in its folders sft "
            "and grpo, load without it"
        ) from error


def _first(error: ValidationError) -> str:
    """pydantic's first complaint, in words."""
    found = error.errors()[0]
    name = ".".join(map(str, found["loc"])) or "it"
    if found["type"] == "missing":
        return f"it holds no {name}"
    return f"{name} must be {found['msg'].replace('Input should be ', '')}, got {found['input']!r:.60}"


def read_lines(file: Path, may_be_cut: bool = False) -> list[dict]:
    """The objects of a JSON-lines file; none where there is no file.

    may_be_cut: of a file that is written line by line, what a kill has left of the last one is passed over. Raises
    UserError for any other damage.
    """
    # not splitlines(): a JSON text may hold other line ends
    *whole, rest = file.read_text(encoding="utf-8").split("\n") if file.is_file() else [""]
    found = []
    for number, line in enumerate([*whole, rest] if rest else whole, start=1):
        try:
            found.append(json.loads(line))
            if not isinstance(found[-1], dict):
                raise ValueError("it is no JSON object")
        except ValueError as error:
            if may_be_cut and number > len(whole):
                break
            raise UserError(
                f"{file} is damaged in line {number} ({error}): put it back from a copy, or move it away"
            ) from error
    return found
