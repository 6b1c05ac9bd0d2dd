"""rescore_run: `lab score RUN`: what another reward would have given a run, and what it would have taught."""

import contextlib
import itertools
import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from lab.errors import UserError
from lab.look import columns
from lab.render import opened_thought
from lab.rescore import Answer, checked_region, patient, scored
from lab.response import Response
from lab.reward import Reward
from lab.scoring import Scorer
from lab.workers import Verdict

ADVANTAGE_EPSILON = 1e-4  # TRL's, beside the group's standard deviation


@dataclass
class Change:
    """One source of a run (a file of samples, or a step of GRPO) before and after."""

    source: str
    completions: int = 0
    unscorable: int = 0
    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    changed: int = 0
    advantage_shift: list[float] = field(default_factory=list)  # |new − old|, steps only
    turned: int = 0  # advantages whose sign turned

    def cells(self) -> list[str]:
        mean = [f"{statistics.fmean(values):.4g}" if values else "-" for values in (self.before, self.after)]
        shift = f"{statistics.fmean(self.advantage_shift):.3g}" if self.advantage_shift else "-"
        turned = str(self.turned) if self.advantage_shift else "-"
        return [self.source, str(self.completions), *mean, str(self.changed), str(self.unscorable), shift, turned]


HEADER = ["source", "completions", "was", "now", "changed", "unscorable", "mean |advantage shift|", "sign turned"]


def rescore_run(
    run: str | Path,
    reward: Reward,
    out: TextIO | None = None,
    *,
    region: str | None = None,
    scorer: Scorer | None = None,
) -> list[Change]:
    """Scores a run's saved completions with `reward` alone: evaluation samples and the completions of every GRPO step.

    Compares with what the run recorded: the primary score of each sample; the weighted sum and the group advantage of
    each training completion, recomputed by the run's own `scale_rewards` and `num_generations`. `out` gets one JSON
    line a completion. `region` replaces the tasks' own answer region.
    """
    run = Path(run)
    if not run.is_dir():
        raise UserError(f"{run} is no run folder and no .jsonl file: give one of them")
    record = _Record(run, reward, region)
    sources = [*sorted(run.glob("samples/*.jsonl")), *sorted(run.glob("grpo/completions/*.parquet"))]
    if not sources:
        raise UserError(f"{run} holds no samples/*.jsonl and no grpo/completions/*.parquet: nothing can be scored anew")
    changes = []
    with patient(scorer) as service:
        for file in sources:
            changes.append(Change(str(file.relative_to(run))))
            for answer, verdict in record.rescored(file, service):
                _compare(changes[-1], answer, verdict)
                if out:
                    out.write(json.dumps({**answer.kept, "score": verdict.score.value, "reason": verdict.score.reason}))
                    out.write("\n")
    return changes


def table(changes: list[Change]) -> str:
    """The changes as a plain table."""
    return columns(HEADER, [change.cells() for change in changes])


def group_advantages(rewards: list[float | None], size: int, scale: str = "group") -> list[float]:
    """GRPO's advantages of consecutive groups of `size` completions: (r − mean) / (std + 1e-4); 0 where unscorable.

    None counts in no mean. scale: "group" divides by the group's standard deviation (n − 1), "batch" by that of all,
    "none" by nothing. Source: GRPO (Shao et al. 2024, arXiv:2402.03300) as TRL computes it; "none": Dr. GRPO
    (Liu et al. 2025, arXiv:2503.20783).
    """
    spread = _deviation(rewards)
    advantages = []
    for start in range(0, len(rewards), size):
        group = rewards[start : start + size]
        known = [reward for reward in group if reward is not None]
        divisor = 1.0 if scale == "none" else ADVANTAGE_EPSILON + (spread if scale == "batch" else _deviation(group))
        mean = statistics.fmean(known) if known else 0.0
        advantages += [0.0 if reward is None else (reward - mean) / divisor for reward in group]
    return advantages


def _deviation(rewards: list[float | None]) -> float:
    known = [reward for reward in rewards if reward is not None]
    return statistics.stdev(known) if len(known) > 1 else 0.0


