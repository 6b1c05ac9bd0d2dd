"""audit: a reward earns the right to train: 26 probes of a task, with a table, JSON and the probes that must hold.

Sources: the attack families are those that public reward linters and the issue lists of RL trainers record; the rule
that a constant answer fools only across two golds is gradecheck's.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from lab.data import first_rows
from lab.errors import UserError
from lab.evidence.probes import PROBES, Finding, Probe
from lab.evidence.probes.context import SIGNAL
from lab.evidence.probes.machine import CONTRACT, PORTABLE
from lab.evidence.probes.probe import FAIL, NOT_APPLICABLE, OK, WARN
from lab.evidence.probes.subject import Subject
from lab.reward import Reward, Row
from lab.scoring import Scorer
from lab.task import Task

QUICK_ROWS = 6
QUICK_ASKED_ROWS = 2  # where a judge is asked
ASKED_BUDGET = 600  # seconds for one probe of a judge
MUST_HOLD = tuple(sorted(number for number, probe in PROBES.items() if probe.must))


@dataclass
class Report:
    """What the probes found on one task."""

    task: str
    format: str  # how an answer has to be written to be accepted
    rows: int
    responses: int
    seconds: float
    findings: list[Finding]

    @property
    def failed(self) -> list[Finding]:
        """The probes that must hold and do not; empty: the reward may train."""
        return [finding for finding in self.findings if finding.verdict == FAIL]

    def json(self) -> str:
        """The whole report as JSON."""
        return json.dumps({**asdict(self), "failed": [finding.number for finding in self.failed]}, indent=1)

    def table(self) -> str:
        """The report for a terminal: one line a probe, examples under those that do not hold."""
        lines = [
            f"audit of {self.task}: {self.rows} rows, {self.responses} responses scored, {self.seconds:.1f} s",
            f"accepted format: {self.format}",
            "",
        ]
        for finding in self.findings:
            lines.append(f"{finding.number:>3}  {finding.verdict:<4}  {finding.title}: {finding.detail}")
            if finding.verdict in (WARN, FAIL):
                lines += [f"           {_example(example)}" for example in finding.examples]
        count = {
            verdict: sum(f.verdict == verdict for f in self.findings) for verdict in (OK, WARN, FAIL, NOT_APPLICABLE)
        }
        lines += ["", ", ".join(f"{n} {verdict}" for verdict, n in count.items() if n)]
        if self.failed:
            lines.append(f"must hold and does not: {', '.join(f'{f.number} {f.title}' for f in self.failed)}")
        return "\n".join(lines)


def audit(
    task: Task,
    *,
    rows: int | Sequence[Row] = 20,
    seed: int = 0,
    probes: Sequence[int] | None = None,
    quick: bool = False,
    scorer: Scorer | None = None,
    totals: Sequence[Sequence[float | None]] = (),
) -> Report:
    """Runs the probes on `rows` rows of the task (or on the rows given) and reports what they found.

    probes   their numbers; all of them unless told
    quick    only those that must hold, on fewer rows: seconds, before a training run (a judge: about 200 calls)
    scorer   one to use, with its workers; a new one unless told. Its counts start anew afterwards
    totals   what a model's answers earned, one group a row, for the probe of signal (see `totals_of`)
    """
    unknown = sorted(set(probes or ()) - PROBES.keys())
    if unknown:
        raise UserError(f"there is no probe {unknown[0]}: they are numbered {min(PROBES)} to {max(PROBES)}")
    numbers = sorted(probes or (MUST_HOLD + (SIGNAL,) * bool(totals) if quick else PROBES))
    asked = any(each.is_async for each in task.rewards.values())  # a judge: each call costs seconds, and maybe money
    if isinstance(rows, int):
        fewer = QUICK_ASKED_ROWS if asked else QUICK_ROWS
        rows = first_rows(task, min(rows, fewer) if quick else rows, seed)
    rows = [{**row, "task": task.name} for row in rows]
    started = time.monotonic()
    own = scorer is None or asked
    environment = scorer.environment if scorer else None
    service = (
        Scorer({task.name: task}, budget=ASKED_BUDGET if asked else None, environment=environment) if own else scorer
    )
    try:
        subject = Subject(task, rows, service, seed=seed, quick=quick, totals=totals)
        findings = [_found(PROBES[number], subject) for number in numbers]
    finally:
        if own:
            service.close()
        else:
            service.metrics()
            service.unscorable_samples.clear()
    written = "(not looked for)" if subject.cannot_judge or subject.unpicklable else subject.format.label
    return Report(task.name, written, len(rows), len(subject.verdicts), time.monotonic() - started, findings)


def _found(probe: Probe, subject: Subject) -> Finding:
    """The probe's finding. Where nothing can be scored, only the probe that looks for the cause is worth its calls."""
    if subject.unpicklable:
        worth, cause = (PORTABLE,), subject.unpicklable
    else:
        cause = subject.unscorable if probe.number != 1 else ""
        worth = (1, CONTRACT) if subject.broken_contract else (1,)
    if cause and probe.number not in worth:
        return Finding(probe.number, probe.title, probe.must, NOT_APPLICABLE, f"nothing can be scored: {cause}")
    return probe.run(subject)


def task_of(tested: Reward, rows: Sequence[Row], region: str = "everything") -> Task:
    """A task that is nothing but `tested` and `rows`, to audit a reward by itself; the prompt is the row's question."""

    def prompt(row: Row) -> list[dict]:
        others = ", ".join(f"{key}: {value}" for key, value in row.items() if key != "answer")
        return [{"role": "user", "content": str(row.get("question") or row.get("prompt") or others)}]

    return Task(
        rows=lambda split, rng: iter(rows),
        prompt=prompt,
        rewards={f"{tested.recipe!r}": tested},
        answer=region,
        splits="given",
        has=("train",),
        name=f"{tested.recipe!r}",
    )


def task_for(tested: Reward, data: str | None = None, region: str = "everything") -> Task:
    """A task to audit `tested` with: the rows of the JSONL file `data`, or a bundled task that it is the primary of.

    A reward that reads no row field needs no rows of its own.
    """
    from lab.registry import load_task, task_names

    if data or not tested.reads:
        return task_of(tested, read_rows(data) if data else [{"question": "How are you?"}], region)
    for name in task_names():
        task = load_task(name)
        if task.rewards[task.primary].recipe is tested.recipe:
            return replace(task, rewards={**task.rewards, task.primary: tested})
    raise UserError(
        f"no bundled task is scored by {tested.recipe!r}: give rows that it can score, one JSON object a line, "
        "with --data FILE.jsonl"
    )


def read_rows(path: str) -> list[Row]:
    """The rows of a JSONL file; UserError names the line that is none."""
    try:
        with open(path, encoding="utf-8") as file:  # not splitlines(): a JSON text may hold other line ends
            lines = [(number, line) for number, line in enumerate(file, start=1) if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}): give a JSONL file of rows") from None
    if not lines:
        raise UserError(f"{path} holds no rows: write one JSON object a line")
    rows = []
    for number, line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number} is no JSON ({error}): write one object a line") from None
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {number} is a JSON {type(row).__name__}: write one object a line")
        rows.append(row)
    return rows


def _example(example: dict) -> str:
    parts = [f"{key} {value!r:.170}" for key, value in example.items() if key != "kind" and value not in (None, "")]
    return f"{example.get('kind', '')}: {', '.join(parts)}"
