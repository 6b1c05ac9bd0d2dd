"""Log-probabilities and entropies of tokens from hidden states, a few rows of logits at a time."""

import torch
from trl.trainer.utils import maybe_gather_lm_head_ctx

ROWS = 512  # rows of logits at once, 100 MB for 49,152 words: the weights are read once for all of them


class TokenLogProbs(torch.autograd.Function):
    """log p(target) under softmax((hidden @ weight.T + bias) / temperature), and the entropy of that distribution.

    The logits are computed anew in the backward pass, so that no more than ROWS rows of them ever exist.
    """

    @staticmethod
    def forward(ctx, hidden, weight, bias, targets, temperature: float):
        """hidden (S, D), weight (V, D), bias (V,) or None, targets (S,) → log-probabilities and entropies (S,)."""
        lse, chosen, entropy = (hidden.new_empty(len(hidden), dtype=torch.float32) for _ in range(3))
        for rows, logits in _tiles(hidden, weight, bias, temperature):
            chosen[rows] = logits.gather(1, targets[rows, None])[:, 0]
            highest = logits.amax(1, keepdim=True)
            weights = (logits - highest).exp_()
            total = weights.sum(1)
            lse[rows] = highest[:, 0] + total.log()
            entropy[rows] = lse[rows] - torch.linalg.vecdot(weights, logits) / total
        ctx.save_for_backward(hidden, weight, bias, targets, lse, entropy)
        ctx.temperature = temperature
        ctx.set_materialize_grads(False)
        return chosen - lse, entropy

    @staticmethod
    def backward(ctx, grad, grad_entropy):
        weight, bias = ctx.saved_tensors[1:3]
        with maybe_gather_lm_head_ctx(weight, bias):  # ZeRO-3 has taken them apart since the forward pass
            return TokenLogProbs._gradients(ctx, grad, grad_entropy)

    @staticmethod
    def _gradients(ctx, grad, grad_entropy):
        hidden, weight, bias, targets, lse, entropy = ctx.saved_tensors
        needs_hidden, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        grad_hidden = torch.zeros_like(hidden, dtype=torch.float32) if needs_hidden else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if needs_weight else None
        grad_bias = torch.zeros_like(bias, dtype=torch.float32) if needs_bias else None
        for rows, logits in _tiles(hidden, weight, bias, ctx.temperature):
            log_p = logits.sub_(lse[rows, None])
            # d entropy / d logits = -p (log p + entropy), d log p(target) / d logits = onehot(target) - p
            by_entropy = 0 if grad_entropy is None else (log_p + entropy[rows, None]) * grad_entropy[rows, None]
            scale = torch.zeros_like(lse[rows, None]) if grad is None else grad[rows, None] / ctx.temperature
            slope = (
                log_p.exp_().mul_(-(scale + by_entropy / ctx.temperature)).scatter_add_(1, targets[rows, None], scale)
            )
            slope = slope.to(weight.dtype)
            if needs_hidden:
                grad_hidden[rows] = (slope @ weight).float()
            if needs_weight:
                grad_weight.addmm_(slope.t().float(), hidden[rows].float())
            if needs_bias:
                grad_bias += slope.sum(0)
        cast = [(grad_hidden, hidden), (grad_weight, weight), (grad_bias, bias)]
        return *(None if g is None else g.to(x.dtype) for g, x in cast), None, None


def _tiles(hidden, weight, bias, temperature):
    """Yields (rows, their logits in float32, divided by the temperature)."""
    for begin in range(0, len(hidden), ROWS):
        rows = slice(begin, min(begin + ROWS, len(hidden)))
        logits = torch.nn.functional.linear(hidden[rows].to(weight.dtype), weight, bias).float()
        yield rows, logits if temperature == 1.0 else logits.div_(temperature)
