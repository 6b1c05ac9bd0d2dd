import asyncio
import threading
from types import SimpleNamespace

import pytest

from lab import Response
from rewards import reward_model
from rewards.reward_model import load, reward_model_score

ROW = {"question": "what is two and two"}
WORDS = ["[UNK]", "[PAD]", "what", "is", "two", "and", "four", "five", "the", "answer"]


def save_classifier(folder, labels):
    """A tiny random classifier with a word tokenizer of our own."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(WORDS), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_labels=labels, pad_token_id=1, max_position_embeddings=64,
    )  # fmt: skip
    LlamaForSequenceClassification(config).save_pretrained(folder)


@pytest.fixture(scope="module", params=[1, 2])
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(f"classifier{request.param}")
    save_classifier(path, request.param)
    return str(path), request.param


def score(folder, text, **response):
    reward = reward_model_score(model=folder)
    return reward.checked(asyncio.run(reward.score(Response(text, **response), ROW))).value


def test_it_is_the_classifiers_probability(folder):
    import torch

    path, labels = folder
    tokenizer, classifier = load(path, "main", "cpu")
    for text in ("four", "the answer is five"):
        with torch.no_grad():
            logits = classifier(**tokenizer(ROW["question"], text, return_tensors="pt")).logits[0]
        expected = logits.sigmoid()[0] if labels == 1 else logits.softmax(-1)[1]
        assert score(path, text) == pytest.approx(float(expected), abs=1e-6)
    assert score(path, "four") != score(path, "five")
    assert load.cache_info().currsize >= 1 and load(path, "main", "cpu")[1] is classifier


def test_the_thinking_is_not_shown_to_it(folder):
    assert score(folder[0], "<think>five five</think>four") == score(folder[0], "four")


def test_odd_responses_score_lowest_or_plainly(folder):
    for text in ("", "  ", "<think>four", "four " * 200):
        assert score(folder[0], text) == 0
    assert score(folder[0], "four", finished=False) == 0
    assert 0 <= score(folder[0], "\x00 \ud800") <= 1


def test_other_calls_go_on_while_it_computes(monkeypatch):
    import torch

    others_ran, waited = threading.Event(), []

    def classifier(ids):
        waited.append(others_ran.wait(20))
        return SimpleNamespace(logits=torch.zeros(1, 1))

    classifier.config = SimpleNamespace()
    monkeypatch.setattr(reward_model, "load", lambda *source: (None, classifier))
    monkeypatch.setattr(reward_model, "encode", lambda *texts: [1, 2])

    async def together():
        scored = asyncio.create_task(reward_model_score(model="m").score(Response("four"), ROW))
        while not scored.done() and not waited:
            await asyncio.sleep(0.01)
            others_ran.set()
        return await scored

    assert asyncio.run(together()) == 0.5 and waited == [True]


def test_a_missing_model_says_so():
    with pytest.raises(ValueError, match="needs model="):
        score("", "four")
