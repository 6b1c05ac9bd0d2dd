"""Checkpoints: a hub id, a folder, a .gguf file or a packaged name → tokenizer and model, or one clear sentence."""

import json
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import gguf_file, packaged
from lab.errors import UserError, nearest
from lab.packaged import KNOWN, Packaged

__all__ = ["KNOWN", "Packaged", "end_of_turn_ids", "listing", "load_model", "load_tokenizer", "resolve"]

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
ALLOWED = "a packaged name (see `lab checkpoints`), a folder, a .gguf file or a hub id such as owner/name"
DTYPES = ("auto", "float32", "bfloat16", "float16")


def resolve(name: str | Path, *, allow_pickle: bool = False) -> Path | str:
    """Where a checkpoint lies: a folder or .gguf file, checked in milliseconds, or the hub id as it is.

    A packaged name gives the folder in the cache, whether it is built already or not; loading builds it. Raises
    UserError for what cannot be a checkpoint: no such path, nothing to load in it, files cut short, pickled weights.
    """
    name = str(name)
    if name in KNOWN:
        folder = KNOWN[name].folder
        if folder.exists():
            _check_folder(folder, allow_pickle)
        return folder
    path = Path(name).expanduser()
    if path.is_dir():
        _check_folder(path, allow_pickle)
        return path
    if path.is_file():
        if path.suffix != ".gguf":
            raise UserError(f"the checkpoint {name!r} is a file but no .gguf: give {ALLOWED}")
        gguf_file.read_header(path)
        return path
    if _looks_like_a_path(name):
        raise UserError(f"there is no checkpoint at {str(path.absolute())!r}: give {ALLOWED}")
    if not HUB_ID.fullmatch(name):
        begun = [known for known in KNOWN if name and known.startswith(name.lower())]
        hint = f"did you mean {begun[0]!r}?" if begun else nearest(name, KNOWN, otherwise=f"give {ALLOWED}")
        raise UserError(f"unknown checkpoint {name!r}: {hint}")
    return name


def _looks_like_a_path(name: str) -> bool:
    beginning = name.split("/")[0]
    return (
        name.count("/") > 1
        or name.startswith((".", "~", "/"))
        or name.endswith((".gguf", "/"))
        or ("/" in name and os.path.isdir(beginning))
    )


def _check_folder(folder: Path, allow_pickle: bool) -> None:
    if not (folder / "config.json").is_file():
        raise UserError(f"the folder {str(folder)!r} is no checkpoint: it has no config.json{_hint(folder)}")
    _read_json(folder / "config.json")
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = sorted(set(_read_json(index).get("weight_map", {}).values()))
    else:
        names = sorted(path.name for path in folder.glob("*.safetensors"))
    for weights in names:
        if not (folder / weights).is_file():
            raise UserError(f"the checkpoint {str(folder)!r} lacks {weights}, which its index names: fetch it again")
        _check_safetensors(folder / weights)
    if names:
        return
    pickled = sorted(path.name for path in folder.glob("pytorch_model*.bin"))
    if not pickled:
        raise UserError(f"the checkpoint {str(folder)!r} has no weights: a model.safetensors is needed{_hint(folder)}")
    if not allow_pickle:
        raise UserError(
            f"the checkpoint {str(folder)!r} has only pickled weights ({pickled[0]}), which can run code as they load: "
            "convert them to safetensors, or set `model.allow_pickle: true` if you trust where they come from"
        )


def _hint(folder: Path) -> str:
    """What the folder holds instead, where that tells what was meant."""
    if (folder / "adapter_config.json").is_file():
        return "; it holds a LoRA adapter: merge it into its base model first"
    if files := sorted(folder.glob("*.gguf")):
        return f"; name the file itself, {str(files[0])!r}"
    if inside := sorted(path.parent for path in folder.glob("*/config.json")):
        return f"; did you mean {str(inside[0])!r}?"
    return ""


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{str(path)!r} is corrupt: it is not JSON ({error}); fetch it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{str(path)!r} is corrupt: a JSON object is needed, not a {type(content).__name__}")
    return content


