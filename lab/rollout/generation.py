"""Answers to prompts: each distinct prompt goes through the model once, its keys and values are stored once.

At every step the unfinished answers advance by one token. All answers of a prompt read the same stored keys in one
product (Hydragen, Juravsky et al., 2402.05099); what is an answer's own is kept beside it. Finished answers leave.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import torch

from lab.rollout.attention import PackedBatch
from lab.rollout.layout import Grid, Layout
from lab.rollout.sampling import Sampling, draw
from lab.rollout.weights import laid_out_for_decoding

PREFILL_TOKENS = 8192  # prompt tokens that go through the model at once
ROOM = 64  # tokens by which the answers' cache grows
SHORT = 8  # tokens for which it does not pay to lay out the weights
NO_MASK = torch.zeros(1, 1, 1, 1)  # four dimensions: transformers passes such a mask on, and builds none of its own


@torch.no_grad()
def generate(
    model,
    prompts: Sequence[Sequence[int]],
    answers_each: Sequence[int],
    sampling: Sampling,
    end_ids: Sequence[int],
    max_tokens: int,
    noise: torch.Tensor | None = None,
    stopped: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> list[list[int]]:
    """`answers_each[i]` answers to `prompts[i]`, one prompt's after the other's, as token ids.

    An answer stops after the first of `end_ids`, which it keeps, or at `max_tokens`. noise: (answers, max_tokens) in
    [0, 1), the random number that each token is drawn with, where it must not depend on the batch. stopped: the
    unfinished answers' tokens so far (B, T) → whether each is to stop for another reason (B,). The model's attention
    implementation must be "shared_prefix". Raises NotCoveredError where that does not compute the model's attention.
    """
    decoding, logits = _prefill(model, prompts)
    answers = Answers(answers_each, end_ids, max_tokens, stopped, model.device)
    decoding.begin(answers.prompt_of)
    logits, warpers = logits[answers.prompt_of], sampling.warpers()
    with ExitStack() as stack:
        for step in range(max_tokens):
            for warper in warpers:
                logits = warper(None, logits)
            share = None if noise is None else noise[answers.rows, step, None].to(torch.float64)
            chosen = logits.argmax(1) if sampling.greedy else draw(logits, share)
            answers.add(chosen)
            if not answers.alive.any() or step == max_tokens - 1:
                break
            if (keep := answers.worth_keeping()) is not None:
                chosen = chosen[keep]
                decoding.keep(keep)
            if step == SHORT and max_tokens > 3 * SHORT:
                stack.enter_context(laid_out_for_decoding(model, len(chosen)))
            logits = decoding.advance(model, chosen)
    return answers.as_lists()


class Answers:
    """The tokens written so far, and which of the answers are still being written."""

    def __init__(self, answers_each: Sequence[int], end_ids: Sequence[int], max_tokens: int, stopped, device):
        counts = torch.tensor(answers_each, device=device)
        self.prompt_of = torch.arange(len(counts), device=device).repeat_interleave(counts)
        self.rows = torch.arange(len(self.prompt_of), device=device)  # whose next token is computed
        self.alive = torch.ones_like(self.rows, dtype=torch.bool)  # of `rows`, those that have not ended
        self.tokens = torch.zeros(len(self.rows), max_tokens, dtype=torch.long, device=device)
        self.lengths = torch.zeros_like(self.rows)
        self.ends, self.stopped, self.written = torch.tensor(list(end_ids), device=device), stopped, 0

    def add(self, chosen: torch.Tensor) -> None:
        """chosen: the next token of each of `rows`."""
        self.tokens[self.rows, self.written] = chosen
        self.written += 1
        self.lengths[self.rows[self.alive]] = self.written
        self.alive &= ~torch.isin(chosen, self.ends)
        if self.stopped is not None and self.alive.any():
            unfinished = self.rows[self.alive]
            self.alive[self.alive.clone()] = ~self.stopped(self.tokens[unfinished, : self.written])

    def worth_keeping(self) -> torch.Tensor | None:
        """Drops the ended answers from `rows` and returns the places of the others; None while too few have ended."""
        keep = self.alive.nonzero()[:, 0]
        if 16 * len(keep) > 15 * len(self.rows):  # to copy the others would cost more than to compute a sixteenth
            return None
        self.rows, self.alive = self.rows[keep], self.alive[keep]
        return keep

    def as_lists(self) -> list[list[int]]:
        return [row[:n] for row, n in zip(self.tokens.tolist(), self.lengths.tolist(), strict=True)]


def _prefill(model, prompts) -> tuple["Decoding", torch.Tensor]:
    """The prompts' keys and values, and the logits (P, V) of each answer's first token."""
    caches, logits, batch = [], [], []
    for prompt in [*prompts, None]:
        if batch and (prompt is None or sum(map(len, batch)) + len(prompt) > PREFILL_TOKENS):
            layout = Layout(batch, [], [], model.device)
            prefill = Prefill(layout)
            last = layout.prompts.lengths.cumsum(0) - 1
            logits.append(_logits(model, layout.input_ids, layout.position_ids, prefill, logits_to_keep=last)[0])
            caches.append(prefill.cache)
            batch = []
        batch.append(prompt)
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=model.device)
    cache = {layer: [_stacked([c[layer][i] for c in caches]) for i in (0, 1)] for layer in caches[0]}
    return Decoding(cache, lengths), torch.cat(logits)


def _stacked(parts: list[torch.Tensor]) -> torch.Tensor:
    """(P_i, K, T_i, D) → (sum of P_i, K, longest T_i, D), zeros behind the shorter."""
    width = max(part.shape[2] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, 0, 0, width - part.shape[2])) for part in parts])


def _logits(model, input_ids, position_ids, shared_prefix, **kwargs) -> torch.Tensor:
    mask = NO_MASK.to(input_ids.device)
    return model(
        input_ids=input_ids,
        position_ids=position_ids,
        attention_mask=mask,
        use_cache=False,
        shared_prefix=shared_prefix,
        **kwargs,
    ).logits.float()


class Prefill(PackedBatch):
    """A packed row of prompts whose keys and values are kept: layer → (P, K, T, D) each."""

    def __init__(self, layout: Layout):
        super().__init__(layout)
        self.cache: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def attend(self, layer, query, key, value, scaling):
        spread = (self.layout.prompts.spread(x[0].transpose(0, 1)).contiguous() for x in (key, value))
        self.cache[layer] = tuple(spread)
        return super().attend(layer, query, key, value, scaling)


class Decoding:
    """The unfinished answers, B of them, and what they attend to: `model(..., shared_prefix=decoding)`."""

    def __init__(self, cache: dict[int, list[torch.Tensor]], lengths: torch.Tensor):
        """cache: layer → keys and values (P, K, T, D) of the prompts, of `lengths` (P,) tokens each."""
        self.cache, self.lengths = cache, lengths
        self.own: dict[int, list[torch.Tensor]] = {}  # layer → keys and values (B, K, room, D)
        self.done = 0  # tokens of each answer that are in `own`

    @property
    def length(self) -> int:
        return int(self.lengths.max()) + self.done + 1

    def begin(self, prompt_of: torch.Tensor) -> None:
        """prompt_of: (B,) the prompt of each answer, ascending."""
        self.prompt_of = prompt_of
        counts = prompt_of.bincount(minlength=len(self.lengths))
        self.slots = Grid(counts.tolist(), 0, prompt_of.device)
        self.prompt_mask = None
        if int(self.lengths.min()) < int(self.lengths.max()):
            column = torch.arange(int(self.lengths.max()), device=prompt_of.device)
            beyond = (column >= self.lengths[:, None])[:, None, None]
            self.prompt_mask = torch.zeros(beyond.shape, device=prompt_of.device).masked_fill_(beyond, float("-inf"))

    def keep(self, rows: torch.Tensor) -> None:
        """Drops all answers but `rows`, and the prompts without any left."""
        self.own = {layer: [x[rows] for x in pair] for layer, pair in self.own.items()}
        used, prompt_of = self.prompt_of[rows].unique(return_inverse=True)
        if len(used) < len(self.lengths):
            self.lengths = self.lengths[used]
            longest = int(self.lengths.max())
            self.cache = {layer: [x[used, :, :longest] for x in pair] for layer, pair in self.cache.items()}
        self.begin(prompt_of)

    def advance(self, model, tokens: torch.Tensor) -> torch.Tensor:
        """tokens (B,), the answers' newest → logits (B, V) of the next."""
        positions = (self.lengths[self.prompt_of] + self.done)[:, None]
        logits = _logits(model, tokens[:, None], positions, self)[:, 0]
        self.done += 1
        return logits

    def attend(self, layer: int, query, key, value, scaling: float) -> torch.Tensor:
        """query (B, H, 1, D), key and value (B, K, 1, D) of the newest tokens → (B, 1, H, D)."""
        own_keys, own_values = self._remembered(layer, key, value)
        keys, values = self.cache[layer]
        width, slots, rows = keys.shape[2], self.slots, len(query)
        queries = query.unflatten(1, (key.shape[1], -1)).squeeze(3) * scaling  # (B, K, H / K, D)
        shared = slots.spread(queries).flatten(2, 3) @ keys.transpose(2, 3)  # (P, K, slots × H / K, T)
        if self.prompt_mask is not None:
            shared += self.prompt_mask
        shared = slots.gather(shared.unflatten(2, (slots.width, -1)))
        scores = torch.cat([shared, queries @ own_keys.transpose(2, 3)], dim=3)
        weights = scores.softmax(3, dtype=torch.float32).to(values.dtype)
        shared = slots.spread(weights[..., :width]).flatten(2, 3) @ values
        shared = slots.gather(shared.unflatten(2, (slots.width, -1)))
        return (shared + weights[..., width:] @ own_values).reshape(rows, 1, query.shape[1], -1)

    def _remembered(self, layer: int, key, value) -> list[torch.Tensor]:
        """Stores the newest keys and values; returns all of the answers' own so far, (B, K, done + 1, D) each."""
        if layer not in self.own:
            self.own[layer] = [x.new_empty(*x.shape[:2], ROOM, x.shape[3]) for x in (key, value)]
        if self.done == self.own[layer][0].shape[2]:
            self.own[layer] = [torch.cat([x, torch.empty_like(x)], dim=2) for x in self.own[layer]]
        for stored, new in zip(self.own[layer], (key, value), strict=True):
            stored[:, :, self.done] = new[:, :, 0]
        return [x[:, :, : self.done + 1] for x in self.own[layer]]
