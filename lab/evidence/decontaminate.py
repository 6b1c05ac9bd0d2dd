"""Decontamination: training rows that a benchmark also has, word for word in part or with other numbers in them."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from lab.errors import UserError
from lab.registry import load_task
from lab.task import MOST_HELD_OUT, TEST, TRAIN, Row, Task

WORDS = 13  # in a row, as in GPT-3's decontamination (Brown et al. 2020, arXiv:2005.14165, appendix C)
TEMPLATE_WORDS = 8  # a shorter question with its numbers masked, "what is # + #", says nothing of where it is from
SHOWN = 3  # examples of each kind
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?")
_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_TENS = "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million"
NUMBER_WORDS = frozenset(f"{_UNITS} {_TENS}".split())


@dataclass(frozen=True)
class Overlap:
    """A training row and the benchmark question it was found in.

    kind   "words": 13 words in a row are shared, or the whole of a shorter question
           "numbers": the whole question is the same once numbers are masked
    """

    row: Row
    kind: str
    benchmark: str
    text: str  # of the training row
    twin: str  # of the benchmark
    shared: str


class Index:
    """Questions of benchmarks, to be looked up by their n-grams and by their wording without numbers."""

    def __init__(self, words: int = WORDS):
        self.words = words
        self.questions: list[tuple[str, str]] = []  # (benchmark, question)
        self._grams: dict[tuple[str, ...], int] = {}
        self._templates: dict[tuple[str, ...], int] = {}

    def __str__(self) -> str:
        names = dict.fromkeys(benchmark for benchmark, _ in self.questions)
        return f"{len(self.questions)} test rows of {', '.join(names)}"

    def add(self, benchmark: str, question: str) -> None:
        number = len(self.questions)
        self.questions.append((benchmark, question))
        words = words_of(question)
        for gram in grams(words, self.words):
            self._grams.setdefault(gram, number)
        if template := template_of(words):
            self._templates.setdefault(template, number)

    def find(self, question: str) -> tuple[str, str, str, str] | None:
        """(kind, benchmark, its question, what is shared) for the first overlap of `question`, or None."""
        words = words_of(question)
        for gram in grams(words, self.words):
            if gram in self._grams:
                return ("words", *self.questions[self._grams[gram]], " ".join(gram))
        template = template_of(words)
        if template in self._templates:
            return ("numbers", *self.questions[self._templates[template]], " ".join(template))
        return None


def index_of(benchmarks: Iterable[str], words: int = WORDS) -> Index:
    """An index over every test row of the benchmarks, by their names.

    Raises UserError where one is unknown, generates its rows, or cannot be had.
    """
    index = Index(words)
    for benchmark in map(load_task, benchmarks):
        if TEST not in benchmark.has or (TRAIN in benchmark.has and benchmark.splits == "hash"):
            raise UserError(
                f"{benchmark.name} has no test split that ends, it generates its rows: decontaminate against "
                "benchmarks such as gsm8k"
            )
        for row in benchmark.sample(TEST, MOST_HELD_OUT):
            index.add(benchmark.name, question_of(benchmark, row))
    return index


def decontaminated(rows: Sequence[Row], tasks: Mapping[str, Task], index: Index) -> tuple[list[Row], list[Overlap]]:
    """`rows` without those that a benchmark has too, and what was removed. Each row names its task."""
    kept, removed = [], []
    for row in rows:
        text = question_of(tasks[row["task"]], row)
        if found := index.find(text):
            kind, benchmark, twin, shared = found
            removed.append(Overlap(row, kind, benchmark, text, twin, shared))
        else:
            kept.append(row)
    return kept, removed


def check(
    spec: str, against: Sequence[str], limit: int | None = 10_000, words: int = WORDS
) -> tuple[str, list[Overlap]]:
    """What `lab decontaminate` prints: counts and examples for up to `limit` training rows of a task."""
    task = load_task(spec)
    index = index_of(against, words)
    rows = list(islice(task.stream(TRAIN), limit))
    _, removed = decontaminated(rows, {task.name: task}, index)
    which = "the first " if len(rows) == limit else ""
    return "\n".join([f"{task.name}: {which}{len(rows)} training rows against {index}", *summary(removed)]), removed


def note(task: str, drawn: int, removed: Sequence[Overlap]) -> str:
    """One sentence for a run's notes."""
    kinds = {"words": "word for word", "numbers": "with other numbers"}
    found = Counter(f"{o.benchmark} {kinds[o.kind]}" for o in removed)
    where = ", ".join(f"{count} in {what}" for what, count in found.items())
    return f"{task}: {len(removed)} of {drawn} training rows removed, they stand in benchmarks ({where})"


def summary(removed: Sequence[Overlap]) -> list[str]:
    """Counts by benchmark and kind, each with some examples; one line of good news where there is nothing."""
    if not removed:
        return ["no overlap"]
    lines = []
    for (benchmark, kind), count in Counter((o.benchmark, o.kind) for o in removed).most_common():
        what = (
            "words in a row that it has too"
            if kind == "words"
            else "the wording of one of its questions, other numbers"
        )
        lines.append(f"{benchmark}: {count} row{'s' * (count > 1)} with {what}")
        for overlap in [o for o in removed if (o.benchmark, o.kind) == (benchmark, kind)][:SHOWN]:
            lines += [f"    row    {_short(overlap.text)}", f"    twin   {_short(overlap.twin)}"]
    return lines


def provenance(index: Index, removed: Sequence[Overlap]) -> dict:
    """For a run's provenance: how many test rows of each benchmark were looked through, and every row removed."""
    listed = [
        {"task": o.row["task"], "benchmark": o.benchmark, "kind": o.kind, "text": o.text, "twin": o.twin}
        for o in removed
    ]
    return {"against": Counter(benchmark for benchmark, _ in index.questions), "removed": listed}


def question_of(task: Task, row: Row) -> str:
    """What is asked: the row's fields that the prompt shows, without the instructions that all its prompts share."""
    if isinstance(task.prompt, str):
        return " ".join(str(row[name]) for name in re.findall(r"\{([A-Za-z_]\w*)\}", task.prompt) if name in row)
    return task.prompt(row)[-1]["content"]


def words_of(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def grams(words: Sequence[str], size: int) -> Iterable[tuple[str, ...]]:
    """Each run of `size` words, or the whole where it is shorter."""
    if not words:
        return ()
    return (tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1)))


def template_of(words: Sequence[str]) -> tuple[str, ...] | None:
    """The words with every number masked; None where there is no number, or too few words beside them."""
    masked = tuple("#" if word[0].isdigit() or word in NUMBER_WORDS else word for word in words)
    plain = sum(word != "#" for word in masked)
    return masked if "#" in masked and plain >= TEMPLATE_WORDS else None


def _short(text: str, length: int = 140) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[:length]} …"
