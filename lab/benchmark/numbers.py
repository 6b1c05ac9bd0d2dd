"""A benchmark's numbers: lm-eval's results of several columns → values, intervals, paired changes, and the table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isclose
from statistics import NormalDist
from typing import Any

from lab.benchmark.tasks import Entry
from lab.evidence.statistics import (
    Change,
    bootstrap_interval,
    holm,
    over_rows,
    paired_change,
    pass_at_k,
    pass_hat_k,
    sign_flip,
)

PRIMARY = ("exact_match", "acc_norm", "acc", "pass@1", "pass_at_1", "f1")  # in this order, else the task's first
NO_METRIC = ("name", "alias", "sample_len", "sample_count")


@dataclass
class Cell:
    """One column's number of one line of the table."""

    value: float
    ci95: tuple[float, float] | None
    n: int
    interval: str  # "wilson", "bootstrap", "lm-eval's standard error", or "none"
    share: bool  # shown in percent: a share of what is right, and no loss that happens to lie in 0..1
    rows: dict[Any, float] = field(default_factory=dict)  # row → its value, where the value is the rows' mean
    change: Change | None = None
    change_n: int = 0  # the rows of the change: those that the reference column has, too
    p_holm: float | None = None


@dataclass
class Line:
    """One line of the table: a task, a metric, and a cell a column; none where no answer has a number."""

    entry: Entry
    metric: str
    cells: dict[str, Cell]


def lines(entries: Sequence[Entry], results: Mapping[str, dict], reference: str) -> list[Line]:
    """Every line of the table, the changes from the column `reference` worked out and corrected together.

    results: column → what lm-eval's simple_evaluate returned for it.
    """
    found = []
    for entry in entries:
        columns = {name: _cells(entry, result) for name, result in results.items()}
        metrics = list(dict.fromkeys(metric for cells in columns.values() for metric in cells))
        for metric in metrics:
            cells = {name: columns[name][metric] for name in columns if metric in columns[name]}
            for name, cell in cells.items():
                if name != reference and reference in cells:
                    cell.change = _change(cells[reference], cell)
                    cell.change_n = len(cells[reference].rows.keys() & cell.rows.keys())
            found.append(Line(entry, metric, cells))
        if not metrics:  # the other tasks' numbers are not lost for it
            found.append(Line(entry, "no answer could be scored", {}))
    changed = [cell for line in found for cell in line.cells.values() if cell.change]
    for cell, p in zip(changed, holm([cell.change.p for cell in changed]), strict=True):
        cell.p_holm = p
    return found


def _cells(entry: Entry, result: Mapping[str, Any]) -> dict[str, Cell]:
    """Metric, with the filter's name where there are several, → its cell."""
    source = entry.group.name if entry.group else entry.tasks[0].task_name
    numbers = result["results"][source]
    metric = "accuracy" if entry.ours else _primary(entry, numbers)
    filters = [key.partition(",")[2] for key in numbers if key.startswith(f"{metric},")]
    cells = {}
    for name in filters:
        label = metric if name == "none" else f"{metric}, {name}"
        rows = _rows(entry, result["samples"], metric, name)
        reported, stderr = numbers[f"{metric},{name}"], numbers.get(f"{metric}_stderr,{name}")
        cells[label] = _cell(reported, stderr, rows, numbers["sample_len"])
        if cells[label].ci95 is None and not entry.group:
            cells[label] = _weighted(cells[label], entry.tasks[0], result["samples"], metric, name)
        if entry.samples > 1:
            whole = _rows(entry, result["samples"], metric, name, whole=True)
            cells |= _all_or_any(label, whole, entry.samples)
    return cells


def _primary(entry: Entry, numbers: Mapping[str, Any]) -> str | None:
    """The metric that a stock task is known by; None where none of its metrics gives a number."""
    has = [key.partition(",")[0] for key in numbers if key not in NO_METRIC and "_stderr," not in key]
    listed = [metric["metric"] for metric in entry.tasks[0].config.metric_list or [] if metric["metric"] in has]
    return next((metric for metric in [*PRIMARY, *listed, *has] if metric in has), None)


