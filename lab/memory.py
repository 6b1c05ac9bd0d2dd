"""The memory a training step takes on one device: an estimate, from shapes alone, before anything is loaded."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from lab.config import Experiment
from lab.plan import BatchPlan
from lab.runs import weight_files

GIB = 2**30
PROMPT = 512  # tokens supposed of a prompt, where nothing is known


@dataclass(frozen=True)
class Shape:
    """What a checkpoint's header and config.json say of its size."""

    parameters: int
    layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    key_values: int  # key and value numbers a layer keeps for one token


@dataclass(frozen=True)
class Memory:
    """Bytes on one device, by what holds them. `offloaded` lies in the machine's main memory instead."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    logits: float
    cache: float  # keys and values while completions are sampled, when nothing of the step is held yet
    offloaded: float = 0.0

    @property
    def total(self) -> float:
        step = self.gradients + self.activations + self.logits
        return self.weights + self.optimizer + max(step, self.cache)

    def table(self) -> str:
        names = ("weights", "gradients", "optimizer", "activations", "logits", "cache", "offloaded", "total")
        cells = [f"{name} {getattr(self, name) / GIB:.2f}" for name in names if getattr(self, name)]
        return "memory a device, an estimate in GiB: " + ", ".join(cells)


def read_shape(checkpoint: Path) -> Shape:
    """The Shape of a checkpoint folder with safetensors files. Raises KeyError or OSError for other architectures."""
    config = json.loads((checkpoint / "config.json").read_text())
    config = config.get("text_config", config)
    heads = config["num_attention_heads"]
    head = config.get("head_dim") or config["hidden_size"] // heads
    return Shape(
        parameters=sum(_numbers_in(file) for file in weight_files(checkpoint)),
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        intermediate=config["intermediate_size"],
        vocabulary=config["vocab_size"],
        key_values=2 * head * (config.get("num_key_value_heads") or heads),
    )


def _numbers_in(file: Path) -> int:
    """How many numbers a safetensors file holds, from its header."""
    with file.open("rb") as stream:
        header = json.loads(stream.read(struct.unpack("<Q", stream.read(8))[0]))
    total = 0
    for name, entry in header.items():
        if name != "__metadata__":
            count = 1
            for size in entry["shape"]:
                count *= size
            total += count
    return total


def estimate(
    shape: Shape,
    plan: BatchPlan,
    prompt_tokens: int = PROMPT,
    zero_stage: int = 0,
    offload: bool = False,
    bf16: bool = True,
    lora_rank: int = 0,
    checkpointing: bool = False,
) -> Memory:
    """What one device holds at the peak of a step of `plan`. An estimate: fragmentation and buffers come on top.

    Bytes a parameter: float32 weights 4, gradients 4, Adam 8; under ZeRO with bfloat16 weights 2, gradients 2, Adam
    with a float32 copy 12, divided as in ZeRO (1910.02054). Activations a layer and token, kept for the backward pass:
    nine vectors of the hidden size and four of the MLP's, attention never storing its matrix. Logits a token: the
    vocabulary three times in float32 (as computed, normalised, and their gradient).
    """
    mixed = bf16 and zero_stage > 0
    trained = _lora_parameters(shape, lora_rank) if lora_rank else shape.parameters
    share = {name: plan.processes if zero_stage >= stage else 1 for name, stage in (("adam", 1), ("grad", 2), ("w", 3))}
    weight_bytes = 2 if mixed or (lora_rank and bf16) else 4
    optimizer = trained * (12 if mixed else 8) / share["adam"]
    weights = shape.parameters * weight_bytes / share["w"]
    offloaded = (optimizer + (weights if zero_stage == 3 else 0)) if offload else 0.0
    completion = plan.tokens or 0
    tokens = plan.micro_batch * (prompt_tokens + completion)
    number = 2 if bf16 else 4
    a_layer = tokens * number * (9 * shape.hidden + 4 * shape.intermediate)
    kept = tokens * number * shape.hidden * shape.layers + a_layer if checkpointing else a_layer * shape.layers
    predicted = plan.micro_batch * (completion or prompt_tokens)  # GRPO keeps the logits of the completion alone
    return Memory(
        weights=0.0 if offload and zero_stage == 3 else weights,
        gradients=trained * (2 if mixed else 4) / share["grad"],
        optimizer=0.0 if offload else optimizer,
        activations=kept,
        logits=3 * 4 * predicted * shape.vocabulary,
        cache=plan.accumulation * tokens * shape.layers * shape.key_values * number if plan.answers > 1 else 0.0,
        offloaded=offloaded,
    )


def _lora_parameters(shape: Shape, rank: int) -> int:
    """Adapters on the query and value projections, peft's default."""
    return shape.layers * rank * 2 * (2 * shape.hidden)


def planned(experiment: Experiment, section: str, plan: BatchPlan, **options) -> str:
    """The estimate for an experiment's stage in one line, or why there is none."""
    from lab.checkpoints import resolve

    folder = resolve(experiment.model.checkpoint, allow_pickle=experiment.model.allow_pickle)
    try:
        shape = read_shape(Path(folder))
    except (OSError, KeyError, ValueError, struct.error):
        return (
            f"memory a device: no estimate, {experiment.model.checkpoint} is not a safetensors folder on this machine"
        )
    arguments = getattr(experiment, section).arguments
    options |= {"lora_rank": experiment.lora.get("r", 8) if experiment.lora else 0}
    memory = estimate(shape, plan, checkpointing=bool(arguments.get("gradient_checkpointing")), **options)
    return f"{memory.table()} (for prompts of {PROMPT} tokens)"
