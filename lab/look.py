"""Looking at things in a terminal: tasks, rows, tokens, fields, checkpoints, runs, and what a run would do."""

import ast
import inspect
import random
import re
import sys
from itertools import cycle
from pathlib import Path

from lab.config import SECTIONS, STAGES, Experiment
from lab.data import first_rows, gold_response
from lab.defaults import EVERY_STAGE, GRPO, SET_BY_THE_LAB, SFT
from lab.errors import UserError, nearest
from lab.fields import CLASSES, library_fields
from lab.registry import load_task, task_names
from lab.response import Response
from lab.task import Row, Task

SHOWN_ROWS = 3
COLOURS = (46, 44, 45, 42, 43)  # backgrounds that neighbouring tokens take in turn


def columns(header: list[str], rows: list[list[str]]) -> str:
    """A plain table whose columns are as wide as they need to be."""
    widths = [max(map(len, column)) for column in zip(header, *rows)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in [header, *rows]]
    return "\n".join(lines)


def task_table() -> str:
    """Every task with its splits, rewards (the primary one first) and first sentence."""
    rows = []
    for name in task_names():
        task = load_task(name)
        rewards = [task.primary, *(r for r in task.rewards if r != task.primary)]
        rows.append([name, " ".join(task.has), " ".join(rewards), _first_line(task)])
    return columns(["task", "splits", "rewards", "what it is"], rows)


def _first_line(task: Task) -> str:
    """The first line of the task file's docstring, without the task's name."""
    text = ast.get_docstring(ast.parse(Path(task.source).read_text(encoding="utf-8"))) if task.source else None
    first = (text or "").partition("\n")[0]
    return first.removeprefix(f"{task.name}: ")


def at_task(name: str, model: str) -> str:
    """Three rows of a task: the rendered prompt as text and as coloured tokens, the gold and its score."""
    from lab.config import Model
    from lab.stages.pipeline import load_renderer

    task = load_task(name)
    renderer = load_renderer(Experiment(task.name, Model(model), {name: 1.0}), model)
    parts = [f"{task.name}: splits {', '.join(task.has)}; rewards {', '.join(task.rewards)}; answer in {task.answer}"]
    for row in first_rows(task, SHOWN_ROWS):
        ids = renderer.prompt_ids(task.messages(row))
        response = gold_response(task, row)
        parts.append(
            f"\nrow     {_fields(row)}\n"
            f"prompt  {renderer.prompt_text(task.messages(row))!r}\n"
            f"{len(ids)} tokens  {coloured(renderer.tokenizer, ids)}\n"
            f"gold    {response.text!r}   {scores_in_words(task, response, row)}"
        )
    return "\n".join(parts)


def coloured(tokenizer, ids: list[int]) -> str:
    """Each token on a background of its own; where the output is no terminal, separated by bars."""
    texts = [tokenizer.decode([token]).replace("\n", "⏎") for token in ids]
    if not sys.stdout.isatty():
        return "|".join(texts)
    return "".join(f"\x1b[30;{colour}m{text}\x1b[0m" for text, colour in zip(texts, cycle(COLOURS)))


def scores_in_words(task: Task, response: Response, row: Row) -> str:
    """Every reward's score, in this process."""
    scores = {name: r.checked(r.score(response, row), f" for {name}") for name, r in task.rewards.items()}
    graded = task.graded(scores)
    told = [f"{n} {_value(s.value)}" + f" ({s.reason})" * bool(s.reason) for n, s in graded.scores.items()]
    return ", ".join(told) + (f", total {_value(graded.total)}" if len(told) > 1 else "")


def _value(value: float | None) -> str:
    return "unscorable" if value is None else f"{value:g}"


def _fields(row: Row) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in row.items() if key != "task")


def play(name: str, rows: int, seed: int | None) -> None:
    """Asks a person the task's rows and scores the answers as the model's would be; no seed: others each time."""
    task = load_task(name)
    right = asked = 0
    for row in first_rows(task, rows, random.randrange(2**31) if seed is None else seed):
        print("\n" + "\n".join(f"{m['role']}: {m['content']}" for m in task.messages(row)))
        try:
            text = input("you: ")
        except EOFError:
            print()
            break
        response = task.response(text)
        scores = {n: r.checked(r.score(response, row)) for n, r in task.rewards.items()}
        good = task.is_right(task.graded(scores))
        right, asked = right + good, asked + 1
        gold = gold_response(task, row).text
        print(
            f"     {'right' if good else 'wrong'}: {scores_in_words(task, response, row)}"
            + f"; gold {gold!r}" * (not good)
        )
    print(f"\n{right} of {asked} right" if asked else "no row was answered")


