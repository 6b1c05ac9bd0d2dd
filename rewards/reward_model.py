"""reward_model: a sequence classifier scores how good the response is."""

import asyncio
import threading
from functools import lru_cache

from lab import Score, reward

_TURN = threading.Lock()  # a forward pass whose deadline has passed cannot be stopped: the next one waits for it


@reward(reads=["question"], range=(0, 1), version="1", seconds=600, concurrency=1, imports=["torch", "transformers"])
async def reward_model_score(
    response, row, *, model: str = "", revision: str = "main", device: str = "cpu", label: int = 1,
    max_tokens: int = 4096,
):  # fmt: skip
    """The classifier's probability (0 to 1) that the response is good.

    Reads row["question"] and the text after the thinking. `model` is a folder or a hub id (at `revision`) of a model
    for sequence classification, run on `device`: with one output its logit's logistic function, with several the
    softmax share of `label`. The pair is rendered by the tokenizer's chat template, or question and response as a text
    pair where it has none.
    Loaded once a process, in the one worker of asynchronous rewards, and run in a thread, so that the judges beside it
    go on. A truncated or blank response, or one over `max_tokens` with its question: 0. A model that cannot be loaded
    is an exception, hence unscorable.
    Source: Bradley-Terry reward models (Ouyang et al. 2022, arXiv:2203.02155).
    """
    text = (response.final or "").encode("utf-8", "replace").decode().strip()
    if not response.finished or not text:
        return Score(0.0, "truncated or blank")
    return await asyncio.to_thread(
        _probability, str(row["question"]), text, (model, revision, device), label, max_tokens
    )


def _probability(question: str, text: str, source: tuple[str, str, str], label: int, max_tokens: int) -> float | Score:
    import torch

    with _TURN, torch.no_grad():
        tokenizer, classifier = load(*source)
        ids = encode(tokenizer, question, text)
        limit = min(max_tokens, getattr(classifier.config, "max_position_embeddings", None) or max_tokens)
        if len(ids) > limit:
            return Score(0.0, f"{len(ids)} tokens, allowed are {limit}")
        logits_L = classifier(torch.tensor([ids], device=source[2])).logits[0].float()  # L labels
        return float(logits_L.sigmoid()[0] if len(logits_L) == 1 else logits_L.softmax(-1)[label])


def encode(tokenizer, question: str, text: str) -> list[int]:
    """The token ids of question and response, as a conversation where the tokenizer has a chat template."""
    if tokenizer.chat_template:
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
        return tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"]
    return tokenizer(question, text)["input_ids"]


@lru_cache(maxsize=2)
def load(model: str, revision: str, device: str):
    """(tokenizer, classifier in evaluation mode on `device`)."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    if not model:
        raise ValueError('reward_model_score needs model="folder or hub id" of a sequence classifier')
    classifier = AutoModelForSequenceClassification.from_pretrained(model, revision=revision)
    return AutoTokenizer.from_pretrained(model, revision=revision), classifier.to(device).eval()
