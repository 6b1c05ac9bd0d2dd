"""repetition: a penalty on completions that say the same over and over."""

from itertools import islice

from lab import Score, reward

MAX_TOKENS = 200_000


@reward(reads=[], range=(-1, 0), version="1")
def no_repetition(response, row, *, n: int = 20, free: float = 0.0):
    """0 when no n-gram of tokens comes twice, falling to -1 as nearly all of them are repeats.

    Reads the completion's own tokens (response.token_ids), no row field: the value is -(share of repeated n-grams),
    the share being 1 - distinct / all, less `free`, the share that costs nothing (0 to 1, rescaled). Fewer than n
    tokens: 0. Only the first 200,000 tokens are counted. Short `n` punish ordinary language, and mathematics repeats
    itself by nature: 20 leaves both alone. Unscorable where only the text is known. Never use it alone.
    Source: the n-gram repetition penalty of "Demystifying Long Chain-of-Thought Reasoning" (Yeo et al. 2025,
    arXiv:2502.03373), over tokens instead of words.
    """
    if n < 1 or not 0 <= free < 1:
        raise ValueError(f"n={n}, free={free}: use n >= 1 and 0 <= free < 1")
    if response.token_ids is None:
        return Score(None, "the completion's tokens are not known")
    tokens = response.token_ids[:MAX_TOKENS]
    count = len(tokens) - n + 1
    if count < 2:
        return 0.0
    distinct = len(set(zip(*(islice(tokens, start, None) for start in range(n)), strict=False)))
    share = 1 - distinct / count
    return Score(0.0 - max(0.0, share - free) / (1 - free), f"{share:.0%} repeated")
