"""Log-probabilities by tiles of logits, against the whole tensor of logits."""

import pytest
import torch

from lab.rollout import logprobs


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_log_probabilities_entropies_and_gradients(bias, temperature, monkeypatch):
    monkeypatch.setattr(logprobs, "ROWS", 4)
    torch.manual_seed(0)
    hidden, weight = torch.randn(10, 8, requires_grad=True), torch.randn(50, 8, requires_grad=True)
    shift = torch.randn(50, requires_grad=True) if bias else None
    inputs = [x for x in (hidden, weight, shift) if x is not None]
    targets, upstream = torch.randint(0, 50, (10,)), torch.randn(10)
    found, entropy = logprobs.TokenLogProbs.apply(hidden, weight, shift, targets, temperature)
    whole = (torch.nn.functional.linear(hidden, weight, shift) / temperature).log_softmax(1)
    expected = whole.gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(found, expected)
    expected_entropy = -(whole.exp() * whole).sum(1)
    torch.testing.assert_close(entropy, expected_entropy)
    for ours, theirs in (((found,), (expected,)), ((entropy, found), (expected_entropy, expected))):
        grads, wanted = (torch.autograd.grad(x, inputs, [upstream] * len(x), retain_graph=True) for x in (ours, theirs))
        for got, expected_grad in zip(grads, wanted, strict=True):
            torch.testing.assert_close(got, expected_grad, rtol=1e-4, atol=1e-5)


def test_no_tensor_of_all_logits_ever_exists(monkeypatch):
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                largest = max(largest, out.numel())
            return out

    monkeypatch.setattr(logprobs, "ROWS", 4)
    hidden, weight = torch.randn(40, 8, requires_grad=True), torch.randn(500, 8, requires_grad=True)
    with Watch():
        found, _ = logprobs.TokenLogProbs.apply(hidden, weight, None, torch.arange(40), 1.0)
        found.sum().backward()
    assert largest == 500 * 8