class _Record:
    """What a run folder says about its completions."""

    def __init__(self, run: Path, reward: Reward, region: str | None):
        import yaml

        from lab.registry import load_task

        config = run / "config.yaml"
        with _damage_told(config):
            resolved = yaml.safe_load(config.read_text(encoding="utf-8")) if config.is_file() else {}
            if not isinstance(resolved, dict):
                raise ValueError("it holds no settings")
            grpo, tasks = resolved.get("grpo") or {}, dict(resolved.get("task") or {})
            self.size, self.scale = grpo.get("num_generations"), _scale(grpo.get("scale_rewards", "group"))
        self.reward, self.region = reward, checked_region(region) if region else None
        self.tasks = {task.name: task for task in map(load_task, tasks)}

    def rescored(self, file: Path, scorer: Scorer) -> Iterator[tuple[Answer, Verdict]]:
        """A file's completions with their new verdicts; those of a GRPO step with their advantages."""
        if file.suffix == ".jsonl":
            return scored(self._samples(file), self.reward, scorer)
        return self._with_advantages(list(scored(self._completions(file), self.reward, scorer)))

    def _samples(self, file: Path) -> Iterator[Answer]:
        with _damage_told(file), file.open(encoding="utf-8") as lines:
            for line in lines:
                sample = json.loads(line)
                task = self.tasks.get(sample["row"].get("task"))
                was = sample["scores"].get(task.primary) if task else next(iter(sample["scores"].values()), None)
                kept = {"source": file.name, "response": sample["completion"], "row": sample["row"], "was": was}
                prefilled = opened_thought(sample.get("prompt", ""))
                yield self._answer(sample["completion"], sample["finished"], prefilled, sample["row"], kept)

    def _completions(self, file: Path) -> Iterator[Answer]:
        import pyarrow.parquet

        with _damage_told(file):
            for saved in pyarrow.parquet.read_table(file).to_pylist():
                if "row" not in saved:
                    raise UserError(f"{file} has no column 'row': it was not written by `lab grpo`: no gold is known")
                row, text = json.loads(saved["row"]), _written(saved["completion"])
                kept = {"source": file.name, "step": saved["step"], "response": text, "row": row}
                kept |= {"was": self._total(saved), "advantage_was": saved["advantage"]}
                yield self._answer(text, saved["finished"], saved.get("prefilled", ""), row, kept)

    def _answer(self, text: str, finished: bool, prefilled: str, row: dict, kept: dict) -> Answer:
        task = self.tasks.get(row.get("task"))
        region = self.region or (task.answer if task else "everything")
        return Answer(Response(text, finished=finished, region=region, prefilled=prefilled), row, kept)

    def _total(self, saved: dict) -> float | None:
        """The weighted sum that the run's own rewards gave."""
        task = self.tasks.get(saved["task"])
        names = task.rewards if task else ()
        columns = {name: saved.get(name, saved.get(f"{saved['task']}/{name}")) for name in names}
        known = [task.weight(name) * value for name, value in columns.items() if value is not None and value == value]
        return sum(known) if known else None

    def _with_advantages(self, verdicts: list[tuple[Answer, Verdict]]) -> Iterator[tuple[Answer, Verdict]]:
        size = self.size or _first_group([answer.kept["row"] for answer, _ in verdicts])
        advantages = group_advantages([verdict.score.value for _, verdict in verdicts], size, self.scale)
        for (answer, verdict), advantage in zip(verdicts, advantages, strict=True):
            yield answer._replace(kept={**answer.kept, "advantage": advantage}), verdict


@contextlib.contextmanager
def _damage_told(file: Path) -> Iterator[None]:
    """What a damaged file gives while it is read becomes a UserError that names it."""
    import yaml

    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{file} is damaged ({said}): put it back from a copy, then score again") from error


def _scale(value) -> str:
    return {True: "group", False: "none"}.get(value, value)


def _first_group(rows: list[dict]) -> int:
    return next((len(list(group)) for _, group in itertools.groupby(rows)), 1)


def _written(completion) -> str:
    """What the model wrote of a logged completion: a text, or the assistant's messages among others."""
    if isinstance(completion, str):
        return completion
    return "\n".join(message["content"] or "" for message in completion if message["role"] == "assistant")


def _compare(change: Change, answer: Answer, verdict: Verdict) -> None:
    was, now = answer.kept["was"], verdict.score.value
    change.completions += 1
    change.unscorable += now is None
    change.changed += was != now
    change.before += [was] if was is not None else []
    change.after += [now] if now is not None else []
    if "advantage" in answer.kept:
        before, after = answer.kept["advantage_was"], answer.kept["advantage"]
        change.advantage_shift.append(abs(after - before))
        change.turned += before * after < 0
