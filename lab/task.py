"""Task: one file that gives SFT its conversations, GRPO its prompts and rewards, and evaluation its benchmark."""

import hashlib
import json
import math
import random
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from numbers import Real
from typing import NamedTuple

from lab.errors import ContractError, UserError, nearest
from lab.response import Response, check_region, in_region
from lab.reward import Reward, Row, Score, as_reward, gold_texts

Message = dict[str, str]  # {"role": "system" | "user" | "assistant", "content": text}

TRAIN, VALIDATION, TEST = "train", "validation", "test"
HELD_OUT_TENTHS = {VALIDATION: 1, TEST: 2}  # of the prompts, by their hash; the rest is for training
MOST_HELD_OUT = 100_000  # rows of a held-out split that the source itself makes
PATIENCE = 20_000  # rows of other splits, or seen before, drawn in a row before a generator counts as exhausted
# the own columns of the table of completions that GRPO saves: a reward of such a name would be lost in it
COLUMNS = ("step", "prompt", "completion", "advantage", "task", "row", "prefilled", "finished", "right", "reasons")
_FIELD = re.compile(r"\{([A-Za-z_]\w*)\}")


class Graded(NamedTuple):
    """One response's scores. total and primary are None when a reward that counts could not score it."""

    scores: dict[str, Score]  # every component, gates applied
    total: float | None  # what GRPO sees: the weighted sum
    primary: float | None  # what every table shows


