"""Reward: a function that scores one response against its row; declared, picklable, bound to its parameters."""

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, NamedTuple

from lab.errors import ContractError, nearest
from lab.response import Response

Row = Mapping[str, Any]


class Score(NamedTuple):
    """A reward's verdict with its reason. value None means unscorable: it leaves the group's baseline alone."""

    value: float | None
    reason: str = ""


Function = Callable[..., float | None | Score]


def gold_texts(gold) -> list[str]:
    """The answers that a row's gold accepts, as texts: one, or a list of them. Blank, None and NaN accept none."""
    golds = gold if isinstance(gold, list | tuple) else [gold]
    return [str(each) for each in golds if each is not None and each == each and str(each).strip()]


class Recipe:
    """A declared reward function; call it with its parameters to get a Reward.

    reads        the row fields it needs, checked before a model is loaded; a row where one is None or NaN is unscorable
    range        (lowest, highest) value it may return, both finite; anything outside is a bug and raises
    version      to be raised when its verdicts change: cached scores of an older version are not reused
    sees         "response": everything the model wrote; "answer": its answer region and `finished` alone, so that
                 completions that commit to one answer are scored once; or a function that gives the response without
                 what its verdict cannot depend on, which runs in the caller's process: linear in the text's length
    seconds      the deadline of one call; None: the scorer's own, and 30 for an async reward
    imports      heavy modules that the function imports: a worker imports them before any deadline runs
    retries      how often an async reward is tried again after an exception or its deadline
    concurrency  how many calls of an async reward run at once
    runs_code    whether it runs what the model wrote, in the experiment's sandbox
    """

    def __init__(
        self,
        function: Function,
        reads=(),
        range=(0.0, 1.0),
        version="1",
        *,
        sees: "str | Callable[[Response], Response]" = "response",
        seconds: float | None = None,
        imports=(),
        retries: int = 0,
        concurrency: int = 16,
        runs_code: bool = False,
    ):
        functools.update_wrapper(self, function)
        self.function, self.reads, self.range, self.version = function, tuple(reads), tuple(range), str(version)
        self.sees, self.seconds, self.imports = sees, seconds, tuple(imports)
        self.retries, self.concurrency, self.runs_code = retries, concurrency, runs_code
        allowed = {
            f'reads={reads!r}, allowed is a list of row fields such as ["answer"]': not isinstance(reads, str),
            f"range={range!r}, allowed are two finite numbers, the lower one first": _is_range(self.range),
            f'sees={sees!r}, allowed are "response", "answer" and a function': callable(sees)
            or sees in ("response", "answer"),
            f"seconds={seconds!r}, allowed is a time above 0": seconds is None or seconds > 0,
            f"retries={retries!r}, allowed is 0 or more": retries >= 0,
            f"concurrency={concurrency!r}, allowed is 1 or more": concurrency >= 1,
        }
        for said, holds in allowed.items():
            if not holds:
                raise ContractError(f"reward {self!r} declares {said}")
        keywords = inspect.signature(function).parameters.values()
        self.parameters = {p.name: p for p in keywords if p.kind is p.KEYWORD_ONLY}

    def __call__(self, **parameters) -> "Reward":
        for name in parameters:
            if name not in self.parameters:
                hint = nearest(name, self.parameters, f"it takes {', '.join(self.parameters) or 'none'}")
                raise ContractError(f"reward {self.__name__} has no parameter {name!r}: {hint}")
        return Reward(self, parameters)

    def __reduce__(self):  # by name, as functions are pickled
        return self.__qualname__

    def __repr__(self):
        return f"{self.__module__}:{self.__qualname__}"


def reward(*, reads=("answer",), range=(0.0, 1.0), version="1", **declared) -> Callable[[Function], Recipe]:
    """Declares `function(response, row, *, parameters…) -> float | None | Score` (or an `async def`) as a reward.

    The function stands at the top level of a module, so that worker processes find it by name. `declared` takes
    what Recipe lists: sees, seconds, imports, and for an async reward retries and concurrency.
    """
    return lambda function: Recipe(function, reads, range, version, **declared)


