"""length: a soft penalty on completions that come close to, or pass, a number of tokens."""

from lab import Score, reward


@reward(reads=[], range=(-1, 0), version="1")
def soft_length(response, row, *, max_tokens: int = 1024, buffer: int = 256):
    """0 up to `max_tokens - buffer` tokens, then falling linearly to -1 at `max_tokens`; -1 beyond.

    Reads the completion's own tokens (response.token_ids), no row field. An empty completion is 0 tokens long, and a
    truncated one counts as over-long, -1, whatever its length. Unscorable where only the text is known: characters are
    no tokens. Use it beside a correctness reward, never alone: it is at its best for saying nothing.
    Source: the soft over-long punishment of DAPO (Yu et al. 2025, arXiv:2503.14476, equation 13).
    """
    if not 0 < buffer <= max_tokens:
        raise ValueError(f"buffer={buffer}, max_tokens={max_tokens}: use 0 < buffer <= max_tokens")
    if response.token_ids is None:
        return Score(None, "the completion's tokens are not known")
    if not response.finished:
        return Score(-1.0, "truncated")
    over = len(response.token_ids) - (max_tokens - buffer)
    return Score(0.0 - min(1.0, max(0.0, over / buffer)), f"{len(response.token_ids)} tokens")
