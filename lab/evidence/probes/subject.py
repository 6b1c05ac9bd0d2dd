"""subject: the task under audit: its rows and golds, the answer format it accepts, and what a response earns."""

import pickle
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from lab.response import Response, in_region
from lab.reward import Row, gold_texts
from lab.scoring import Scorer
from lab.task import Graded, Task
from lab.workers import Job, Verdict

BROKEN_CONTRACT = "contract"  # the scoring service's word for a value outside its reward's contract
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+|/[1-9]\d*)?")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


class Case(NamedTuple):
    """A response tried on the row at `index`; the label says what kind it is."""

    label: str
    index: int
    response: Response


class Format(NamedTuple):
    """A way to write an answer down: what stands before and after it."""

    label: str
    before: str
    after: str = ""

    def write(self, answer: str) -> str:
        return f"{self.before}{answer}{self.after}"


THOUGHT = "<think>\nI work it out.\n</think>\n"
FORMATS = (  # tried where the task's own region alone is not accepted
    Format("the answer after a closed thought", THOUGHT),
    Format("a box", "\\boxed{", "}"),
    Format("an answer tag", "<answer>", "</answer>"),
    Format("a thought and an answer tag", f"{THOUGHT}<answer>", "</answer>"),
    Format("a sentence", "The answer is ", "."),
    Format("a last line after ####", "I work it out.\n#### "),
)


