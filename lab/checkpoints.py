"""Checkpoints: a hub id, a folder, a .gguf file or a packaged name → tokenizer and model, or one clear sentence."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import gguf_file, packaged
from lab.errors import UserError
from lab.locate import resolve
from lab.packaged import KNOWN, Packaged

__all__ = ["KNOWN", "Packaged", "end_of_turn_ids", "listing", "load_model", "load_tokenizer", "resolve"]

DTYPES = ("auto", "float32", "bfloat16", "float16")


def load_tokenizer(name: str | Path, *, trust_remote_code: bool = False, completion_mode: bool = False):
    """The tokenizer of a checkpoint, padding on the left, with a padding token that ends no turn.

    The padding token is one the vocabulary has already; only where it has none that fits, padding stays the end of
    text, as it came. Raises UserError where there is no chat template and `completion_mode` is off.
    """
    source = _fetched(name, allow_pickle=True)  # no weights are read here
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
            f"the checkpoint {str(source)!r} lacks {len(absent)} of the weights that its config.json describes, such "
            f"as {absent[0]}: is it a whole causal language model? fetch or export it again"
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
    """What transformers can load: a folder or file that is there, or a hub id that the hub answers for."""
    if str(name) in KNOWN:
        packaged.fetch(str(name))
    source = resolve(name, allow_pickle=allow_pickle)
    return source if isinstance(source, Path) else _ask_hub(source, allow_pickle)


def _ask_hub(hub_id: str, allow_pickle: bool) -> Path | str:
    """The hub id, or its folder in the hub's own cache where the hub cannot be reached.

    Asked once, beforehand: each file that transformers looks for would be tried again and again for half a minute.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        HfApi().model_info(hub_id, timeout=10)
    except RepositoryNotFoundError as error:
        raise UserError(
            f"the hub has no checkpoint {hub_id!r}, or it is private: check the name, or run `hf auth login`"
        ) from error
    except HfHubHTTPError:
        return hub_id  # the hub answered, if with an error of its own: loading may still find all it needs
    except Exception as unreachable:  # each version of the hub's client brings other network errors
        try:
            return resolve(snapshot_download(hub_id, local_files_only=True), allow_pickle=allow_pickle)
        except LocalEntryNotFoundError:
            raise UserError(
                f"the checkpoint {hub_id!r} is neither a folder here nor in the hub's cache, and the hub cannot be "
                f"reached ({' '.join(str(unreachable).split())[:160]}): check the name and the network"
            ) from unreachable
    return hub_id


def _is_gguf(source: Path | str) -> bool:
    return isinstance(source, Path) and source.suffix == ".gguf"


@contextmanager
def _one_sentence(source: Path | str) -> Iterator[None]:
    """Turns what transformers and the hub raise for a checkpoint they cannot load into a UserError."""
    from huggingface_hub.errors import GatedRepoError
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        said = " ".join(str(error).split())
        if "trust_remote_code" in said:
            why = "it brings its own Python code, which is off: set `model.trust_remote_code: true` if you trust it"
        elif isinstance(error.__cause__, GatedRepoError):
            why = "it is gated: ask for access on its hub page, then run `hf auth login`"
        else:
            why = said[:300]
        raise UserError(f"the checkpoint {str(source)!r} cannot be loaded: {why}") from error
