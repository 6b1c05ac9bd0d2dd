"""Seeds: several runs of one experiment → one table: each stage over the seeds, and every seed's paired gain."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lab.config import load_experiment
from lab.errors import UserError
from lab.evidence.report import bounds, heading, measured, numbers, percent, points
from lab.evidence.statistics import holm, over_seeds
from lab.runs import Run

MAY_DIFFER = ("seed", "output")


def table(runs: Sequence[Run]) -> str:
    """The table that `lab report RUN RUN …` prints: each stage over the seeds, with the seeds below it.

    All seeds answer the same held-out rows, so an interval over seeds (Student's t) says how training varies, and each
    seed's own (paired, over the rows) whether that run gained. Raises UserError where the runs are not one experiment,
    two share a seed, or one has not been evaluated as the others have.
    """
    from lab.look import columns

    check_one_experiment(runs)
    summaries = sorted((run.summary for run in runs), key=lambda summary: summary["seed"])
    every = [measured(summary) for summary in summaries]
    changes = [(name, i) for name in every[0] for i, stages in enumerate(every) if "change" in stages[name]]
    corrected = dict(zip(changes, holm([every[i][name]["change_p"] for name, i in changes]), strict=True))
    lines = []
    for name, stage in every[0].items():
        seeds = [stages[name] for stages in every]
        lines.append([f"{name:<6} {stage.get('label', '')}", *_over_seeds(seeds), ""])
        for task, part in stage.get("tasks", {}).items():
            parts = [one["tasks"][task] for one in seeds]
            lines.append([f"         {task}, n = {part['n']}", *_over_seeds(parts), ""])
        for i, one in enumerate(seeds):
            label = f"         seed {summaries[i]['seed']}, n = {one['n']}"
            lines.append([label, *numbers(one), _p(corrected.get((name, i)))])
    over = f"{heading(summaries[0])}, over {len(runs)} seeds"
    header = [over, "accuracy", "95 % CI", "change (95 % CI)", f"p (Holm, {len(changes)} tests)" if changes else ""]
    return columns(header, lines)


def check_one_experiment(runs: Sequence[Run]) -> None:
    """Raises UserError unless the runs differ in nothing but their seeds, and all are evaluated after each stage."""
    first, *others = runs
    seen: dict[int, Run] = {}
    for run in runs:
        if (twin := seen.setdefault(run.summary["seed"], run)) is not run:
            seed = run.summary["seed"]
            raise UserError(f"{twin.path} and {run.path} both have the seed {seed}: give one run of each seed")
    for run in others:
        for what, ours, theirs in _differences(_facts(first), _facts(run)):
            raise UserError(
                f"{first.path} and {run.path} are not one experiment, {what} is {ours!r:.80} in the one and "
                f"{theirs!r:.80} in the other: give runs that differ in nothing but the seed"
            )


def _facts(run: Run) -> dict[str, Any]:
    """Everything that must be equal, under dotted names."""
    config = load_experiment(str(run.path / "config.yaml")).as_dict()
    tasks = run.provenance.get("tasks", {})
    facts = {name: value for name, value in config.items() if name not in MAY_DIFFER}
    hashes = {name: task["sha256"] for name, task in tasks.items()}
    facts["the starting checkpoint"] = run.provenance.get("checkpoint")
    return {**facts, "the task file's sha256": hashes, "evaluated stages": list(measured(run.summary))}


def _differences(ours: Any, theirs: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in {**ours, **theirs}:
            yield from _differences(ours.get(key), theirs.get(key), f"{name}.{key}" if name else key)
    elif ours != theirs:
        yield name, ours, theirs


def _over_seeds(stages: Sequence[Mapping[str, Any]]) -> tuple[str, str, str]:
    """Accuracy, its interval and the change, each over the seeds."""
    mean, low, high = _interval([stage["accuracy"] for stage in stages], stages[0]["ci95"])
    change = ""
    if all("change" in stage for stage in stages):
        centre, *ends = _interval([stage["change"] for stage in stages], stages[0]["change_ci95"])
        change = f"{points(centre, '+.1f')} {bounds(ends, '+.1f')}"
    return percent(mean), bounds((max(low, 0.0), min(high, 1.0))), change


def _interval(values: Sequence[float], of_rows: Sequence[float]) -> tuple[float, float, float]:
    """(mean, low, high) over seeds; where all have one value, as an untrained checkpoint's, the rows' own interval."""
    if min(values) == max(values):  # Student's would have no width, as if it were certain
        return (values[0], *of_rows)
    return over_seeds(values)[:3]


def _p(value: float | None) -> str:
    return "" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
