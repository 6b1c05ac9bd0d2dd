"""Where a checkpoint lies: a name → a place, its files checked in milliseconds and without a library."""

import json
import os
import re
import struct
from pathlib import Path

from lab import gguf_file
from lab.errors import UserError, nearest
from lab.packaged import KNOWN

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
ALLOWED = "a packaged name (see `lab checkpoints`), a folder, a .gguf file or a hub id such as owner/name"


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


def placed(name: str) -> str:
    """A checkpoint's name as it is, its folder or file by the absolute path, which holds from any folder."""
    path = Path(name).expanduser()
    return str(path.absolute()) if name not in KNOWN and (path.exists() or _looks_like_a_path(name)) else name


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
