"""GGUF files, the format of llama.cpp: checked without libraries, loaded as an ordinary transformers model.

The layout (magic, metadata, tensor table, data) is that of the GGUF specification, version 2 and 3.
"""

import io
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

from lab.errors import UserError

NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
LENGTH = struct.Struct("<Q")


def read_header(path: Path) -> dict:
    """The metadata of a GGUF file, in milliseconds; an array stands as its length.

    Raises UserError where the file is no GGUF, or ends before a tensor that its own table promises.
    """
    size = path.stat().st_size
    if size < 24:
        raise UserError(f"{path} is no whole GGUF file: it has only {size} bytes; fetch it again")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] != b"GGUF":
            raise UserError(f"{path} is no GGUF file: it starts with {data[:4]!r}, not with b'GGUF'; fetch it again")
        try:
            metadata, needed = _Walk(data).header()
        except (struct.error, KeyError, UnicodeDecodeError, OverflowError) as error:
            raise UserError(f"{path} is truncated or corrupt: its header breaks off; fetch it again") from error
    if size < needed:
        raise UserError(
            f"{path} is truncated: it has {size:,} bytes, and its last tensor starts at {needed:,}; fetch it again"
        )
    return metadata


class _Walk:
    """A cursor over the bytes of a GGUF header."""

    def __init__(self, data: mmap.mmap):
        self.data, self.at = data, 4

    def header(self) -> tuple[dict, int]:
        """(metadata, the byte at which the last tensor starts)."""
        version, tensors, entries = self.number("I"), self.number("Q"), self.number("Q")
        if version not in (2, 3):
            raise KeyError(version)
        metadata = {self.text(): self.value(self.number("I")) for _ in range(entries)}
        offsets = [self.tensor_offset() for _ in range(tensors)]
        alignment = metadata.get("general.alignment", 32)
        start = -(-self.at // alignment) * alignment
        return metadata, start + max(offsets, default=0)

    def number(self, code: str):
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def text(self) -> str:
        length = self.number("Q")
        self.at += length
        return self.data[self.at - length : self.at].decode()

    def value(self, kind: int):
        if kind == STRING:
            return self.text()
        if kind != ARRAY:
            return self.number(NUMBERS[kind])
        kind, length = self.number("I"), self.number("Q")
        if kind in NUMBERS:
            self.at += length * struct.calcsize("<" + NUMBERS[kind])
        elif kind == STRING:
            for _ in range(length):  # a vocabulary: skipped without decoding, which would take most of the time
                self.at += 8 + LENGTH.unpack_from(self.data, self.at)[0]
        else:
            raise KeyError(kind)
        return length

    def tensor_offset(self) -> int:
        self.text()
        dimensions = self.number("I")
        self.at += 8 * dimensions + 4  # the shape, and how the numbers are quantised
        return self.number("Q")


def load_tokenizer(path: Path):
    """The tokenizer inside a GGUF file, as a transformers tokenizer."""
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    if read_header(path).get("tokenizer.ggml.pre") == "smollm":
        # transformers splits as GPT-2 does and so joins a space to a digit; this model was trained on single digits.
        digits = pre_tokenizers.Digits(individual_digits=True)
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level])
    return tokenizer


def load_model(path: Path, dtype):
    """The model inside a GGUF file, its weights dequantised to `dtype`, free to be trained and saved."""
    from transformers import AutoModelForCausalLM

    # The bar of the dequantisation answers to no setting; it is all that writes to stderr here.
    with no_progress_bars(), redirect_stderr(io.StringIO()):
        quantized = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=dtype)
        # transformers marks this model as quantised and refuses to save it, although its weights are plain by now:
        # the same weights under the same config without that mark are an ordinary model.
        config = quantized.config
        del config.quantization_config
        return type(quantized).from_pretrained(None, config=config, state_dict=quantized.state_dict(), dtype=dtype)


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Silences transformers' bars where a load takes a second and the bars would only flicker."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
