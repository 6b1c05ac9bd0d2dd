"""Report: a run folder → RUN/report.html, one page that needs no network and no script, and the table of `lab run`."""

from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from lab import records
from lab.evidence import charts, samples
from lab.evidence.markup import Markup, element
from lab.evidence.style import STYLE
from lab.runs import write_whole
from lab.sandbox import UNSAFE

STAGES = ("base", "sft", "grpo")
TOO_MANY_TRUNCATED = 0.2
TOO_MANY_SILENT = 0.8
CURVES = {  # metric → title, unit, whether it is a share
    "reward": ("Reward", "mean over completions", False),
    "accuracy": ("Accuracy", "share of completions that are right", True),
    "tokens": ("Length", "tokens a completion", False),
    "zero_signal": ("Zero signal", "share of groups whose answers all score alike", True),
    "truncated": ("Truncated", "share of completions cut at the token limit", True),
    "loss": ("Loss", "mean over trained tokens", False),
}


def write_report(run: str | Path) -> Path:
    """Writes `run`/report.html from whatever the run folder already holds, and returns its path.

    summary.json gives the table, metrics.jsonl the curves, samples/ the completions; each of them may be missing.
    """
    run = Path(run)
    summary = _record(run / "summary.json", records.Summary)
    provenance = _record(run / "provenance.json", records.Provenance)
    metrics = records.read_lines(run / "metrics.jsonl", may_be_cut=True)
    config = (run / "config.yaml").read_text(encoding="utf-8") if (run / "config.yaml").is_file() else ""
    lines = {stage: records.read_lines(run / "samples" / f"{stage}.jsonl") for stage in STAGES}
    body = [
        _header(summary),
        _alarm(provenance),
        _warnings(warnings(summary, provenance, metrics)),
        _table(summary),
        _curves(metrics),
        samples.section(lines, _completions_wanted(config)),
        _folded("Configuration", element("pre", config)) if config else None,
        _folded("Provenance", _tree(provenance)) if provenance else None,
        element("footer", f"Made from {run.name} by reasoning-lab. Nothing on this page leaves your machine."),
    ]
    path = run / "report.html"
    write_whole(path, page(f"{_name(summary)} · report", body))
    return path


def page(title: str, body: list[Markup]) -> str:
    """A whole document in the lab's style; its policy forbids scripts and every request."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    return "<!doctype html>\n" + element("html", head, element("body", element("main", *body)), lang="en") + "\n"


# ---- the table


def table(summary: Mapping[str, Any]) -> str:
    """The table that `lab run` prints at its end, as plain text."""
    title = heading(summary)
    width = max(46, len(title) + 2, *(len(left) + 8 for left, *_ in _table_rows(summary)), 0)
    lines = [f"{title:<{width}}accuracy   95 % CI        change (paired 95 % CI)"]
    for left, accuracy, ci, change in _table_rows(summary):
        lines.append(f"{left:<{width}}{accuracy:>8}   {ci:<14} {change}".rstrip())
    return "\n".join(lines)


def _table_rows(summary) -> Iterator[tuple[str, str, str, str]]:
    """(stage and label, accuracy, CI, change with its CI) of each stage, in points of a hundred."""
    several = len({stage["n"] for stage in measured(summary).values()}) > 1
    for name, stage in measured(summary).items():
        size = f", n = {stage['n']}" if several else ""
        yield (f"{name:<6} {stage.get('label', '')}{size}", *numbers(stage))
        for task, part in stage.get("tasks", {}).items():
            yield (f"         {task}, n = {part['n']}", *numbers(part))


def numbers(stage) -> tuple[str, str, str]:
    """A stage's accuracy, its interval, and the change with its own, as text."""
    change = ""
    if stage.get("change") is not None:
        change = f"{points(stage['change'], '+.1f')} {bounds(stage.get('change_ci95'), '+.1f')}"
    return percent(stage.get("accuracy")), bounds(stage.get("ci95")), change


def heading(summary) -> str:
    """What the table's numbers are of: task, rows and how answers were drawn."""
    sizes = {stage["n"] for stage in measured(summary).values()}
    size = f", n = {sizes.pop()}" if len(sizes) == 1 else ""
    temperature = summary.get("temperature", 0)
    return f"held-out {summary.get('task', 'rows')}{size}, " + (
        f"temperature {temperature:g}" if temperature else "greedy"
    )