@dataclass(frozen=True)
class Reward:
    """A recipe bound to its parameters: what a task lists in `rewards`."""

    recipe: Recipe
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def reads(self) -> tuple[str, ...]:
        """The row fields that it and the rewards among its parameters need."""
        fields = [*self.recipe.reads, *(name for inner in self._inner for name in inner.reads)]
        return tuple(dict.fromkeys(fields))

    @property
    def runs_code(self) -> bool:
        """Whether it, or a reward among its parameters, runs what the model wrote."""
        return self.recipe.runs_code or any(inner.runs_code for inner in self._inner)

    @property
    def _inner(self) -> "list[Reward]":
        values = {name: p.default for name, p in self.recipe.parameters.items()} | dict(self.parameters)
        return [value for value in values.values() if isinstance(value, Reward)]

    @property
    def range(self) -> tuple[float, float]:
        return self.recipe.range

    @functools.cached_property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.recipe.function)

    @functools.cached_property
    def identity(self) -> str:
        """Names the function, its version and its parameters: equal identities give equal scores."""
        values = ", ".join(f"{k}={v!r}" for k, v in sorted(self.parameters.items()))
        return f"{self.recipe!r}@{self.recipe.version}({values})"

    def score(self, response: Response, row: Row):
        """The raw verdict, in this process and without a deadline; for an async reward, its awaitable."""
        for name in self.reads:
            value = row.get(name, "")
            if value is None or (isinstance(value, float) and value != value):  # str() would make it the answer "None"
                nothing = Score(None, f"the row's {name!r} is {value}")
                return _awaitable(nothing) if self.is_async else nothing
        return self.recipe.function(response, row, **self.parameters)

    def checked(self, verdict, where: str = "") -> Score:
        """`verdict` as a Score, or ContractError when it is not None and not a finite number inside the range."""
        value, reason = verdict if isinstance(verdict, Score) else (verdict, "")
        if value is None:
            return Score(None, reason or "unscorable")
        low, high = self.range
        if not isinstance(value, Real) or not low <= value <= high:  # a range is finite, and NaN is in none
            raise ContractError(
                f"reward {self.recipe!r} returned {_shown(value)}{where}, allowed is None or a finite number "
                f"from {low:g} to {high:g}: mend the reward or declare its range"
            )
        return Score(float(value), reason)


async def _awaitable(score: Score) -> Score:
    return score


def _is_range(range: tuple) -> bool:
    finite = [end for end in range if isinstance(end, Real) and abs(end) <= sys.float_info.max]
    return len(finite) == len(range) == 2 and range[0] < range[1]


def _shown(value) -> str:
    try:
        return f"{value!r:.80} ({type(value).__name__})"
    except Exception as error:  # an integer of over 4,300 digits, or a __repr__ that fails
        return f"a value of type {type(value).__name__} that cannot be shown ({type(error).__name__})"


def as_reward(candidate) -> Reward:
    """A Reward as it is, a recipe with its default parameters, or a plain top-level function of (response, row)."""
    if isinstance(candidate, Reward):
        return candidate
    if isinstance(candidate, Recipe):
        return candidate()
    name = getattr(candidate, "__qualname__", "<lambda>")
    if callable(candidate) and "<" not in name:  # no <lambda>, nothing inside a function's <locals>
        return Reward(PlainFunction(candidate.__module__, name))
    raise ContractError(
        f"{_shown(candidate)} is no reward: use a function that stands at the top level of a file, so that worker "
        "processes find it by name, with @reward(reads=[…]) from lab above it"
    )


class PlainFunction(Recipe):
    """An undecorated function as a recipe: reads only the gold, scores from 0 to 1."""

    def __init__(self, module: str, name: str):
        function = functools.reduce(getattr, name.split("."), importlib.import_module(module))
        super().__init__(function, reads=("answer",))

    def __reduce__(self):
        return PlainFunction, (self.__module__, self.__qualname__)

    def __eq__(self, other):
        return isinstance(other, PlainFunction) and self.function is other.function

    def __hash__(self):
        return hash(self.function)