def fields(section: str) -> str:
    """Every field of a section with its type and our default; ours first, with what it is, then the library's."""
    if section not in (*SECTIONS, "lora"):
        known = [*SECTIONS, "lora"]
        raise UserError(f"there is no section {section!r}: {nearest(section, known, 'there are ' + ', '.join(known))}")
    rows = []
    if section in SECTIONS:
        said = dict(re.findall(r"^    (\w+): .*  # (.*)$", inspect.getsource(SECTIONS[section]), re.MULTILINE))
        for name, field in SECTIONS[section].__dataclass_fields__.items():
            if name != "arguments":
                rows.append([name, _type(field.type), _default(field), said[name]])
    ours = EVERY_STAGE | (SFT if section == "sft" else GRPO) if section in STAGES else {}
    library = CLASSES[section][-1] if section in CLASSES else None
    for name, kind in library_fields(section).items() if library else ():
        if name in SET_BY_THE_LAB and section in STAGES:
            continue
        value, reason = ours.get(name, (None, ""))
        rows.append(
            [name, _type(kind), "" if name not in ours else repr(value), reason or f"{library[0]}.{library[2]}"]
        )
    return columns(["field", "type", "our default", "about"], rows)


def _type(kind) -> str:
    return str(getattr(kind, "__name__", kind) if isinstance(kind, type) else kind).replace("typing.", "")


def _default(field) -> str:
    import dataclasses

    return (
        "required"
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        else (repr(field.default) if field.default is not dataclasses.MISSING else repr(field.default_factory()))
    )


def checkpoint_table() -> str:
    """The packaged checkpoints."""
    from lab.checkpoints import listing

    rows = [
        [
            r["name"],
            f"{r['parameters'] / 1e6:.1f} M",
            f"{r['size'] / 2**20:.0f} MiB",
            r["licence"],
            r["path"] if r["cached"] else "not fetched yet",
            r["source"],
        ]
        for r in listing()
    ]
    return columns(["checkpoint", "parameters", "size", "licence", "where", "source"], rows)


def sandbox_report() -> tuple[str, bool]:
    """The sandbox's tier, its promises and its self-test, and whether all of it held."""
    from lab.sandbox import HONEST, TIERS, open_sandbox, self_test

    sandbox = open_sandbox()
    tier = TIERS[sandbox.tier]
    results = self_test(sandbox)
    parts = [f"tier {tier.letter}, {tier.name}: {tier.mechanism}"]
    parts += ["promises", *(f"  {line}" for line in tier.promises), "does not promise"]
    parts += [*(f"  {line}" for line in tier.does_not_promise), "self-test"]
    for name, wrong in results.items():
        held, what = ("runs", name) if name == HONEST else ("is stopped", f"one that {name}")
        parts.append(f"  {'FAIL' if wrong else held:10}  {what}{': ' * bool(wrong)}{wrong}")
    return "\n".join(parts), not any(results.values())


def run_table(output: str) -> str:
    """Every run with its stages' accuracies, the oldest first; a damaged one or an unfinished one says so."""
    from lab.runs import all_runs

    rows = []
    for run in all_runs(output):
        try:
            summary, missing = run.summary, run.unfinished
        except UserError as error:
            rows.append([str(run.path), "", "", "", str(error).partition(" (")[0].replace(f"{run.path}/", "")])
            continue
        known = {stage: v["accuracy"] for stage, v in summary["stages"].items() if v.get("accuracy") is not None}
        numbers = [f"{stage} {100 * accuracy:.1f} %" for stage, accuracy in known.items()]
        numbers += [f"not finished: {', '.join(missing)}"] if missing else []
        n = next((v["n"] for v in summary["stages"].values() if "n" in v), "")
        rows.append([str(run.path), summary["task"], str(summary["seed"]), str(n), ", ".join(numbers) or "nothing yet"])
    return columns(["run", "task", "seed", "n", "accuracy"], rows) if rows else f"no runs under {output}"


def dry_run(experiment: Experiment, stages: list[str], preset: str = "") -> str:
    """The resolved config, the batch plan and the tasks that would be used, under an accelerate preset where one is
    named; no model is loaded.
    """
    from lab.checkpoints import resolve
    from lab.data import load_tasks
    from lab.distributed import world_size
    from lab.evidence.decontaminate import index_of
    from lab.launch import fitted, load_preset
    from lab.sandbox import checked
    from lab.stages.pipeline import check_trainable

    tasks = load_tasks(experiment)
    check_trainable(experiment, tasks, stages)
    resolve(experiment.model.checkpoint, allow_pickle=experiment.model.allow_pickle)
    processes = fitted(load_preset(preset)) if preset else world_size()
    parts = [experiment.as_yaml()]
    if any(task.runs_code for task in tasks.values()):
        used = checked(experiment.sandbox)
        parts.append(f"model-written code runs in sandbox tier {used['tier']}, {used['name']}: {used['mechanism']}")
    for task in tasks.values():
        row = task.sample(experiment.eval.split, 1)[0]
        parts.append(f"task {task.name}, for example: {task.messages(row)[-1]['content']!r}")
    longest = max(task.max_tokens for task in tasks.values())
    if experiment.decontaminate and stages != ["base"]:
        parts.append(f"training rows are compared with {index_of(experiment.decontaminate)}")
    for stage in stages:
        if stage != "base":
            parts.append(f"{stage}: {experiment.plan(stage, processes, longest).equation}")
    parts.append(f"stages: {' → '.join(stages)}, each evaluated on {experiment.eval.n} {experiment.eval.split} rows")
    return "\n".join(parts)