def _rows(entry: Entry, samples: Mapping[str, list], metric: str, name: str, whole: bool = False) -> dict[Any, float]:
    """(task, row) → its value; `whole` leaves out rows of which a sample could not be scored."""
    return {
        (task.task_name, sample["doc_id"]): float(sample[metric])
        for task in entry.tasks
        for sample in samples[task.task_name]
        if sample["filter"] == name
        and isinstance(sample.get(metric), (bool, int, float))
        and not (whole and sample.get("unscorable"))
    }


def _cell(reported: float, stderr: Any, rows: dict[Any, float], n: int) -> Cell:
    """lm-eval's own number with our interval over the rows, where it is their mean; else with lm-eval's error."""
    values = list(rows.values())
    share = bool(values) and _shares([reported, *values])
    if values and isclose(sum(values) / len(values), reported, abs_tol=1e-12):
        ci95, interval = _interval(values)
        return Cell(reported, ci95, len(values), interval, share, rows)
    if isinstance(stderr, float):
        half = NormalDist().inv_cdf(0.975) * stderr
        return Cell(reported, (reported - half, reported + half), n, "lm-eval's standard error", share)
    return Cell(reported, None, n, "none", share)


def _weighted(cell: Cell, task, samples: Mapping[str, list], metric: str, name: str) -> Cell:
    """The cell with an interval over documents where each gives (log-likelihood, weight), as for a perplexity.

    The weighted mean is linearised (Woodruff 1971), so that the bootstrap of a mean serves; lm-eval's own aggregation,
    which falls as it rises, makes perplexities of its ends.
    """
    from lm_eval.api.metrics import bits_per_byte, weighted_perplexity

    aggregate = task.aggregation().get(metric)
    if aggregate not in (bits_per_byte, weighted_perplexity):
        return cell
    pairs = [sample[metric] for sample in samples[task.task_name] if sample["filter"] == name]
    weight = sum(weight for _, weight in pairs)
    mean = sum(total for total, _ in pairs) / weight
    ends, interval = _bootstrapped([mean + (total - mean * w) * len(pairs) / weight for total, w in pairs])
    ci95 = ends and tuple(sorted(aggregate([(end, 1)]) for end in ends))
    return replace(cell, ci95=ci95, n=len(pairs), interval=interval)


def _interval(values: Sequence[float]) -> tuple[tuple[float, float] | None, str]:
    if not _shares(values):
        return _bootstrapped(values)
    estimate, different = over_rows(values), set(values)
    interval = "wilson" if different <= {0.0, 1.0} or len(different) == 1 else "bootstrap"
    return (estimate.low, estimate.high), interval


def _bootstrapped(values: Sequence[float]) -> tuple[tuple[float, float] | None, str]:
    """Of values without bounds: where all are the same, nothing says how far others may lie."""
    return (bootstrap_interval(values), "bootstrap") if len(set(values)) > 1 else (None, "none")


def _all_or_any(label: str, rows: Mapping[Any, float], samples: int) -> dict[str, Cell]:
    """pass@k and pass^k for k = all samples of a row, where each of them is right or wrong; rows → share right."""
    right = {row: value * samples for row, value in rows.items()}
    whole = (0 <= count <= samples and isclose(count, round(count), abs_tol=1e-9) for count in right.values())
    if not right or not all(whole):
        return {}
    several = label.partition(", ")[1] + label.partition(", ")[2]
    some = {row: pass_at_k(samples, round(count), samples) for row, count in right.items()}
    every = {row: pass_hat_k(samples, round(count), samples) for row, count in right.items()}
    return {
        f"{kind}{samples}{several}": _cell(sum(found.values()) / len(found), None, found, len(found))
        for kind, found in (("pass@", some), ("pass^", every))
    }


def _change(before: Cell, after: Cell) -> Change | None:
    """The paired change on the rows that both have; None where the metric has no value a row."""
    both = [row for row in before.rows if row in after.rows]
    if not both:
        return None
    was, now = ([cell.rows[row] for row in both] for cell in (before, after))
    if _shares(was + now):
        return paired_change(was, now)
    differences = [b - a for a, b in zip(was, now, strict=True)]
    mean = sum(differences) / len(differences)
    ci95, _ = _bootstrapped(differences)
    return Change(mean, *(ci95 or (None, None)), sign_flip(differences))


