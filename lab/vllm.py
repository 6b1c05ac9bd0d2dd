"""vLLM as the sampler: what `grpo.use_vllm` needs, checked before a model loads. TRL does the rest."""

import importlib.util

from lab.config import Experiment
from lab.errors import UserError

SHARE = 0.3  # of a GPU's memory that vLLM takes where it is not told, as in TRL


def check_settings(experiment: Experiment, processes: int, longest: int) -> None:
    """UserError for settings that cannot work on `processes` GPUs with completions of `longest` tokens."""
    arguments = experiment.grpo.arguments if experiment.grpo else {}
    if not arguments.get("use_vllm"):
        return
    share = arguments.get("vllm_gpu_memory_utilization", SHARE)
    if not 0 < share < 1:
        raise UserError(
            "grpo.vllm_gpu_memory_utilization is the share of a GPU's memory that vLLM takes, above 0 and below 1, "
            f"got {share}"
        )
    parallel = arguments.get("vllm_tensor_parallel_size", 1)
    if arguments.get("vllm_mode", "colocate") == "colocate" and (parallel < 1 or processes % parallel):
        fitting = ", ".join(str(n) for n in range(1, processes + 1) if processes % n == 0)
        raise UserError(
            f"grpo.vllm_tensor_parallel_size {parallel} does not divide {processes} process{'es' * (processes > 1)}: "
            f"it may be {fitting}"
        )
    longest = arguments.get("max_completion_length") or longest
    room = arguments.get("vllm_max_model_length")
    if room is not None and room <= longest:
        raise UserError(
            f"grpo.vllm_max_model_length {room} leaves no room for a prompt beside completions of {longest} tokens: "
            "raise it, or leave it out"
        )


def check_installed(experiment: Experiment) -> None:
    """UserError, with how to mend it, where vLLM is asked for and absent."""
    if experiment.grpo and experiment.grpo.arguments.get("use_vllm") and importlib.util.find_spec("vllm") is None:
        raise UserError(
            "grpo.use_vllm is true, but vLLM is not installed: `pip install 'reasoning-lab[vllm]'` on a machine with a "
            "GPU, or set grpo.use_vllm=false"
        )
