"""Visits: what a prompt's past groups say about drawing it again."""

import logging
import random
from collections.abc import Collection, Sequence

logger = logging.getLogger(__name__)


class Visits:
    """The prompts of a data set, by index, and which of them are set aside because they taught nothing of late.

    A prompt whose answers all earned the same in `patience` visits running will likely do so the next time (GRESO,
    Zheng et al., 2506.02177). It is set aside for `patience` epochs; then each visit decides anew. Not for good: what
    was hopeless may be learnt meanwhile, and what was solved forgotten. An epoch is as many visits as there are
    prompts. patience 0: none is ever set aside. The same calls give the same draws in every process.
    """

    def __init__(self, prompts: int, patience: int, seed: int):
        self.prompts, self.patience, self.seed = prompts, patience, seed
        self.count = 0  # visits to any prompt
        self.fruitless: dict[int, int] = {}  # prompt → visits without spread running
        self.aside: dict[int, tuple[int, bool]] = {}  # prompt → the count at which it comes back, whether it was solved

    def note(self, prompt: int, spread: bool, solved: bool) -> None:
        """One group more: whether its answers earned differently and, where not, whether all of them were right."""
        self.count += 1
        running = self.fruitless.pop(prompt, 0) + 1
        if spread or not self.patience:
            return
        self.fruitless[prompt] = running
        if running >= self.patience:
            self.aside[prompt] = (self.count + self.patience * self.prompts, solved)

    def replaced(self, prompts: Sequence[int]) -> list[int]:
        """`prompts`, with others in the place of those set aside."""
        awake = set(self._awake(len(prompts)))
        others = iter(self.draw(sum(prompt not in awake for prompt in prompts), prompts))
        return [prompt if prompt in awake else next(others) for prompt in prompts]

    def draw(self, count: int, besides: Collection[int]) -> list[int]:
        """`count` prompts that are not set aside, distinct and none of `besides` where there are enough."""
        rng = random.Random(f"{self.seed} {self.count}")
        awake = self._awake(count)
        others = sorted(set(awake).difference(besides))
        pool = others if len(others) >= count else awake
        return rng.sample(pool, count) if len(pool) >= count else rng.choices(pool, k=count)

    def _awake(self, wanted: int) -> list[int]:
        """The prompts that are not set aside. Where fewer than `wanted` are left, all come back: no run starves."""
        self.aside = {prompt: entry for prompt, entry in self.aside.items() if entry[0] > self.count}
        if self.prompts - len(self.aside) < min(wanted, self.prompts):
            logger.warning(
                "grpo.drop_solved: %d of %d prompts are set aside, %d are wanted: all come back",
                *(len(self.aside), self.prompts, wanted),
            )
            self.aside, self.fruitless = {}, {}
        return [prompt for prompt in range(self.prompts) if prompt not in self.aside]

    def set_aside(self, solved: bool) -> int:
        """How many prompts are set aside as solved, or as hopeless."""
        return sum(was_solved == solved for _, was_solved in self.aside.values())

    def state(self) -> dict:
        """For JSON; `load` takes it back."""
        return {"count": self.count, "fruitless": list(self.fruitless.items()), "aside": list(self.aside.items())}

    def load(self, state: dict) -> None:
        self.count, self.fruitless = state["count"], dict(state["fruitless"])
        self.aside = {prompt: (until, solved) for prompt, (until, solved) in state["aside"]}