def _shares(values: Sequence[float]) -> bool:
    return all(0 <= value <= 1 for value in values)


# ---- as text and as JSON


def table(found: Sequence[Line], columns: Sequence[str], reference: str) -> str:
    """The table as plain text: a line a metric, below it the changes from the reference column."""
    left = [f"{line.entry.label}, {line.metric}, n = {_sizes(line)}{_times(line)}" for line in found]
    width = max(map(len, left), default=0) + 3
    rows = [["", *columns]]
    for line, label in zip(found, left):
        rows.append([label, *(_shown(line.cells.get(name)) for name in columns)])
        if any(cell.change for cell in line.cells.values()):
            rows.append(["", *(_changed(line.cells.get(name)) for name in columns)])
    widths = [width] + [max(len(row[i]) for row in rows) + 3 for i in range(1, len(columns) + 1)]
    text = ["".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    text += ["value [95 % interval over rows]" + (_legend(found, reference) if len(columns) > 1 else "")]
    if any(line.entry.samples > 1 for line in found):
        text.append("n × k: k answers a row, sampled at temperature 1 where a task says no other; elsewhere greedy")
    if any(cell.interval == "lm-eval's standard error" for line in found for cell in line.cells.values()):
        text.append("± : 1.96 of lm-eval's own standard errors, where a metric is no mean over rows")
    return "\n".join(text)


def _legend(found: Sequence[Line], reference: str) -> str:
    count = sum(cell.change is not None for line in found for cell in line.cells.values())
    corrected = f", corrected for {count} comparisons (Holm)" if count > 1 else ""
    return f"; below it the change from {reference} on the same rows [paired 95 % interval], p{corrected}"


def _sizes(line: Line) -> str:
    return "/".join(dict.fromkeys(str(cell.n) for cell in line.cells.values())) or "0"


def _times(line: Line) -> str:
    return f" × {line.entry.samples}" if line.entry.samples > 1 else ""


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return "none"
    value = f"{100 * cell.value:.1f} %" if cell.share else f"{cell.value:.4g}"
    if cell.ci95 is None:
        return f"{value}, no interval"
    if cell.interval == "lm-eval's standard error":
        half = cell.ci95[1] - cell.value
        return f"{value} ± {100 * half:.1f}" if cell.share else f"{value} ± {half:.2g}"
    return f"{value} {_range(cell.ci95, cell.share, '')}"


def _changed(cell: Cell | None) -> str:
    if cell is None or cell.change is None:
        return ""
    difference, low, high, _ = cell.change
    value = f"{100 * difference:+.1f}" if cell.share else f"{difference:+.4g}"
    interval = "" if low is None else f"{_range((low, high), cell.share, '+')} "
    fewer = f", n = {cell.change_n}" if cell.change_n != cell.n else ""
    return f"{value} {interval}" + ("p < 0.001" if cell.p_holm < 0.001 else f"p {cell.p_holm:.3f}") + fewer


def _range(bounds: tuple[float, float], share: bool, sign: str) -> str:
    shown = (f"{100 * bound:{sign}.1f}" if share else f"{bound:{sign}.4g}" for bound in bounds)
    return f"[{', '.join(shown)}]"


def as_json(found: Sequence[Line]) -> dict:
    """Task → metric → column → its numbers, for summary.json."""
    tasks: dict[str, dict] = {}
    for line in found:
        about = {"ours": line.entry.ours, "samples": line.entry.samples, "metrics": {}}
        tasks.setdefault(line.entry.label, about)["metrics"][line.metric] = {
            name: _cell_json(cell) for name, cell in line.cells.items()
        }
    return tasks


def _cell_json(cell: Cell) -> dict:
    shown = {"value": cell.value, "ci95": cell.ci95, "n": cell.n, "interval": cell.interval}
    if cell.change:
        difference, low, high, p = cell.change
        ci95 = None if low is None else [low, high]
        shown |= {"change": difference, "change_ci95": ci95, "change_p": p, "change_p_holm": cell.p_holm}
        shown["change_n"] = cell.change_n
    return shown
