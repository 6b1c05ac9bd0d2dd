"""Stock scorers: lm-eval's own scoring of the very answers that we scored, side by side, each difference explained."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import UserError
from lab.evidence.statistics import over_rows, paired_change
from lab.registry import load_task
from lab.task import Row


@dataclass(frozen=True)
class Stock:
    """Where lm-eval keeps its own version of a task, and our row in that version's columns."""

    yaml: str
    record: Callable[[Row], dict]


STOCK = {
    "gsm8k": Stock(
        "gsm8k/gsm8k.yaml",
        lambda row: {"question": row["question"], "answer": f"{row['worked']}\n#### {row['answer']}"},
    ),
}


@dataclass
class Comparison:
    """ours: a verdict an answer; stock: filter name → a verdict an answer; reasons: filter name → why they differ.

    rows: the row of each answer. Several answers to one row are no independent evidence: intervals are over rows.
    """

    task: str
    rows: list[int]
    ours: list[bool]
    stock: dict[str, list[bool]]
    reasons: dict[str, Counter]

    def __str__(self) -> str:
        lines = [
            f"{f'the same {len(self.ours)} answers to {self.task}':<46}accuracy   95 % CI        from ours (paired)"
        ]
        ours = self._by_row(self.ours)
        lines.append(_line("ours", ours))
        for name, verdicts in self.stock.items():
            theirs = self._by_row(verdicts)
            shown = " ".join(f"{100 * x:+.1f}" for x in paired_change(ours, theirs)[:3])
            lines.append(_line(f"lm-eval's {self.task}, {name}", theirs) + "{} [{}, {}]".format(*shown.split()))
        for name, reasons in self.reasons.items():
            lines += [f"{name}: {count} {reason}" for reason, count in reasons.most_common()]
        return "\n".join(lines)

    def _by_row(self, verdicts: Sequence[bool]) -> list[float]:
        """The share of each row's answers that are right."""
        by_row: dict[int, list[bool]] = {}
        for row, right in zip(self.rows, verdicts, strict=True):
            by_row.setdefault(row, []).append(right)
        return [sum(right) / len(right) for right in by_row.values()]


def compare(samples: Sequence[Mapping]) -> Comparison:
    """Scores our answers to one task as lm-eval's own task of that name would, beside our verdicts.

    samples: dicts with index, row, completion, finished, answer and right, as samples/<stage>.jsonl and
    `lab eval --model` have them. Answers that we could not score are left out. Raises UserError where lm-eval has no
    generative task of the name.
    """
    name = samples[0]["row"]["task"]
    if name not in STOCK:
        raise UserError(f"lm-eval has no scorer for the answers to {name!r}: there is one for {', '.join(STOCK)}")
    samples = [sample for sample in samples if sample["right"] is not None]
    ours = [bool(sample["right"]) for sample in samples]
    stock = stock_verdicts(STOCK[name], samples)
    region = load_task(name).answer
    reasons = {
        filtered: Counter(
            _why(sample, theirs, filtered, region)
            for sample, mine, theirs in zip(samples, ours, verdicts, strict=True)
            if mine != theirs
        )
        for filtered, verdicts in stock.items()
    }
    return Comparison(name, [sample["index"] for sample in samples], ours, stock, reasons)


def stock_verdicts(stock: Stock, samples: Sequence[Mapping]) -> dict[str, list[bool]]:
    """Filter name → lm-eval's verdict of each answer, by its own filters and metric."""
    import lm_eval.tasks
    from datasets import Dataset, DatasetDict
    from lm_eval.api.instance import Instance
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    config = load_yaml(Path(lm_eval.tasks.__file__).parent / stock.yaml)
    docs = [stock.record(sample["row"]) for sample in samples]
    rows = Dataset.from_list(docs)
    # Its own prompt and examples play no part: the answers are there already.
    unused = ("tag", "dataset_path", "dataset_name", "training_split", "fewshot_split", "num_fewshot")
    config = {key: value for key, value in config.items() if key not in unused}
    task = ConfigurableTask(config={**config, "custom_dataset": lambda **_: DatasetDict({config["test_split"]: rows})})
    instances = [
        Instance("generate_until", doc=doc, arguments=("", {}), idx=0, resps=[sample["completion"]])
        for doc, sample in zip(docs, samples, strict=True)
    ]
    task._instances = instances
    task.apply_filters()
    return {
        name: [
            bool(task.process_results(doc, [instance.filtered_resps[name]])["exact_match"])
            for doc, instance in zip(docs, instances, strict=True)
        ]
        for name in instances[0].filtered_resps
    }


def _why(sample: Mapping, right_there: bool, filtered: str, region: str) -> str:
    """Why one answer is right for one scorer alone, in words."""
    if right_there:
        if not sample["finished"]:
            return "right only there: cut at the token limit, which counts as wrong here"
        if sample["answer"] is None:
            return f"right only there: the number stands outside the region asked for ({region}), or several do in it"
        return "right only there: another number stands in the region"
    if filtered == "strict-match":
        return "right only here: no line `#### number`, which our prompt does not ask for"
    if re.search(r"\d", sample["completion"].rpartition(str(sample["answer"]))[2]):
        return "right only here: another number follows the answer, and the last one counts there"
    return "right only here: the number is written in a way that is not read there"


def _line(label: str, rows: Sequence[float]) -> str:
    estimate = over_rows(rows)
    interval = f"[{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
    return f"{label:<46}{100 * estimate.value:>6.1f} %   {interval:<15}"
