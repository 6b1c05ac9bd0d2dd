"""Attention over a packed row, against ordinary attention over each answer with its prompt."""

import pytest
import torch

from lab.rollout.attention import NotCoveredError, PackedAttention, PackedBatch, attend_by_rows, register
from lab.rollout.layout import Layout

PROMPTS = {
    "even": ([[1] * 5, [2] * 5], [[3] * 4] * 4, [0, 0, 1, 1]),
    "uneven": ([[1] * 2, [2] * 7, [3] * 4], [[4] * 3, [5], [6] * 9, [7] * 2, [8] * 5], [0, 0, 1, 1, 1]),
    "one_token_answers": ([[1] * 3, [2]], [[4], [5]], [0, 1]),
    "prompts_alone": ([[1] * 3, [2] * 6], [], []),
}


@pytest.mark.parametrize("case", PROMPTS)
@pytest.mark.parametrize("attend", [PackedAttention.apply, attend_by_rows], ids=["flash", "rows"])
def test_each_token_attends_to_its_prompt_and_its_own_answer(case, attend):
    prompts, answers, prompt_of = PROMPTS[case]
    layout = Layout(prompts, answers, prompt_of)
    torch.manual_seed(0)
    # large scores: a cell of padding must not leak even where its weight would overflow
    q, k, v = (8 * torch.randn(layout.input_ids.shape[1], heads, 8) for heads in (4, 2, 2))
    q, k, v = (x.requires_grad_() for x in (q, k, v))
    out = attend(q, k, v, layout, 0.3)
    upstream = torch.randn(out.shape)
    grads = torch.autograd.grad(out, (q, k, v), upstream)
    expected = _by_hand(q, k, v, prompts, answers, prompt_of, 0.3)
    expected_grads = torch.autograd.grad(expected, (q, k, v), upstream.double())
    for got, wanted in zip((out, *grads), (expected, *expected_grads), strict=True):
        assert torch.isfinite(got).all()
        torch.testing.assert_close(got.double(), wanted.double(), rtol=1e-3, atol=1e-3)


def _by_hand(q, k, v, prompts, answers, prompt_of, scaling):
    """Every packed token's attention, one by one, in float64."""
    q, k, v = (x.double() for x in (q, k, v))
    k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for x in (k, v))
    spans, begin = [], 0
    for part in (*prompts, *(answer[:-1] for answer in answers)):
        spans.append(range(begin, begin + len(part)))
        begin += len(part)
    out = []
    for index, span in enumerate(spans):
        before = list(spans[prompt_of[index - len(prompts)]]) if index >= len(prompts) else []
        for position in span:
            seen = [*before, *range(span.start, position + 1)]
            scores = torch.einsum("hd,thd->ht", q[position], k[seen]) * scaling
            out.append(torch.einsum("ht,thd->hd", scores.softmax(1), v[seen]))
    return torch.stack(out)


def test_what_it_does_not_compute_is_refused():
    register()
    from transformers import AttentionInterface

    attention = AttentionInterface()["shared_prefix"]
    batch = PackedBatch(Layout([[1] * 9], [], []))
    for other in ({"sliding_window": 8}, {"softcap": 30.0}, {"s_aux": torch.zeros(1)}, {"dropout": 0.1}):
        with pytest.raises(NotCoveredError):
            attention(None, None, None, None, None, shared_prefix=batch, scaling=1.0, **other)


def test_a_layout_without_padding():
    layout = Layout([[1, 2, 3], [4, 5]], [[6, 7], [8], [9, 10, 11]], [0, 0, 1])
    assert layout.input_ids.tolist() == [[1, 2, 3, 4, 5, 6, 9, 10]]
    assert layout.position_ids.tolist() == [[0, 1, 2, 0, 1, 3, 2, 3]]
    assert layout.targets.tolist() == [6, 7, 8, 9, 10, 11]
    assert layout.scored.tolist() == [2, 5, 2, 4, 6, 7]
    assert layout.length == 5
