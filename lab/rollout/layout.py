"""Layout: a batch of prompts and their answers as one row of tokens, without padding and with each prompt once.

With P distinct prompts and B answers, the row holds prompt 0, …, prompt P-1, answer 0, …, answer B-1. An answer of C
tokens contributes C - 1: its last token predicts nothing. Its first is predicted by the prompt's last token.
"""

from collections.abc import Sequence

import torch


class Layout:
    """Where each token of the packed row stands, as index tensors on one device.

    Attributes, for N packed tokens of which M belong to answers (they come last):
        input_ids, position_ids: (1, N)
        prompt_of: (B,) for each answer the index of its prompt
        scored: (S,) for each answer token, in order, the packed position whose hidden state predicts it
        targets: (S,) the answer tokens themselves
        prompts: Grid of the P prompts; answers: Grid of the B answers; groups: Grid of each prompt's answers in a row
        length: the longest prompt and answer together
    """

    def __init__(
        self,
        prompts: Sequence[Sequence[int]],
        answers: Sequence[Sequence[int]],
        prompt_of: Sequence[int],
        device: torch.device | str = "cpu",
    ):
        """prompt_of: for each answer the index of its prompt, ascending. Every prompt and answer has a token."""
        assert list(prompt_of) == sorted(prompt_of), f"answers must be ordered by their prompts, got {list(prompt_of)}"
        kept = [answer[:-1] for answer in answers]
        lengths = [len(prompt) for prompt in prompts]
        ends = torch.tensor(lengths).cumsum(0)
        tokens = [token for part in (*prompts, *kept) for token in part]
        positions = [*map(range, lengths)] + [
            range(lengths[p], lengths[p] + len(answer)) for p, answer in zip(prompt_of, kept, strict=True)
        ]
        self.input_ids = torch.tensor([tokens], device=device)
        self.position_ids = torch.tensor([[i for part in positions for i in part]], device=device)
        self.length = max([*lengths, *(lengths[p] + len(a) for p, a in zip(prompt_of, answers, strict=True))])
        self.targets = torch.tensor([token for answer in answers for token in answer], dtype=torch.long, device=device)
        self.n_prompt_tokens = int(ends[-1])
        self.prompt_of = torch.tensor(list(prompt_of), dtype=torch.long, device=device)

        scored, begin = [], self.n_prompt_tokens
        for p, answer in zip(prompt_of, kept, strict=True):
            scored += [int(ends[p]) - 1, *range(begin, begin + len(answer))]
            begin += len(answer)
        self.scored = torch.tensor(scored, dtype=torch.long, device=device)

        self.prompts = Grid(lengths, 0, device)
        self.answers = Grid([len(answer) for answer in kept], self.n_prompt_tokens, device)
        together = [0] * len(prompts)
        for p, answer in zip(prompt_of, kept, strict=True):
            together[p] += len(answer)
        self.groups = Grid(together, self.n_prompt_tokens, device)


class Grid:
    """Consecutive runs of packed tokens as the rows of a padded rectangle, and back.

    Attributes:
        lengths: (R,) tokens in each run; width: the longest; even: whether all are as long
        within: (R, width) whether a cell belongs to its run
        places: (R, width) packed position of each cell; a cell beyond its run names some other token
        cells: (total,) for each packed token of the runs, in order, its cell in the flattened rectangle
    """

    def __init__(self, lengths: Sequence[int], begin: int, device: torch.device | str):
        self.lengths = torch.tensor(lengths, device=device)
        self.begin, self.total = begin, sum(lengths)
        self.width = max(lengths, default=0)
        column = torch.arange(self.width, device=device)
        starts = begin + self.lengths.cumsum(0) - self.lengths
        within = column < self.lengths[:, None]
        last = begin + max(self.total - 1, 0)
        self.places = (starts[:, None] + column).clamp(max=last)
        self.cells = within.flatten().nonzero()[:, 0]
        self.even = bool(within.all())
        self.within = within

    def spread(self, packed: torch.Tensor) -> torch.Tensor:
        """(N, heads, …) → (R, heads, width, …): what attention kernels take. Even runs are not copied."""
        if self.even:
            runs = packed[self.begin : self.begin + self.total]
            return runs.unflatten(0, (len(self.lengths), self.width)).transpose(1, 2)
        return packed[self.places].transpose(1, 2)

    def gather(self, rectangle: torch.Tensor) -> torch.Tensor:
        """(R, heads, width, …) → (total, heads, …): the runs' tokens in packed order."""
        cells = rectangle.transpose(1, 2).flatten(0, 1)
        return cells if self.even else cells[self.cells]

    def key_mask(self, dtype: torch.dtype) -> torch.Tensor | None:
        """(R, 1, 1, width), 0 on a run's tokens and -inf on padding; None where there is no padding."""
        if self.even:
            return None
        mask = torch.zeros(self.within.shape, dtype=dtype, device=self.within.device)
        return mask.masked_fill_(~self.within, float("-inf"))[:, None, None, :]
