"""vLLM's weights: after each sync a fixed prompt's log-probabilities must be the trainer's own, or the run stops.

A sync that goes wrong (a tensor under a name that vLLM does not know, adapters merged twice, another model served)
raises nothing: answers then come from another policy than the one that is trained, and only the reward suffers.
"""

from collections.abc import Sequence

import torch

from lab.errors import UserError

TOKENS = 256  # of the prompt that are compared, at most


def check_every_sync(trainer, prompt_ids: Sequence[int], allowed: float) -> None:
    """Has each weight sync of TRL's `trainer` followed by the comparison, told as the metric "vllm/sync_gap".

    The gap is the mean over the prompt's tokens of the difference of log-probabilities, in nats. Above `allowed` it is
    a UserError, on every rank. Two tokens at least are needed. vLLM gives a prompt's log-probabilities without the
    sampling's temperature.
    """
    engine, ids = trainer.vllm_generation, list(prompt_ids)[:TOKENS]
    sync = engine.sync_weights

    def checked() -> None:
        sync()
        theirs = _log_probs_of_server(engine, ids) if engine.mode == "server" else _log_probs_here(engine, ids)
        gap = (_own_log_probs(trainer, ids) - theirs).abs().mean()
        gap = trainer.accelerator.gather(gap.to(trainer.accelerator.device)).max().item()
        trainer._metrics["train"]["vllm/sync_gap"].append(gap)
        if not gap <= allowed:
            raise UserError(
                f"after the weight sync of step {trainer.state.global_step + 1}, vLLM and the trainer give a fixed "
                f"prompt's tokens log-probabilities that are {gap:.2g} apart on average, allowed are {allowed:g}: vLLM "
                "does not hold the trained weights; check that it serves the run's own model, update vLLM and TRL, or "
                "set grpo.use_vllm=false (grpo.sync_gap raises the limit)"
            )

    engine.sync_weights = checked


def _own_log_probs(trainer, ids: list[int]) -> torch.Tensor:
    """(T - 1,) of each token but the first. Every rank takes part: under ZeRO-3 each holds a part of the weights."""
    model, device = trainer.model, trainer.accelerator.device
    training, tokens = model.training, torch.tensor(ids, device=device)
    model.eval()
    with torch.no_grad(), trainer.accelerator.autocast():
        logits = model(input_ids=tokens[None], attention_mask=torch.ones_like(tokens[None]), use_cache=False).logits
    model.train(training)
    return logits[0, :-1].float().log_softmax(-1).gather(-1, tokens[1:, None])[:, 0].cpu()


def _log_probs_of_server(engine, ids: list[int]) -> torch.Tensor:
    from lab.distributed import is_main, share_object

    found = None
    if is_main():
        found = engine.vllm_client.get_sequence_logprobs([ids], [1], top_logprobs=1)["actual_logprobs"][0]
    return torch.tensor(share_object(found))[:, 0]


def _log_probs_here(engine, ids: list[int]) -> torch.Tensor:
    from vllm import SamplingParams

    if engine.enable_sleep_mode:  # TRL wakes it again right before it generates, which does nothing then
        engine.llm.wake_up(tags=["kv_cache"])
    wanted = SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=1)
    (output,) = engine.llm.generate([{"prompt_token_ids": ids}], sampling_params=wanted, use_tqdm=False)
    return torch.tensor([place[i].logprob for i, place in zip(ids[1:], output.prompt_logprobs[1:], strict=True)])
