"""Several samples a row of a stock task, each scored by itself, where lm-eval would score the first."""

from collections.abc import Sequence
from typing import Any

CHOOSING = {"MajorityVoteFilter", "TakeKFilter"}  # filters that make one answer of several


def unsampled(task) -> str:
    """Why a stock task stays at one answer a row; empty where it need not."""
    steps = {step.func.__name__ for ensemble in task._filters for step in ensemble.filters}
    if task.OUTPUT_TYPE != "generate_until":
        return "compares log-likelihoods, which have no samples: one pass"
    if (task.config.repeats or 1) > 1 or steps & CHOOSING:
        return "makes one answer of several samples by itself, and stays as it is"
    return ""


def sample_each(task, samples: int, remote: bool) -> None:
    """Has a stock task answer each row `samples` times at temperature 1 and score each answer by itself.

    lm-eval's `repeats` alone would generate them and score the first.
    """
    from lm_eval.filters import build_filter_ensemble

    task.set_config("repeats", samples)
    own = task.config.generation_kwargs
    own |= {"do_sample": True, "temperature": own.get("temperature") or 1.0, "top_p": own.get("top_p", 1.0)}
    if not remote:
        own.setdefault("top_k", 0)  # transformers' own is 50
    keep = build_filter_ensemble("", [("take_first_k", {"k": samples})]).filters
    for ensemble in task._filters:
        kept = [step for step in ensemble.filters if step.func.__name__ != "TakeFirstFilter"]
        ensemble.filters = kept + keep
    task.process_results = _averaged(task.process_results, samples)


def _averaged(process_results, samples: int):
    """process_results over several answers: each metric's mean. A metric without a number an answer is left out."""

    def each(doc, results: Sequence[Sequence[Any]]) -> dict[str, float]:
        scored = [process_results(doc, [answers[i] for answers in results]) for i in range(samples)]
        return {
            metric: sum(found[metric] for found in scored) / samples
            for metric in scored[0]
            if all(isinstance(found.get(metric), (bool, int, float)) for found in scored)
        }

    return each
