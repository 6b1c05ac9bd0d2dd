"""Answers to prompts: each distinct prompt goes through the model once, its keys and values are stored once.

At every step the unfinished answers advance by one token. All answers of a prompt read the same stored keys in one
product (Hydragen, Juravsky et al., 2402.05099); what is an answer's own is kept beside it. Finished answers leave, and
the next prompts take their places (continuous batching, Orca, Yu et al., OSDI 2022).
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import count
from os.path import commonprefix

import torch

from lab.rollout.attention import PackedBatch, attend, joined
from lab.rollout.layout import Grid, Layout
from lab.rollout.sampling import Sampling, draw
from lab.rollout.weights import laid_out_for_decoding

PREFILL_TOKENS = 2048  # prompt tokens that go through the model at once: enough for fast products, little memory
ROOM = 64  # tokens by which the answers' cache grows
SHARED = 16  # tokens that all prompts begin with, from which on it pays to compute them once
LONG = 24  # tokens of an answer from which on it pays to lay out the weights,
EARLY = 2  # after these, at which an answer may yet have ended
NO_MASK = torch.zeros(1, 1, 1, 1)  # four dimensions: transformers passes such a mask on, and builds none of its own

Ended = list[tuple[int, list[int]]]


@torch.inference_mode()  # a twentieth faster than no_grad: no tensor counts its versions
def generate(
    model,
    prompts: Sequence[Sequence[int]],
    answers_each: Sequence[int],
    sampling: Sampling,
    end_ids: Sequence[int],
    max_tokens: int,
    *,
    noise: torch.Tensor | None = None,
    stopped: Callable[[list[list[int]]], list[bool]] | None = None,
    at_once: int | None = None,
    ended: Callable[[Ended], None] | None = None,
) -> list[list[int]]:
    """`answers_each[i]` answers to `prompts[i]`, one prompt's after the other's, as token ids.

    An answer stops after the first of `end_ids`, which it keeps, or at `max_tokens`. The model's attention
    implementation must be "shared_prefix". Raises NotCoveredError where that does not compute the model's attention.

    noise    (answers, max_tokens) in [0, 1): what each token is drawn with, where it must not depend on the batch
    stopped  the unfinished answers' tokens so far → whether each is to stop for another reason
    at_once  answers in the batch at most, but for a prompt that has more; None: all
    ended    called after each step with the answers that ended in it: (place in the result, token ids), often none
    """
    answers = Answers(answers_each, end_ids, max_tokens, at_once, model.device)
    decoding, logits, warpers, steps = None, None, sampling.warpers(), count()
    with ExitStack() as stack:
        while answers.waiting or decoding is not None:
            if coming := answers.let_in():
                newcomers, first = prefill(model, [prompts[i] for i in coming])
                newcomers.begin(answers.prompts_of(coming))
                first = first[newcomers.prompt_of]
                logits = first if decoding is None else torch.cat([logits, first])
                decoding = newcomers if decoding is None else decoding.joined_by(newcomers)
            for warper in warpers:
                logits = warper(None, logits)
            share = None if noise is None else noise[answers.rows, answers.newest, None].to(torch.float64)
            chosen = logits.max(1).indices if sampling.greedy else draw(logits, share)
            now = answers.add(chosen, stopped)
            if ended is not None:
                ended(now)
            if (keep := answers.worth_keeping()) is not None:
                chosen = chosen[keep]
                decoding = decoding.keep(keep) if len(keep) else None
            if next(steps) == EARLY and max_tokens > LONG:
                stack.enter_context(laid_out_for_decoding(model, len(chosen)))
            if decoding is not None:
                logits = decoding.advance(model, chosen, max_tokens)
    return answers.as_lists()


class Answers:
    """The tokens written so far, which answers are being written, and which prompts still wait.

    Attributes:
        rows: (B,) the answers in the batch, by their places in the result; alive: (B,) those of them that go on
        tokens, lengths: (answers, max_tokens) and (answers,), what is written
    """

    def __init__(self, answers_each: Sequence[int], end_ids: Sequence[int], max_tokens: int, at_once, device):
        self.each, self.max_tokens, self.device = list(answers_each), max_tokens, device
        self.at_once = at_once or sum(self.each)
        self.begun = 0  # prompts that have come in
        self.rows = torch.zeros(0, dtype=torch.long, device=device)
        self.alive = torch.zeros(0, dtype=torch.bool, device=device)
        self.tokens = torch.zeros(sum(self.each), max_tokens, dtype=torch.long, device=device)
        self.lengths = torch.zeros(sum(self.each), dtype=torch.long, device=device)
        self.ends = torch.tensor(list(end_ids), device=device)

    @property
    def waiting(self) -> int:
        return len(self.each) - self.begun

    @property
    def newest(self) -> torch.Tensor:
        """(B,) the place of each row's next token; that of an ended row means nothing."""
        return self.lengths[self.rows].clamp(max=self.max_tokens - 1)

    def let_in(self) -> range:
        """The waiting prompts that come in now: none while fewer than an eighth of the places are free."""
        first, free = self.begun, self.at_once - len(self.rows)
        if 8 * free >= self.at_once:
            while self.waiting and (self.each[self.begun] <= free or free == self.at_once):
                free -= self.each[self.begun]
                self.begun += 1
        begin, end = sum(self.each[:first]), sum(self.each[: self.begun])
        self.rows = torch.cat([self.rows, torch.arange(begin, end, device=self.device)])
        self.alive = torch.nn.functional.pad(self.alive, (0, end - begin), value=True)
        return range(first, self.begun)

    def prompts_of(self, coming: range) -> torch.Tensor:
        """For each answer of the prompts that come in, which of these it belongs to."""
        counts = torch.tensor([self.each[i] for i in coming], device=self.device)
        return torch.arange(len(counts), device=self.device).repeat_interleave(counts)

    def add(self, chosen: torch.Tensor, stopped=None) -> Ended:
        """chosen: (B,) the next token of each of `rows`. Returns the answers that end with it."""
        written, chosen = self.rows[self.alive], chosen[self.alive]
        self.tokens[written, self.lengths[written]] = chosen
        self.lengths[written] += 1
        goes_on = ~torch.isin(chosen, self.ends) & (self.lengths[written] < self.max_tokens)
        if stopped is not None and goes_on.any():
            goes_on[goes_on.clone()] = ~torch.tensor(stopped(self._texts(written[goes_on])), device=self.device)
        self.alive[self.alive.clone()] = goes_on
        over = written[~goes_on]
        return list(zip(over.tolist(), self._texts(over), strict=True))

    def worth_keeping(self) -> torch.Tensor | None:
        """Drops the ended answers from `rows` and returns the places of the others; None while too few have ended."""
        keep = self.alive.nonzero()[:, 0]
        # to copy the others costs as much as to compute a sixteenth, and to make room for prompts twice that
        share = 8 if self.waiting else 16
        if share * len(keep) > (share - 1) * len(self.rows):
            return None
        self.rows, self.alive = self.rows[keep], self.alive[keep]
        return keep

    def as_lists(self) -> list[list[int]]:
        return self._texts(slice(None))

    def _texts(self, rows) -> list[list[int]]:
        return [row[:n] for row, n in zip(self.tokens[rows].tolist(), self.lengths[rows].tolist(), strict=True)]