def measured(summary) -> dict[str, Mapping[str, Any]]:
    """The stages that were measured, base first."""
    stages = summary.get("stages", {})
    order = sorted(stages, key=lambda name: STAGES.index(name) if name in STAGES else len(STAGES))
    return {name: stages[name] for name in order if stages[name].get("n")}


# ---- what is off


def warnings(summary, provenance, metrics) -> list[str]:
    """What a reader has to know before believing the numbers; one sentence each."""
    found = list(summary.get("warnings", []))
    for name, stage in measured(summary).items():
        if stage.get("unscorable"):
            found.append(f"{name}: {stage['unscorable']} completions could not be scored and are left out.")
        if (stage.get("truncated") or 0) > TOO_MANY_TRUNCATED:
            share = percent(stage["truncated"])
            found.append(f"{name}: {share} of the completions were cut at the token limit, and a cut one is wrong.")
    audit = provenance.get("audit") or {}
    if isinstance(audit, Mapping) and audit.get("overridden"):
        found.append(
            f"The reward audit was overridden: {audit.get('reason') or 'it had found a way to score undeserved'}."
        )
    for changed in provenance.get("resumed_with", ()):
        found.append(
            f"The run was resumed with other versions than it began with ({changed}): its numbers may differ from "
            "those of a run in one piece."
        )
    silent = [line["zero_signal"] for line in metrics if isinstance(line.get("zero_signal"), (int, float))]
    late = silent[-max(1, len(silent) // 4) :]
    if late and sum(late) / len(late) > TOO_MANY_SILENT:
        found.append("In the last quarter of GRPO most groups scored alike, so they carried no signal to learn from.")
    return found


# ---- sections


def _header(summary) -> Markup:
    about = [
        f"task {summary['task']}" if summary.get("task") else None,
        f"seed {summary['seed']}" if summary.get("seed") is not None else None,
        str(summary["started"]).replace("T", " ")[:16] if summary.get("started") else None,
    ]
    stages = measured(summary)
    seconds = sum(stage.get("seconds") or 0 for stage in stages.values())
    about.append(f"{duration(seconds)} in all" if seconds else None)
    return element(
        "header",
        element("h1", _name(summary)),
        element("p", " · ".join(filter(None, about)), class_="quiet"),
        element("p", _verdict(stages), class_="verdict") if stages else None,
    )


def _verdict(stages) -> list[Markup]:
    """Where accuracy began and where it ended, large."""
    first, last = next(iter(stages.values())), list(stages.values())[-1]
    ends = [element("b", percent(first.get("accuracy")))]
    if len(stages) > 1:
        ends += [element("span", " → ", class_="quiet"), element("b", percent(last.get("accuracy")), class_="now")]
    return [*ends, element("small", f"accuracy on {last['n']} held-out rows")]


def _alarm(provenance) -> Markup | None:
    sandbox = provenance.get("sandbox") or {}
    return element("aside", element("b", UNSAFE), class_="alarm", role="alert") if sandbox.get("unsafe") else None


def _warnings(found: list[str]) -> Markup | None:
    if not found:
        return None
    return element(
        "aside", element("b", "Mind this"), element("ul", [element("li", text) for text in found]), role="note"
    )


def _table(summary) -> Markup:
    stages = measured(summary)
    if not stages:
        return element(
            "section", element("h2", "Accuracy"), element("p", "No stage has been evaluated yet.", class_="quiet")
        )
    names = (
        "",
        "accuracy",
        "95 % CI",
        "",
        "change, paired 95 % CI",
        "n",
        "tokens",
        "truncated",
        "no answer",
        "trained in",
    )
    head = element("tr", [element("th", name, scope="col") for name in names])
    rows = []
    for name, stage in stages.items():
        rows.append(_table_row(element("th", name, element("small", stage.get("label", "")), scope="row"), stage))
        for task, part in stage.get("tasks", {}).items():
            rows.append(_table_row(element("th", element("small", task), scope="row", class_="part"), part))
    note = "Each change is in percentage points, from the stage above it, on the same rows."
    grid = element("table", element("thead", head), element("tbody", rows))
    return element(
        "section",
        element("h2", heading(summary)),
        element("div", grid, class_="scroll"),
        element("p", note, class_="quiet"),
    )


def _table_row(head: Markup, stage) -> Markup:
    accuracy, ci, change = numbers(stage)
    sure = stage.get("change_ci95") and (stage["change_ci95"][0] > 0 or stage["change_ci95"][1] < 0)
    drawn = charts.interval(stage["accuracy"], *stage["ci95"]) if ci and accuracy != "–" else None
    tokens = stage.get("mean_tokens")
    cells = [
        element("td", accuracy, class_="main"),
        element("td", ci),
        element("td", drawn),
        element("td", change or "–", class_="sure" if sure else None),
        element("td", stage["n"]),
        element("td", "–" if tokens is None else f"{tokens:.1f}"),
        element("td", percent(stage.get("truncated"))),
        element("td", percent(stage.get("no_answer"))),
        element("td", duration(stage["train_seconds"]) if stage.get("train_seconds") else "–"),
    ]
    return element("tr", head, *cells)


def _curves(metrics: list[dict]) -> list[Markup]:
    """One section a stage."""
    sections = []
    for stage in dict.fromkeys(line.get("stage") for line in metrics):
        by_step = {line["step"]: line for line in metrics if line.get("stage") == stage and "step" in line}
        lines = [by_step[step] for step in sorted(by_step)]  # a resumed run may have written a step twice
        about = f"{len(lines)} steps logged; bold is their running mean"
        title = element("h2", f"{str(stage).upper()} ", element("small", about, class_="quiet"))
        sections.append(element("section", title, *_stage_curves(lines)))
    return sections


def _stage_curves(lines: list[dict]) -> list[Markup | None]:
    """The curves that matter, then whatever else was measured, folded away."""
    names = dict.fromkeys(name for line in lines for name in line if name not in ("stage", "step", "seconds"))
    points = {name: [(line["step"], line.get(name)) for line in lines] for name in names}
    main = [charts.curve({name: points[name]}, *CURVES[name]) for name in CURVES if name in points]
    parts = {name.removeprefix("reward/"): points[name] for name in points if name.startswith("reward/")}
    if len(parts) > 1:
        main.insert(1, charts.curve(parts, "Rewards", "mean of each component, unweighted"))
    other = [name for name in points if name not in CURVES and not name.startswith("reward/")]
    rest = [drawn for name in other if (drawn := charts.curve({name: points[name]}, name, ""))]
    more = f"{len(rest)} more measurement{'s' * (len(rest) > 1)}"
    folded = _folded(more, element("div", rest, class_="curves")) if rest else None
    return [element("div", main, class_="curves"), folded]


def _folded(title: str, content: Markup) -> Markup:
    return element("details", element("summary", title), content)


def _tree(value: Any) -> Markup:
    if isinstance(value, Mapping):
        return element("dl", [(element("dt", key), element("dd", _tree(inner))) for key, inner in value.items()])
    if isinstance(value, list) and any(isinstance(item, (Mapping, list)) for item in value):
        return element("ol", [element("li", _tree(item)) for item in value])
    if isinstance(value, list):
        return element("code", ", ".join(map(str, value)))
    return element("code", "–" if value is None else value)


# ---- numbers and files


def _record(file: Path, kind: type) -> dict:
    return records.read(file, kind) if file.is_file() else {}


def _completions_wanted(config: str) -> int:
    import yaml

    experiment = yaml.safe_load(config)
    report = experiment.get("report") if isinstance(experiment, Mapping) else None
    return (report or {}).get("completions", samples.SHOWN)


def _name(summary) -> str:
    return str(summary.get("experiment", "run"))


def percent(share: float | None) -> str:
    """A share of 0..1 in percent; a dash where there is none."""
    return "–" if share is None or not isfinite(share) else f"{share * 100:.1f} %"


def points(share: float, form: str) -> str:
    """A share of −1..1 in points of a hundred."""
    text = format(share * 100, form)
    return text.replace("-", "+", 1) if float(text) == 0 and "+" in form else text.replace("-", "−")


def bounds(ends, form: str = ".1f") -> str:
    """An interval of shares in points; empty where there is none."""
    return f"[{points(ends[0], form)}, {points(ends[1], form)}]" if ends else ""


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 4.7 min, 2.1 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