def _check_safetensors(path: Path) -> None:
    """Compares what the header of a safetensors file promises with the bytes that are there.

    The format: 8 bytes with the header's length N (little endian), N bytes of JSON, then the tensors without gaps.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if start == b"version ":
            raise UserError(f"{str(path)!r} is a git-lfs pointer, not the weights: run `git lfs pull` in its folder")
        if 8 + length > size:
            raise UserError(f"{str(path)!r} is truncated or corrupt: it ends inside its header; fetch it again")
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
            promised = 8 + length + max(ends, default=0)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise UserError(
                f"{str(path)!r} is corrupt: its header is not that of safetensors; fetch it again"
            ) from error
    if promised != size:
        kind = "truncated" if size < promised else "corrupt"
        raise UserError(
            f"{str(path)!r} is {kind}: it has {size:,} bytes where {promised:,} are promised; fetch it again"
        )


def load_tokenizer(name: str | Path, *, trust_remote_code: bool = False, completion_mode: bool = False):
    """The tokenizer of a checkpoint, padding on the left, with a padding token that ends no turn.

    The padding token is one the vocabulary has already; only where it has none that fits, padding stays the end of
    text, as it came. Raises UserError where there is no chat template and `completion_mode` is off.
    """
    source = _fetched(name)
    tokenizer = _read_tokenizer(source, trust_remote_code)
    if tokenizer.chat_template is None and not completion_mode:
        raise UserError(
            f"the checkpoint {str(name)!r} has no chat template: choose an instruction-tuned checkpoint, or set "
            "`model.mode: completion` to prompt this one with plain text"
        )
    tokenizer.padding_side = "left"
    tokenizer.pad_token = _padding_token(tokenizer, end_of_turn_ids(tokenizer, generation_config(source)))
    return tokenizer


def _read_tokenizer(source: Path | str, trust_remote_code: bool):
    from transformers import AutoTokenizer

    with _one_sentence(source):
        if _is_gguf(source):
            return gguf_file.load_tokenizer(source)
        return AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)


def _padding_token(tokenizer, end_ids: tuple[int, ...]) -> str:
    """A token to pad with that never ends a turn, so that no mask made from the padding can hide an end of turn."""
    special = sorted({*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder})
    names = tokenizer.convert_ids_to_tokens(special)
    made_for_it = [n for n in names if "pad" in n.lower() and not re.search("image|vision|video|audio", n.lower())]
    unused = [n for n in names if "reserved" in n or "unused" in n]
    for token in [tokenizer.pad_token, *made_for_it, "<|endoftext|>", tokenizer.unk_token, *unused]:
        if token in names and tokenizer.convert_tokens_to_ids(token) not in end_ids:
            return token
    return tokenizer.pad_token or tokenizer.eos_token


def generation_config(source: Path | str):
    """The generation config that lies beside a checkpoint, or None."""
    from transformers import GenerationConfig

    if _is_gguf(source):
        return None
    try:
        return GenerationConfig.from_pretrained(source)
    except OSError:  # the file is optional
        return None


def end_of_turn_ids(tokenizer, model_or_generation_config=None) -> tuple[int, ...]:
    """All token ids that end the assistant's turn, the one that the chat template writes first.

    They are the template's, the tokenizer's end of text, and those that a model or its generation config declares.
    """
    config = getattr(model_or_generation_config, "generation_config", model_or_generation_config)
    declared = getattr(config, "eos_token_id", None)
    declared = declared if isinstance(declared, list | tuple) else [declared]
    ids = [_template_end(tokenizer), tokenizer.eos_token_id, *declared]
    return tuple(dict.fromkeys(token for token in ids if token is not None))


def _template_end(tokenizer) -> int | None:
    """The first special token after an assistant's message, as the chat template renders it."""
    from jinja2 import TemplateError

    if tokenizer.chat_template is None:
        return None
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "MARKER"}]
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False)
    except TemplateError as error:
        raise UserError(
            f"this checkpoint's chat template cannot render a user's turn and an answer ({error}): choose another "
            "checkpoint, or set `model.mode: completion`"
        ) from error
    after = tokenizer(text.rpartition("MARKER")[2], add_special_tokens=False)["input_ids"]
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    return next((token for token in after if token in special), None)