@dataclass
class Subject:
    """One task, some of its rows and a scorer; every verdict is kept, so that nothing is asked twice."""

    task: Task
    rows: Sequence[Row]
    scorer: Scorer
    seed: int = 0
    quick: bool = False
    totals: Sequence[Sequence[float | None]] = ()  # what a model's answers earned, one group a row
    verdicts: dict[tuple[int, Response], dict[str, Verdict]] = field(default_factory=dict)

    # ---- what a response earns

    def score(self, cases: Iterable[Case]) -> None:
        """Scores cases that were not yet, all at once."""
        new = [key for key in dict.fromkeys((case.index, case.response) for case in cases) if key not in self.verdicts]
        labels = [(key, name) for key in new for name in self.task.rewards]
        jobs = [Job(self.task.rewards[name], key[1], self.rows[key[0]]) for key, name in labels]
        for (key, name), verdict in zip(labels, self.scorer.verdicts(jobs, lenient=True), strict=True):
            self.verdicts.setdefault(key, {})[name] = verdict

    def of(self, case: Case) -> dict[str, Verdict]:
        """Each reward's verdict on the case."""
        self.score([case])
        return self.verdicts[case.index, case.response]

    def graded(self, case: Case) -> Graded:
        return self.task.graded({name: verdict.score for name, verdict in self.of(case).items()})

    def accepts(self, case: Case) -> bool:
        """Whether the case earns what the right answer would: the primary reward at its best, gates applied."""
        return self.task.is_right(self.graded(case))

    def shown(self, case: Case) -> dict:
        """The case as an example in the report."""
        text = case.response.text
        graded = self.graded(case)
        score = graded.scores[self.task.primary]
        return {
            "kind": case.label,
            "response": text if len(text) <= 160 else f"{text[:80]} … {text[-60:]} ({len(text)} characters)",
            "gold": self.golds[case.index] if case.index < len(self.golds) else None,
            "score": score.value,
            "reason": score.reason,
        }

    # ---- golds

    @cached_property
    def golds(self) -> list[str]:
        """Each row's gold as text, "" where it is blank; no golds at all where the rows have no such field."""
        if not all(self.task.gold in row for row in self.rows):
            return []
        return [next(iter(gold_texts(row[self.task.gold])), "") for row in self.rows]

    @cached_property
    def numbers(self) -> list[Fraction | None]:
        """Each gold as an exact number, None where it is none."""
        plain = [_THOUSANDS.sub("", gold.strip()) for gold in self.golds]
        return [Fraction(text) if _NUMBER.fullmatch(text) else None for text in plain]

    def others(self, index: int) -> list[str]:
        """Up to three other rows' golds that differ from this row's, to be wrong with."""
        if self.numbers[index] is not None:
            number = self.numbers[index]
            return [written(number + step, self.golds[index]) for step in (1, 7, -3)]
        here = self.golds[index]
        later = self.golds[index + 1 :] + self.golds[:index]
        return list(dict.fromkeys(gold for gold in later if gold.strip().lower() != here.strip().lower()))[:3]

    # ---- the accepted format

    @property
    def cannot_judge(self) -> str:
        """Why probes of right and wrong answers do not apply; "" where they do."""
        if not self.task.rewards[self.task.primary].reads:
            return "the primary reward reads no row field: it judges no answer"
        if not self.golds:
            return f"the rows have no gold field {self.task.gold!r}"
        return ""

    @cached_property
    def unpicklable(self) -> str:
        """Why a reward cannot reach a worker process, where nothing can be scored; "" where all can."""
        for name, inner in self.task.rewards.items():
            try:
                if pickle.loads(pickle.dumps(inner)).identity != inner.identity:
                    return f"reward {name} is another one after pickling"
            except Exception as error:
                return f"reward {name} cannot be pickled: {error}"
        return ""

    @cached_property
    def unscorable(self) -> str:
        """Why no gold has a score at all (a judge that is not there, for one); "" where some has."""
        if self.cannot_judge:
            return ""
        scores = [self.graded(self.gold_case(index)).scores[self.task.primary] for index in range(len(self.rows))]
        return scores[0].reason if all(score.value is None for score in scores) else ""

    @property
    def broken_contract(self) -> bool:
        """Whether any value so far was outside its reward's contract."""
        found = (verdict.fault for verdicts in self.verdicts.values() for verdict in verdicts.values())
        return BROKEN_CONTRACT in found

    @cached_property
    def format(self) -> Format:
        """The first way of writing the gold that is accepted on every row; else the one accepted most often."""
        best, most = self._formats[0], 0
        for candidate in self._formats:
            cases = [Case("gold", i, self.response(candidate.write(gold))) for i, gold in enumerate(self.golds)]
            self.score(cases)
            accepted = sum(self.accepts(case) for case in cases)
            if accepted > most:
                best, most = candidate, accepted
            if accepted == len(cases) or all(self.graded(case).primary is None for case in cases):
                break
        return best

    @cached_property
    def _formats(self) -> list[Format]:
        region = in_region("\0", self.task.answer).partition("\0")
        plain = Format(f"the answer in its region ({self.task.answer})", region[0], region[2])
        index, gold = next(((i, gold) for i, gold in enumerate(self.golds) if gold), (0, "\0"))
        shown = self.task.demonstration(self.rows[index])[-1].get("content") or ""
        before, found, after = shown.rpartition(gold)
        demonstrated = [Format("the task's demonstration", before, after)] if found and (before or after) else []
        thought = Format("a thought, then the region", THOUGHT + plain.before, plain.after)
        return [plain, thought, *demonstrated, *FORMATS]

    def response(self, text: str, **more) -> Response:
        return self.task.response(text, **more)

    def answer(self, label: str, index: int, answer: str) -> Case:
        """The case of writing `answer` in the accepted format."""
        return Case(label, index, self.response(self.format.write(answer)))

    def gold_case(self, index: int) -> Case:
        return self.answer("gold", index, self.golds[index])

    def wrong_case(self, index: int) -> Case:
        """An answer that is refused by itself: another row's gold may well be right here, too."""
        tries = [self.answer("wrong", index, answer) for answer in (*self.others(index), "no answer at all")]
        return next((case for case in tries if not self.accepts(case)), tries[-1])


def written(number: Fraction, like: str = "") -> str:
    """`number` as a person writes it: whole, as a decimal where it ends, else as a fraction (as `like` does)."""
    if number.denominator == 1:
        return str(number.numerator)
    rest = number.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1 or "/" in like:
        return f"{number.numerator}/{number.denominator}"
    digits = 0
    while (number * 10**digits).denominator != 1:
        digits += 1
    sign, shifted = "-" if number < 0 else "", abs(int(number * 10**digits))
    return f"{sign}{shifted // 10**digits}.{shifted % 10**digits:0{digits}d}"
