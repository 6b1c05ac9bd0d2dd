"""Generation from shared prompts: the same tokens, log-probabilities and distribution as transformers' `generate`."""

import copy

import pytest
import torch

from lab.rollout import generation
from lab.rollout.attention import NAME, register
from lab.rollout.generation import generate, prefill
from lab.rollout.sampling import Sampling, draw


@pytest.fixture(scope="module")
def shared(tiny_model):
    register()
    model = copy.deepcopy(tiny_model)
    model.set_attn_implementation(NAME)
    # sharper than untrained weights: an argmax that hangs on the last bit proves nothing
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and "embed" not in name:
                weight *= 2
    return model.eval()


def _prompts(n, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return [torch.randint(20, 250, (3 + i % 11,), generator=rng).tolist() for i in range(n)]


def _by_transformers(model, prompts, ends, max_tokens):
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    settings = {"max_new_tokens": max_tokens, "do_sample": False, "pad_token_id": 0, "eos_token_id": ends}
    out = model.generate(input_ids=ids, attention_mask=mask, **settings)[:, width:].tolist()
    stops = [next((i + 1 for i, token in enumerate(row) if token in ends), len(row)) for row in out]
    return [row[:stop] for row, stop in zip(out, stops, strict=True)]


def test_greedy_tokens_are_those_of_transformers(shared, monkeypatch):
    prompts = _prompts(210)
    ends = list(range(0, shared.config.vocab_size, 9))  # several ids, so that answers end at many lengths
    expected = _by_transformers(shared, prompts, ends, 12)
    assert len({len(answer) for answer in expected}) > 4
    monkeypatch.setattr(generation, "PREFILL_TOKENS", 500)
    found = generate(shared, prompts, [1] * len(prompts), Sampling(greedy=True), ends, 12)
    assert found == expected


def test_answers_of_a_prompt_come_together_and_longer_than_the_cache(shared, monkeypatch):
    monkeypatch.setattr(generation, "ROOM", 4)
    prompts = _prompts(5)
    expected = _by_transformers(shared, prompts, [0], 30)
    found = generate(shared, prompts, [3, 1, 2, 4, 1], Sampling(greedy=True), [0], 30)
    assert found == [answer for answer, n in zip(expected, [3, 1, 2, 4, 1], strict=True) for _ in range(n)]


@pytest.mark.parametrize("at_once", [1, 7, 30])
def test_the_next_prompts_take_the_places_of_finished_answers(shared, at_once):
    """Whatever fits at once, and with a beginning that all prompts share; each end is told once."""
    prompts = [list(range(30, 50)) + prompt for prompt in _prompts(40)]
    ends = list(range(0, shared.config.vocab_size, 9))
    expected = [row for row in _by_transformers(shared, prompts, ends, 12) for _ in range(3)]
    told, widest = [], 0

    def stopped(answers):
        nonlocal widest
        widest = max(widest, len(answers))
        return [False] * len(answers)

    greedy = Sampling(greedy=True)
    found = generate(shared, prompts, [3] * 40, greedy, ends, 12, at_once=at_once, ended=told.extend, stopped=stopped)
    assert found == expected
    assert sorted(told) == list(enumerate(expected))
    assert widest <= max(at_once, 3)


def test_answers_may_end_at_the_last_position_that_the_model_has():
    from transformers import GPT2Config, GPT2LMHeadModel

    register()
    config = GPT2Config(n_layer=1, n_embd=32, n_head=2, vocab_size=50, n_positions=16, bos_token_id=1, eos_token_id=2)
    model = GPT2LMHeadModel(config).eval()
    model.set_attn_implementation(NAME)
    torch.manual_seed(0)
    prompts = [[3 + i, 4 + i, 5 + i, 6 + i] for i in range(40)] * 5
    answers = generate(model, prompts, [1] * len(prompts), Sampling(1.0), [2], 12, at_once=16)
    assert {len(answer) for answer in answers} >= {1, 12}


def test_log_probabilities_after_answers_have_left(shared):
    """Half of the answers leave, the longest prompt with them; what stays still sees its own prompt and tokens."""
    prompts, counts = _prompts(4), [2, 3, 1, 2]
    decoding, _ = prefill(shared, prompts)
    decoding.begin(torch.arange(4).repeat_interleave(torch.tensor(counts)))
    texts = [list(prompts[i]) for i, n in enumerate(counts) for _ in range(n)]
    steps = [(torch.arange(8), None), (torch.arange(8), torch.tensor([0, 2, 4, 5])), (torch.arange(4), None)]
    rng = torch.Generator().manual_seed(3)
    for rows, keep in steps:
        tokens = torch.randint(20, 250, (len(rows),), generator=rng)
        for text, token in zip(texts, tokens.tolist(), strict=True):
            text.append(token)
        with torch.no_grad():
            logits = decoding.advance(shared, tokens, 10)
            for row, text in zip(logits.log_softmax(1), texts, strict=True):
                expected = shared(torch.tensor([text])).logits[0, -1].log_softmax(0)
                assert (row - expected).abs().max() < 1e-4
        if keep is not None:
            decoding.keep(keep)
            texts = [texts[i] for i in keep]
    assert len(decoding.lengths) == 3


def test_a_trainers_answers_are_drawn_from_its_policy(make_trainer, monkeypatch):
    """The log-probabilities under which tokens are drawn are those of the update, to 1e-4."""
    drawn = []

    def recording(logits, share=None):
        logps = logits.log_softmax(1)
        tokens = draw(logits)
        drawn.append(logps.gather(1, tokens[:, None])[:, 0])
        return tokens

    monkeypatch.setattr(generation, "draw", recording)
    trainer = make_trainer(True, temperature=0.8, num_iterations=2)
    trainer.eos_token_ids = []
    trainer.model.train()
    rows = [trainer.train_dataset[i // 4] for i in range(8)]
    batch = trainer._generate_and_score_completions(rows)
    assert (torch.stack(drawn, dim=1) - batch["old_per_token_logps"]).abs().max() < 1e-4


@pytest.mark.parametrize(
    "settings", [{}, {"top_k": 5}, {"top_p": 0.5}, {"min_p": 0.2}, {"temperature": 0.5, "top_k": 20, "top_p": 0.9}]
)
def test_settings_leave_the_distribution_of_transformers(settings):
    from transformers import LogitsProcessorList

    torch.manual_seed(0)
    logits = 2 * torch.randn(1, 300)
    sampling = Sampling(**settings)
    left = LogitsProcessorList(sampling.warpers())(None, logits.clone())
    expected = left.softmax(1)[0]
    counts = torch.bincount(draw(left.expand(40_000, -1).clone()), minlength=300)
    assert not counts[expected == 0].any()
    error = (counts / 40_000 - expected).abs()
    assert (error <= 5 * (expected * (1 - expected) / 40_000).sqrt() + 1e-9).all()


@pytest.mark.parametrize("rows", [2, 64])
def test_weights_laid_out_for_decoding_give_the_same_logits(shared, rows):
    from lab.rollout.weights import laid_out_for_decoding

    ids = torch.tensor([[5, 6, 7], [8, 9, 10]])
    with torch.no_grad():
        expected = shared(ids).logits
        with laid_out_for_decoding(shared, rows):
            assert (shared(ids).logits - expected).abs().max() < 1e-4
            assert "forward" in vars(shared.lm_head)
    assert not any("forward" in vars(module) for module in shared.model.modules())
    assert "forward" not in vars(shared.lm_head)


def test_draw_never_takes_what_has_no_probability():
    logits = torch.full((2000, 600), float("-inf"))
    logits[:, [0, 255, 256, 599]] = 0.0
    chosen = draw(logits)
    assert set(chosen.tolist()) == {0, 255, 256, 599}