def prefill(model, prompts) -> tuple["Decoding", torch.Tensor]:
    """The prompts' keys and values, and the logits (P, V) of each answer's first token."""
    shared = min(len(commonprefix(prompts)), min(map(len, prompts)) - 1)
    shared = shared if shared >= SHARED and len(prompts) > 1 else 0
    caches, logits, batch = [], [], []
    for rest in [*(prompt[shared:] for prompt in prompts), None]:
        if batch and (rest is None or sum(map(len, batch)) + len(rest) > PREFILL_TOKENS):
            prefill = Prefill(prompts[0][:shared], batch, model.device)
            layout = prefill.layout
            first = _logits(model, layout.input_ids, layout.position_ids, prefill, logits_to_keep=prefill.last)
            logits.append(first[0])
            caches.append(prefill.cache)
            batch = []
        batch.append(rest)
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
    """A packed row of prompts whose keys and values are kept: layer → (P, K, T, D) each.

    What they all begin with, a system text or worked examples, stands in it once: as a prompt to which the others'
    rests are the answers. `last`: (P,) where each prompt ends in the row.
    """

    def __init__(self, shared: Sequence[int], rests: Sequence[Sequence[int]], device):
        answers = [[*rest, 0] for rest in rests]  # a layout leaves out an answer's last token
        super().__init__(
            Layout([shared], answers, [0] * len(rests), device) if shared else Layout(rests, [], [], device)
        )
        self.rests = self.layout.answers if shared else self.layout.prompts
        self.last = self.rests.begin + self.rests.lengths.cumsum(0) - 1
        self.cache: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def attend(self, layer, query, key, value, scaling):
        self.cache[layer] = tuple(self._whole(x[0].transpose(0, 1)).contiguous() for x in (key, value))
        return super().attend(layer, query, key, value, scaling)

    def _whole(self, packed: torch.Tensor) -> torch.Tensor:
        """(N, K, D) → (P, K, T, D), each prompt's beginning before its rest."""
        rests = self.rests.spread(packed)
        if self.rests is self.layout.prompts:
            return rests
        return torch.cat([self.layout.prompts.spread(packed).expand(len(rests), -1, -1, -1), rests], dim=2)


