"""Attention over a packed row (see layout.py), registered with transformers as the implementation "shared_prefix".

An answer's token attends to its prompt and to its own answer so far. These are two attentions over disjoint keys,
joined by their log-sum-exps, as in ring attention (Liu et al., 2310.01889) and Hydragen (Juravsky et al., 2402.05099):
the first takes all answers of a prompt as one long query against keys that are stored once. The backward pass of each
part is that of an ordinary attention, given the joint output and the joint log-sum-exp.
"""

import torch
from torch.nn.functional import scaled_dot_product_attention

from lab.rollout.layout import Layout

NAME = "shared_prefix"


class NotCoveredError(Exception):
    """What this attention does not compute; the message says what. The caller takes TRL's path instead."""


def rotates_by_length(config) -> bool:
    """Whether the rotary frequencies depend on the longest sequence beside a token: a batch then changes its rows."""
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [part.get("rope_type") for part in (rope, *rope.values()) if isinstance(part, dict)]
    return "dynamic" in kinds or "longrope" in kinds


def register() -> None:
    """Makes `model.set_attn_implementation("shared_prefix")` possible; without a layout it is "sdpa"."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def attention(module, query, key, value, attention_mask, shared_prefix=None, **kwargs):
        """query (1, H, N, D), key and value (1, K, N, D), H a multiple of K → ((1, N, H, D), None)."""
        if shared_prefix is None:
            return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
        _check_covered(kwargs, shared_prefix)
        return shared_prefix.attend(module.layer_idx, query, key, value, kwargs["scaling"]), None

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def _check_covered(kwargs: dict, batch) -> None:
    window = kwargs.get("sliding_window")
    if window is not None and batch.length > window:
        raise NotCoveredError(f"sequences of {batch.length} tokens exceed the sliding window of {window}")
    if kwargs.get("dropout"):
        raise NotCoveredError("attention dropout is on")
    for name in ("softcap", "s_aux", "position_bias"):
        if kwargs.get(name) is not None:
            raise NotCoveredError(f"the attention has a {name}")


class PackedBatch:
    """A Layout to train on: `model(..., shared_prefix=PackedBatch(layout))`."""

    def __init__(self, layout: Layout):
        self.layout, self.length = layout, layout.length

    def attend(self, layer: int, query, key, value, scaling: float) -> torch.Tensor:
        """query (1, H, N, D), key and value (1, K, N, D) → (1, N, H, D), with gradients."""
        # (N, heads, D): a token's heads lie together, so that gathering tokens moves whole rows
        packed = [x[0].transpose(0, 1) for x in (query, key, value)]
        if query.device.type == "cpu":
            return PackedAttention.apply(*packed, self.layout, scaling)[None]
        return attend_by_rows(*packed, self.layout, scaling)[None]


class PackedAttention(torch.autograd.Function):
    """The CPU's: PyTorch's flash kernels for prompts, prompt keys and answer keys, nothing repeated in memory."""

    @staticmethod
    def forward(ctx, query, key, value, layout: Layout, scaling: float):
        out, lse = torch.empty_like(query, memory_format=torch.contiguous_format), query.new_empty(query.shape[:2])
        n = layout.n_prompt_tokens
        keys, values = layout.prompts.spread(key), layout.prompts.spread(value)
        found = _flash(layout.prompts.spread(query), keys, values, scaling, causal=True)
        out[:n], lse[:n] = map(layout.prompts.gather, found)
        if layout.answers.total:
            mask = layout.prompts.key_mask(query.dtype)
            to_prompt = _flash(layout.groups.spread(query), keys, values, scaling, mask=mask)
            own = _flash(*map(layout.answers.spread, (query, key, value)), scaling, causal=True)
            out[n:], lse[n:] = joined(*map(layout.groups.gather, to_prompt), *map(layout.answers.gather, own))
        ctx.save_for_backward(query, key, value, out, lse)
        ctx.layout, ctx.scaling = layout, scaling
        return out

    @staticmethod
    def backward(ctx, grad):
        query, key, value, out, lse = ctx.saved_tensors
        layout, scaling = ctx.layout, ctx.scaling
        grads = [torch.empty_like(x, memory_format=torch.contiguous_format) for x in (query, key, value)]
        n = layout.n_prompt_tokens
        keys, values = layout.prompts.spread(key), layout.prompts.spread(value)

        def part(grid, keys, values, causal=False, mask=None):
            """The gradients of one part, in the rectangles of `grid` (queries) and of the keys."""
            of_output, queries, outputs, normaliser = (grid.spread(x) for x in (grad, query, out, lse))
            if not grid.even:  # a cell beyond its run is a copy of some token: its weights are made exp(-1e30) = 0
                normaliser = normaliser.masked_fill(~grid.within[:, None], 1e30)
            return _flash_backward(of_output, queries, keys, values, outputs, normaliser, scaling, causal, mask)

        of_prompts = part(layout.prompts, keys, values, causal=True)
        if layout.answers.total:
            mask = layout.prompts.key_mask(query.dtype)
            of_groups = part(layout.groups, keys, values, mask=mask)
            own = part(layout.answers, layout.answers.spread(key), layout.answers.spread(value), causal=True)
            grads[0][n:] = layout.groups.gather(of_groups[0]) + layout.answers.gather(own[0])
            for i in (1, 2):
                grads[i][n:] = layout.answers.gather(own[i])
                of_prompts[i].add_(of_groups[i])
        for i in (0, 1, 2):
            grads[i][:n] = layout.prompts.gather(of_prompts[i])
        return *grads, None, None


def _flash(query, key, value, scaling, causal=False, mask=None):
    """(R, H, Q, D), (R, K, T, D) → output (R, H, Q, D) and log-sum-exp (R, H, Q)."""
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, causal, attn_mask=mask, scale=scaling
    )


def attend(query, key, value, scaling, mask=None):
    """The same on any device, without gradients: mask (R, 1, 1, T) is added to the scores."""
    if query.device.type == "cpu":
        return _flash(query, key, value, scaling, mask=mask)
    rows = query.unflatten(1, (key.shape[1], -1)).flatten(2, 3)  # (R, K, H / K × Q, D): the same keys for all of them
    scores = (rows @ key.transpose(2, 3)).float() * scaling
    scores = scores if mask is None else scores + mask
    out, lse = scores.softmax(3).to(value.dtype) @ value, scores.logsumexp(3)
    return out.view(*query.shape[:3], -1), lse.view(query.shape[:3])


def _flash_backward(grad, query, key, value, out, lse, scaling, causal, mask) -> list[torch.Tensor]:
    return list(
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            grad, query, key, value, out, lse, 0.0, causal, attn_mask=mask, scale=scaling
        )
    )


def joined(out, lse, other, other_lse):
    """Two attentions of the same queries over disjoint keys, as one: (M, H, D) and (M, H) each."""
    share = (lse - other_lse).sigmoid_().unsqueeze(-1).to(out.dtype)
    return torch.lerp(other, out, share), torch.logaddexp(lse, other_lse)


def attend_by_rows(query, key, value, layout: Layout, scaling: float) -> torch.Tensor:
    """The same for any device, from ordinary attention: each answer's keys are its prompt's and its own, in a row.

    (N, H, D), (N, K, D) twice → (N, H, D). Prompt keys are repeated for each answer, one layer at a time.
    """
    prompts, answers = layout.prompts, layout.answers
    keys, values = prompts.spread(key), prompts.spread(value)
    attend = {"scale": scaling, "enable_gqa": query.shape[1] != key.shape[1]}
    out = prompts.gather(scaled_dot_product_attention(prompts.spread(query), keys, values, is_causal=True, **attend))
    if not answers.total:
        return out
    of = layout.prompt_of
    causal = torch.ones(answers.width, answers.width, dtype=torch.bool, device=query.device).tril()
    seen = torch.cat([prompts.within[of][:, None].expand(-1, answers.width, -1), causal.expand(len(of), -1, -1)], dim=2)
    keys = torch.cat([keys[of], answers.spread(key)], dim=2)
    values = torch.cat([values[of], answers.spread(value)], dim=2)
    own = scaled_dot_product_attention(answers.spread(query), keys, values, attn_mask=seen[:, None], **attend)
    return torch.cat([out, answers.gather(own)])
