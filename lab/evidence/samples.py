"""The report's completions: the same rows before and after, where they changed first, filtered without a script."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.evidence.markup import Markup, element

SHOWN = 20
LONGEST = 6_000  # characters of one text; the whole stands in samples/

# What became of a row between the first and the last stage → its heading, and the share of the shown rows that it may
# take before the others had theirs.
FATES = {
    "gained": ("turned right", 0.4),
    "lost": ("turned wrong", 0.25),
    "wrong": ("still wrong", 0.2),
    "right": ("still right", 0.15),
}


def section(by_stage: Mapping[str, Sequence[dict]], count: int = SHOWN) -> Markup | None:
    """The section of the page, `count` rows long; None where no stage left samples."""
    stages = {stage: [line for line in lines if not line.get("sample")] for stage, lines in by_stage.items() if lines}
    if not stages:
        return None
    rows = list(zip(*stages.values()))  # R rows, each with one sample a stage
    fates = [fate(row[0], row[-1]) for row in rows]
    shown = [(fates[i], _row(rows[i], list(stages), fates[i])) for i in chosen(fates, count)]
    counts = {name: fates.count(name) for name in FATES}
    seen = {name: sum(each == name for each, _ in shown) for name in FATES}
    radios = [
        element("input", type="radio", name="fate", id=f"show-{name}", class_=f"show-{name}", checked=checked)
        for name, checked in [("all", "checked"), *((name, None) for name in FATES)]
    ]
    labels = [element("label", f"all {len(shown)} shown", for_="show-all")]
    labels += [
        element(
            "label",
            element("i", class_=name),
            f"{text} ",
            element("small", f"{seen[name]} of {counts[name]}"),
            for_=f"show-{name}",
        )
        for name, (text, _) in FATES.items()
        if counts[name]
    ]
    ends = list(stages)
    title = "Completions" if len(ends) == 1 else f"Completions, {ends[0]} to {ends[-1]}"
    return element(
        "section",
        element("h2", title, " ", element("small", f"{len(shown)} of {len(rows)} rows", class_="quiet")),
        element("div", *radios, element("nav", *labels), *[markup for _, markup in shown], class_="samples"),
        style=f"--stages: {len(stages)}",
    )


def fate(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What became of one row: "gained", "lost", "right" or "wrong"."""
    if bool(before.get("right")) == bool(after.get("right")):
        return "right" if after.get("right") else "wrong"
    return "gained" if after.get("right") else "lost"


def chosen(fates: Sequence[str], count: int = SHOWN) -> list[int]:
    """Up to `count` rows, changed ones first, each fate within its share as long as another fate has rows left."""
    of = {name: [i for i, found in enumerate(fates) if found == name] for name in FATES}
    taken = {name: of[name][: int(share * count)] for name, (_, share) in FATES.items()}
    for name in FATES:
        room = count - sum(map(len, taken.values()))
        taken[name] = of[name][: len(taken[name]) + room]
    return [i for name in FATES for i in taken[name]]


def _row(samples: Sequence[dict], stages: Sequence[str], fate_name: str) -> Markup:
    first = samples[0]
    row = first.get("row", {})
    gold = row.get("answer")
    heading = element(
        "header",
        element("b", FATES[fate_name][0], class_=fate_name),
        element("span", "gold ", element("code", gold), class_="gold") if gold is not None else None,
        element("span", row["task"], class_="quiet") if row.get("task") else None,
    )
    columns = [_completion(stage, sample) for stage, sample in zip(stages, samples)]
    return element(
        "article",
        heading,
        element("pre", _clipped(str(first.get("prompt", "")).strip()), class_="prompt"),
        element("div", *columns, class_="columns"),
        class_=f"sample {fate_name}",
    )


def _completion(stage: str, sample: Mapping[str, Any]) -> Markup:
    verdict = {True: "right", False: "wrong"}.get(sample.get("right"), "unscorable")
    marks = [element("b", stage), element("span", verdict, class_=verdict)]
    marks += [_score(name, value, sample.get("reasons") or {}) for name, value in (sample.get("scores") or {}).items()]
    if sample.get("tokens") is not None:
        marks.append(element("span", f"{sample['tokens']} token{'s' * (sample['tokens'] != 1)}", class_="quiet"))
    if sample.get("finished") is False:
        marks.append(element("span", "cut at the limit", class_="lost"))
    text = str(sample.get("completion", ""))
    body = element("pre", _clipped(text)) if text.strip() else element("pre", "(nothing)", class_="quiet")
    return element("div", element("p", *marks), body)


def _score(name: str, value: float | None, reasons: Mapping[str, str]) -> Markup:
    shown = "unscorable" if value is None else f"{value:.3g}"
    return element("span", f"{name} ", element("code", shown), class_="score", title=reasons.get(name) or None)


def _clipped(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]} … and {len(text) - LONGEST:,} more characters"