def load_model(name: str | Path, *, dtype: str = "auto", trust_remote_code: bool = False, allow_pickle: bool = False):
    """A causal language model, on the CPU, whose generation config holds nothing but the special tokens.

    dtype "auto" is bfloat16 where a CUDA device has it, else float32. Every end-of-turn id of `end_of_turn_ids` stops
    its generation; sampling settings that came with the checkpoint are dropped, since `generate` would mix them into
    the sampling of RL and evaluation, which choose their own. A checkpoint that lacks weights is refused.
    """
    from transformers import AutoModelForCausalLM, GenerationConfig

    torch_dtype = _dtype(dtype)
    source = _fetched(name, allow_pickle)
    tokenizer = load_tokenizer(name, trust_remote_code=trust_remote_code, completion_mode=True)
    with _one_sentence(source), gguf_file.no_progress_bars():
        if _is_gguf(source):
            model = gguf_file.load_model(source, torch_dtype)
        else:
            model, info = AutoModelForCausalLM.from_pretrained(
                source,
                dtype=torch_dtype,
                trust_remote_code=trust_remote_code,
                use_safetensors=None if allow_pickle else True,
                output_loading_info=True,
            )
            _check_complete(source, info)
    end_ids = end_of_turn_ids(tokenizer, model)
    _check_vocabulary(source, model, [*end_ids, tokenizer.pad_token_id])
    model.config.pad_token_id = tokenizer.pad_token_id
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=list(end_ids), pad_token_id=tokenizer.pad_token_id
    )
    return model


def _dtype(dtype: str):
    import torch

    if dtype not in DTYPES:
        raise UserError(f"model.dtype is {dtype!r}: give one of {', '.join(DTYPES)}")
    if dtype == "auto":
        return torch.bfloat16 if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else torch.float32
    return getattr(torch, dtype)


def _check_complete(source: Path | str, info: dict) -> None:
    """Refuses weights that transformers would fill in at random, with no more than a warning."""
    absent = sorted(info["missing_keys"]) + sorted(str(key) for key in info["mismatched_keys"])
    if absent:
        raise UserError(
            f"the checkpoint {str(source)!r} lacks {len(absent)} of the weights that its config.json describes, such as "
            f"{absent[0]}: is it a whole causal language model? fetch or export it again"
        )


def _check_vocabulary(source: Path | str, model, token_ids: list[int]) -> None:
    rows = model.get_input_embeddings().weight.shape[0]
    if beyond := [token for token in token_ids if token >= rows]:
        raise UserError(
            f"the checkpoint {str(source)!r} has {rows} embeddings, too few for its special token {beyond[0]}: its "
            "tokenizer belongs to another model, or its embeddings were never resized"
        )


def listing() -> list[dict]:
    """The packaged checkpoints as `lab checkpoints` shows them; `size` in bytes, on disk or to be expected."""
    rows = []
    for name, entry in KNOWN.items():
        cached = entry.folder.exists()
        size = sum(file.stat().st_size for file in entry.folder.iterdir()) if cached else entry.size
        row = {"name": name, "parameters": entry.parameters, "source": entry.source, "licence": entry.licence}
        rows.append({**row, "cached": cached, "path": str(entry.folder), "size": size})
    return rows


def _fetched(name: str | Path, allow_pickle: bool = False) -> Path | str:
    if str(name) in KNOWN:
        packaged.fetch(str(name))
    return resolve(name, allow_pickle=allow_pickle)


def _is_gguf(source: Path | str) -> bool:
    return isinstance(source, Path) and source.suffix == ".gguf"


@contextmanager
def _one_sentence(source: Path | str) -> Iterator[None]:
    """Turns what transformers and the hub raise for a checkpoint they cannot load into a UserError."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        said = " ".join(str(error).split())
        if "trust_remote_code" in said:
            why = "it brings its own Python code, which is off: set `model.trust_remote_code: true` if you trust it"
        elif isinstance(source, Path):
            why = said[:300]
        elif isinstance(error.__cause__, GatedRepoError):
            why = "it is gated: ask for access on its hub page, then run `hf auth login`"
        elif isinstance(error.__cause__, RepositoryNotFoundError):
            why = "the hub has no such repository, or it is private: check the name, or run `hf auth login`"
        elif isinstance(error, OSError) and "connect" in said:
            why = "there is neither such a folder here nor a copy in the hub's cache, and the hub cannot be reached"
        else:
            why = said[:300]
        raise UserError(f"the checkpoint {str(source)!r} cannot be loaded: {why}") from error