class Decoding:
    """The answers being written, B of them, and what they attend to: `model(..., shared_prefix=decoding)`.

    Attributes:
        own: layer → the answers' keys and values (B, K, room, D), of which the first `done` are written
        prompt_of: (B,) the prompt of each, ascending; begun: (B,) the first of `done` that is its own
        prompt_mask: (P, 1, 1, T) -inf behind a prompt's end; own_mask: (B, 1, 1, done + 1) -inf before `begun`; None
            where there is nothing to hide
    """

    def __init__(self, cache: dict[int, list[torch.Tensor]], lengths: torch.Tensor):
        """cache: layer → keys and values (P, K, T, D) of the prompts, of `lengths` (P,) tokens each."""
        self.cache, self.lengths = cache, lengths
        self.own: dict[int, list[torch.Tensor]] = {}
        self.done = 0

    @property
    def length(self) -> int:
        return int(self.lengths.max()) + self.done + 1

    def begin(self, prompt_of: torch.Tensor, begun: torch.Tensor | None = None) -> None:
        self.prompt_of = prompt_of
        self.begun = torch.zeros_like(prompt_of) if begun is None else begun
        counts = prompt_of.bincount(minlength=len(self.lengths))
        self.slots = Grid(counts.tolist(), 0, prompt_of.device)
        column = torch.arange(int(self.lengths.max()), device=prompt_of.device)
        self.prompt_mask = _hiding(column >= self.lengths[:, None])

    def keep(self, rows: torch.Tensor) -> "Decoding":
        """Drops all answers but `rows`, the prompts without any left, and what was written before any of them began."""
        begun = self.begun[rows]
        early = int(begun.min())
        self.own = {layer: [x[rows, :, early:] for x in pair] for layer, pair in self.own.items()}
        self.done -= early
        used, prompt_of = self.prompt_of[rows].unique(return_inverse=True)
        if len(used) < len(self.lengths):
            self.lengths = self.lengths[used]
            longest = int(self.lengths.max())
            self.cache = {layer: [x[used, :, :longest] for x in pair] for layer, pair in self.cache.items()}
        self.begin(prompt_of, begun - early)
        return self

    def joined_by(self, other: "Decoding") -> "Decoding":
        """Takes in the answers of `other`, of which nothing is written yet."""
        self.cache = {
            layer: [_stacked(both) for both in zip(pair, other.cache[layer], strict=True)]
            for layer, pair in self.cache.items()
        }
        room = len(other.prompt_of)
        self.own = {
            layer: [torch.cat([x, x.new_zeros(room, *x.shape[1:])]) for x in pair] for layer, pair in self.own.items()
        }
        prompt_of = torch.cat([self.prompt_of, other.prompt_of + len(self.lengths)])
        self.lengths = torch.cat([self.lengths, other.lengths])
        self.begin(prompt_of, torch.cat([self.begun, torch.full_like(other.begun, self.done)]))
        return self

    def advance(self, model, tokens: torch.Tensor, longest: int) -> torch.Tensor:
        """tokens (B,), the answers' newest, of `longest` at most → logits (B, V) of the next."""
        column = torch.arange(self.done + 1, device=tokens.device)
        self.own_mask = _hiding(column < self.begun[:, None])
        # an ended answer that is still in the batch must not go beyond the positions that the model has
        positions = self.lengths[self.prompt_of] + (self.done - self.begun).clamp(max=longest - 1)
        logits = _logits(model, tokens[:, None], positions[:, None], self)[:, 0]
        self.done += 1
        return logits

    def attend(self, layer: int, query, key, value, scaling: float) -> torch.Tensor:
        """query (B, H, 1, D), key and value (B, K, 1, D) of the newest tokens → (B, 1, H, D)."""
        own = self._remembered(layer, key, value)
        to_prompt = attend(self.slots.spread(query[:, :, 0]), *self.cache[layer], scaling, self.prompt_mask)
        # the heads that read the same keys are the rows of one product
        to_own = attend(query.unflatten(1, (key.shape[1], -1)).squeeze(3), *own, scaling, self.own_mask)
        out, _ = joined(*map(self.slots.gather, to_prompt), *(x.flatten(1, 2) for x in to_own))
        return out[:, None]

    def _remembered(self, layer: int, key, value) -> list[torch.Tensor]:
        """Stores the newest keys and values; returns all of the answers' own so far, (B, K, done + 1, D) each."""
        stored = self.own.get(layer, [x[:, :, :0] for x in (key, value)])
        if self.done == stored[0].shape[2]:
            stored = [torch.cat([x, x.new_empty(*x.shape[:2], ROOM, x.shape[3])], dim=2) for x in stored]
        self.own[layer] = stored
        for x, latest in zip(stored, (key, value), strict=True):
            x[:, :, self.done] = latest[:, :, 0]
        return [x[:, :, : self.done + 1] for x in stored]


def _hiding(hidden: torch.Tensor) -> torch.Tensor | None:
    """(R, T) which keys a row must not see → what is added to its scores, (R, 1, 1, T); None where all are seen."""
    if not hidden.any():
        return None
    return torch.zeros(hidden.shape, device=hidden.device).masked_fill_(hidden, float("-inf"))[:, None, None]
