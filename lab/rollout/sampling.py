"""The next token: the sampling settings of GRPO, and drawing from the distribution that they leave."""

from dataclasses import dataclass

import torch

BLOCK = 256  # words whose probabilities are summed at once


@dataclass(frozen=True)
class Sampling:
    """Which distribution tokens are drawn from; the same settings, in the same order, as transformers' `generate`."""

    temperature: float = 1.0
    top_k: int = 0  # 0: off
    top_p: float = 1.0  # 1: off
    min_p: float | None = None
    greedy: bool = False

    def warpers(self) -> list:
        """transformers' own logits warpers for what is on; temperature 1 and full support need none."""
        from transformers import MinPLogitsWarper, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

        wanted = []
        if self.temperature != 1.0:
            wanted.append(TemperatureLogitsWarper(self.temperature))
        if self.top_k:
            wanted.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1.0:
            wanted.append(TopPLogitsWarper(self.top_p))
        if self.min_p is not None:
            wanted.append(MinPLogitsWarper(self.min_p))
        return wanted


def draw(logits: torch.Tensor, share: torch.Tensor | None = None) -> torch.Tensor:
    """One token a row from softmax(logits): (B, V) → (B,), by inverting the cumulative distribution.

    share: (B, 1) float64 in [0, 1), where in the distribution each row's token lies; drawn here by default.

    One random number a row, where `torch.multinomial` draws one a word; on a CPU that is most of its time. First the
    block in which the cumulative sum passes the number is found, then the word in it. `logits` is overwritten.
    """
    rows, vocabulary = logits.shape
    weights = logits.sub_(logits.amax(1, keepdim=True)).exp_()
    if vocabulary % BLOCK:
        weights = torch.nn.functional.pad(weights, (0, BLOCK - vocabulary % BLOCK))
    blocks = weights.view(rows, -1, BLOCK)
    sums = blocks.sum(2)
    if share is None:
        share = torch.rand(rows, 1, device=logits.device, dtype=torch.float64)
    block, rest = _first_beyond(sums, share)
    chosen = blocks[torch.arange(rows, device=logits.device), block]
    word, _ = _first_beyond(chosen, rest)
    return block * BLOCK + word


def _first_beyond(weights: torch.Tensor, share: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the cumulative sum of `weights` (R, n) first exceeds `share` (R, 1) of the whole, and how far into it.

    share in [0, 1) → index (R,) and the share of that entry's own weight (R, 1), again in [0, 1). In float64, and an
    entry of weight 0 is never chosen: the sum does not grow there.
    """
    reached = weights.double().cumsum(1)
    target = share * reached[:, -1:]
    index = torch.searchsorted(reached, target, right=True).clamp(max=weights.shape[1] - 1)
    before = reached.gather(1, index) - weights.double().gather(1, index)
    inside = ((target - before) / weights.double().gather(1, index)).clamp(0, 1 - 2**-53)
    return index[:, 0], inside