@dataclass(kw_only=True)
class Task:
    """A task is its rows, its prompt and its rewards.

    rows         rows(split, rng) yields dicts; splits "train", "validation" and "test"
    prompt       the user's message with {fields} of the row, or a function of the row that returns messages
    rewards      name → reward; the first one is the primary, the accuracy that every table shows
    system       a system message, or None for the chat template's own
    answer       where the answer stands: "everything", "last line", "boxed", or a tag such as "<answer>"
    demonstrate  row → the assistant's text (or several messages) for SFT; by default the gold in its region
    weights      reward name → its weight in GRPO's sum (1 unless told)
    gates        reward name → the reward that must be at its best, behind its own gate where it has one, or else the
                 first counts as its lowest
    primary      the reward shown as accuracy
    gold         the row field that holds the gold answer, or None where rows have none
    max_tokens   a completion's length in tokens that suffices for this task
    splits       "hash": rows() yields any row and the prompt's hash says to which split it belongs, so that splits
                 never share a prompt; "given": rows() itself makes the splits, and training drops held-out prompts
    has          its splits; a benchmark without "train" is never trained on
    """

    rows: Callable[[str, random.Random], Iterable[Row]]
    prompt: str | Callable[[Row], list[Message]]
    rewards: Mapping[str, Reward]
    system: str | None = None
    answer: str = "everything"
    demonstrate: Callable[[Row], str | list[Message]] | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    gates: Mapping[str, str] = field(default_factory=dict)
    primary: str = ""
    gold: str | None = "answer"
    max_tokens: int = 256
    splits: str = "hash"
    has: Sequence[str] = (TRAIN, VALIDATION, TEST)
    name: str = ""  # set by the registry: the file's name, or the entry point's
    source: str = ""  # set by the registry: the file's path

    def __post_init__(self):
        if not isinstance(self.rewards, Mapping) or not self.rewards:
            raise ContractError('a task needs rewards={"name": reward}: it has none')
        self.rewards = {name: as_reward(candidate) for name, candidate in self.rewards.items()}
        self.primary = self.primary or next(iter(self.rewards))
        for label, names in {"primary": [self.primary], "weights": self.weights, "gates": self.gates}.items():
            for name in [*names, *(self.gates.values() if label == "gates" else ())]:
                if name not in self.rewards:
                    hint = nearest(name, self.rewards, f"the task's rewards are {', '.join(self.rewards)}")
                    raise ContractError(f"{label} names the reward {name!r}, which the task does not have: {hint}")
        for name in self.gates:
            behind = [name]
            while gate := self.gates.get(behind[-1]):
                behind.append(gate)
                if gate in behind[:-1]:
                    raise ContractError(f"gates form a circle ({' → '.join(behind)}): leave one of them out")
        for name in self.rewards:
            if name in COLUMNS:  # one would overwrite the other
                raise ContractError(f"a reward is named {name!r}, as a column of the completions' table: rename it")
            weight = self.weights.get(name, 1.0)
            if not isinstance(weight, Real) or not math.isfinite(weight):
                raise ContractError(f"the weight of the reward {name!r} is {weight!r}, allowed is a finite number")
        if self.splits not in ("hash", "given"):
            raise ContractError(f'splits={self.splits!r}: use "hash" or "given"')
        try:
            check_region(self.answer)
        except ValueError as error:
            raise ContractError(str(error)) from None

    # ---- what the model reads and should write

    def messages(self, row: Row) -> list[Message]:
        """The prompt of `row` as messages: the same in SFT, GRPO, evaluation and lm-eval."""
        if isinstance(self.prompt, str):
            body = [{"role": "user", "content": self._filled(self.prompt, row)}]
        else:
            with self._blamed("prompt(row)"):
                body = self.prompt(row)
            if not (isinstance(body, list) and body and all(isinstance(m, dict) and "role" in m for m in body)):
                raise ContractError(
                    f"task {self.name}: prompt(row) returned {body!r:.60}, allowed is a list of messages: "
                    'return [{"role": "user", "content": "…"}], so that the chat template is never skipped'
                )
        return [{"role": "system", "content": self.system}, *body] if self.system is not None else body

    def _filled(self, template: str, row: Row) -> str:
        # Not str.format: a prompt may well hold \boxed{} or a set in braces.
        def value(match):
            if match[1] not in row:
                hint = nearest(match[1], row, f"the row has {', '.join(row)}")
                raise ContractError(f"task {self.name}: the prompt names the field {match[0]}: {hint}")
            return str(row[match[1]])

        return _FIELD.sub(value, template)

    def demonstration(self, row: Row) -> list[Message]:
        """The assistant's part for SFT, as messages: from `demonstrate`, or the gold in its answer region."""
        if self.demonstrate is None and self.gold is None:
            raise ContractError(
                f"task {self.name} shows no demonstrations: give it gold= or demonstrate= to train by SFT"
            )
        if self.demonstrate is None:
            shown = in_region(str(row[self.gold]), self.answer)
        else:
            with self._blamed("demonstrate(row)"):
                shown = self.demonstrate(row)
        return [{"role": "assistant", "content": shown}] if isinstance(shown, str) else shown

    def has_gold(self, row: Row) -> bool:
        """Whether the row's gold says something; a task without gold answers lacks none."""
        return self.gold not in row or bool(gold_texts(row[self.gold]))

    def response(self, text: str, *, finished: bool = True, token_ids=None, prefilled: str = "") -> Response:
        """What the model wrote, with this task's answer region."""
        ids = None if token_ids is None else tuple(token_ids)
        return Response(text, finished=finished, region=self.answer, prefilled=prefilled, token_ids=ids)

    # ---- rewards

    @property
    def runs_code(self) -> bool:
        """Whether a reward runs what the model wrote."""
        return any(reward.runs_code for reward in self.rewards.values())

    def graded(self, scores: Mapping[str, Score]) -> Graded:
        """Applies gates and weights to one response's scores: {reward name: Score} → Graded."""
        gated = {name: self._gated(name, scores) for name in scores}
        counted = {name: self.weight(name) for name in gated if self.weight(name)}
        unscorable = any(gated[name].value is None for name in counted)
        total = None if unscorable else sum(gated[name].value * weight for name, weight in counted.items())
        return Graded(gated, total, gated[self.primary].value)

    def _gated(self, name: str, scores: Mapping[str, Score]) -> Score:
        """The reward's score behind its gate, which may itself stand behind one."""
        score, gate = scores[name], self.gates.get(name)
        if gate is None:
            return score
        through = self._gated(gate, scores)
        if through.value is None or score.value is None:
            return through if through.value is None else score
        shut = through.value < self.rewards[gate].range[1]
        return Score(self.rewards[name].range[0], f"gated by {gate}") if shut else score

    def weight(self, name: str) -> float:
        return float(self.weights.get(name, 1.0))

    def is_right(self, graded: Graded) -> bool:
        """Whether the primary reward is at its best: the 0/1 that accuracy counts."""
        return graded.primary is not None and graded.primary >= self.rewards[self.primary].range[1]

    # ---- rows

    def stream(self, split: str, seed: int = 0) -> Iterator[Row]:
        """Distinct rows of one split, in the order of `seed`; ends when the source has no new ones.

        Every row comes as a dict with "task" set. Training never yields a prompt that a held-out split has.
        """
        if split not in self.has:
            raise ContractError(f"task {self.name} has no {split} split, only {', '.join(self.has)}: it is a benchmark")
        seen = self._held_out_prompts() if self.splits == "given" and split == TRAIN else set()
        fruitless = 0
        for row in self._source(split, seed):
            key = self.key(row)
            if key in seen or (self.splits == "hash" and split_of(key) != split):
                fruitless += 1
                if fruitless > PATIENCE:
                    return
                continue
            fruitless = 0
            seen.add(key)
            yield {**row, "task": self.name}

    def _source(self, split: str, seed: int) -> Iterator[Row]:
        with self._blamed(f"rows({split!r}, rng)"):
            yield from self.rows(split, random.Random(f"{self.name}/{split}/{seed}"))

    @contextmanager
    def _blamed(self, call: str) -> Iterator[None]:
        """What a function of the task's author raises becomes one sentence with its line."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            at = next((frame for frame in reversed(frames) if frame.filename == self.source), frames[-1])
            raise ContractError(
                f"task {self.name}: {call} fails at {at.filename}:{at.lineno} ({type(error).__name__}: {error})"
            ) from error

    def sample(self, split: str, count: int, seed: int = 0) -> list[Row]:
        """Up to `count` distinct rows of `split`; raises ContractError where there is none."""
        rows = list(islice(self.stream(split, seed), count))
        if not rows:
            raise ContractError(
                f"task {self.name} has no rows in its {split} split: rows({split!r}, rng) must yield dicts"
                + (', or splits="given" where it makes the splits itself' if self.splits == "hash" else "")
            )
        self._check_fields(rows[0])
        return rows

    def key(self, row: Row) -> str:
        """The prompt's sha256: two rows with one prompt are one row."""
        if not isinstance(row, Mapping):
            raise ContractError(f"task {self.name}: rows() yielded {row!r:.60}, allowed are dicts of fields")
        return hashlib.sha256(json.dumps(self.messages(row), ensure_ascii=True).encode()).hexdigest()

    def _held_out_prompts(self) -> set[str]:
        held_out = [split for split in self.has if split != TRAIN]
        sources = [self._source(split, 0) for split in held_out]
        rows = [row for source in sources for row in islice(source, MOST_HELD_OUT)]
        if len(rows) >= MOST_HELD_OUT:
            raise ContractError(
                f'task {self.name}: splits="given" is for a held-out split that ends, this one goes beyond '
                f'{MOST_HELD_OUT:,} rows: use splits="hash", which keeps any generator\'s splits apart'
            )
        return {self.key(row) for row in rows}

    def _check_fields(self, row: Row) -> None:
        for name, reward in self.rewards.items():
            for wanted in reward.reads:
                if wanted not in row:
                    have = ", ".join(key for key in row if key != "task")
                    hint = nearest(wanted, row, f"add {wanted!r} to each row")
                    raise ContractError(
                        f"task {self.name}: reward {name!r} reads the row field {wanted!r}, "
                        f"but rows have {have}: {hint}"
                    )


def split_of(key: str) -> str:
    """The split to which a prompt's hash belongs: 10 % validation, 20 % test, 70 % train, whatever the seed."""
    tenth = int(key[:8], 16) % 10
    for split, share in HELD_OUT_TENTHS.items():
        if tenth < share:
            return split
        tenth -= share
    return TRAIN
