"""Each mistake: one clear sentence, exit code 2, nothing loaded, no run folder left behind."""

import json
import os
import shutil

import pytest

GOOD = """
from lab import Task
from rewards.numeric import numeric_answer

def rows(split, rng):
    while True:
        n = rng.randint(0, 9999)
        yield {"question": str(n), "answer": str(n)}

task = Task(rows=rows, prompt="{question}", rewards={"correct": numeric_answer()})
"""


@pytest.fixture
def refused(lab, tmp_path):
    """Runs `lab run smoke …`, asserts the refusal, and gives its sentence."""

    def run(*overrides, config="smoke", **options):
        output = options.pop("output", tmp_path / "runs")
        done = lab("run", config, *overrides, f"output={output}", cwd=tmp_path, **options)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "Traceback" not in done.stderr and not list((tmp_path / "runs").glob("*/*"))
        return done.stderr.strip().splitlines()[-1]

    return run


@pytest.fixture
def task_file(tmp_path):
    def write(*changes):
        text = GOOD
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "mine.py"
        path.write_text(text)
        return f"task={path}"

    return write


def test_unknown_key(refused):
    assert refused("grpo.max_stepz=3").endswith("unknown key grpo.max_stepz: did you mean 'max_steps'?")


@pytest.mark.parametrize("given, said", [(["--grpo.max_steps=3"], "=3"), (["--grpo.max_steps", "3"], "=VALUE")])
def test_a_setting_with_dashes(refused, given, said):
    assert refused(*given).endswith(f"settings are given without dashes, as grpo.max_steps{said}")


def test_wrong_type(refused):
    assert "must be a valid number, got 'fast'" in refused("grpo.learning_rate=fast")


def test_a_batch_that_does_not_divide(refused):
    assert "may be 1, 2, 4, 8" in refused("grpo.per_device_train_batch_size=7")


def test_unknown_experiment(refused):
    assert "did you mean 'smoke'" in refused(config="smokey")


def test_unknown_task(refused):
    assert "did you mean 'digits'" in refused("task=digit")


def test_unknown_reward(refused, task_file):
    said = refused(task_file(("rewards.numeric", "rewards.numerik")))
    assert "mine.py:3: ModuleNotFoundError" in said


def test_syntax_error(refused, task_file):
    assert "mine.py:5: syntax error" in refused(task_file(("def rows(split, rng):", "def rows(split, rng:")))


def test_no_rows(refused, task_file):
    said = refused(task_file(("    while True:", "    while False:")))
    assert "task mine has no rows in its train split" in said


def test_a_task_whose_own_code_fails(refused, task_file):
    said = refused(task_file(("    while True:", "    raise OSError('the data are away')\n    while True:")))
    assert "rows('train', rng) fails at" in said and "mine.py:6 (OSError: the data are away)" in said
    said = refused(task_file(('prompt="{question}"', "prompt=lambda row: row['qestion']")))
    assert "prompt(row) fails at" in said and "mine.py:10 (KeyError: 'qestion')" in said


def test_wrong_golds(refused, task_file):
    said = refused(task_file(('"answer": str(n)', '"answer": str(n) + " apples"')))
    assert "golds do not verify" in said and "apples" in said


def test_missing_field(refused, task_file):
    said = refused(task_file(('"answer": str(n)', '"anser": str(n)')))
    assert "reads the row field 'answer'" in said and "did you mean 'anser'" in said


def test_a_bare_string_as_prompt(refused, task_file):
    assert "a list of messages" in refused(task_file(('prompt="{question}"', "prompt=lambda row: row['question']")))


@pytest.mark.parametrize(
    "checkpoint, said",
    [
        ("smollm", "did you mean 'smollm2-135m-instruct'"),
        ("./nowhere", "there is no checkpoint at"),
        ("/no/such/folder", "there is no checkpoint at"),
        ("model.gguf", "there is no checkpoint at"),
    ],
)
def test_missing_checkpoint(refused, checkpoint, said):
    assert said in refused(f"model={checkpoint}")


@pytest.fixture
def copied(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "checkpoint")


def test_a_truncated_checkpoint(refused, copied):
    weights = copied / "model.safetensors"
    os.truncate(weights, weights.stat().st_size - 1000)
    assert "truncated" in refused(f"model={copied}")


def test_a_corrupt_header(refused, copied):
    (copied / "model.safetensors").write_bytes(b"\x10" + bytes(7) + b"not json at all!" + bytes(100))
    assert "corrupt" in refused(f"model={copied}")


def test_no_chat_template(refused, copied):
    (copied / "chat_template.jinja").unlink(missing_ok=True)
    settings = json.loads((copied / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (copied / "tokenizer_config.json").write_text(json.dumps(settings))
    assert "model.mode: completion" in refused(f"model={copied}")


def test_pickled_weights_stay_off(refused, copied):
    (copied / "model.safetensors").unlink()
    (copied / "pytorch_model.bin").write_bytes(b"\x80\x04K\x01.")
    assert "model.allow_pickle: true" in refused(f"model={copied}")


def test_an_unwritable_run_folder(refused, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "cannot be written" in refused(output=tmp_path / "file")


def test_a_benchmark_is_not_trained_on(refused, task_file):
    said = refused(task_file(('prompt="{question}"', 'prompt="{question}", has=("test",)')))
    assert "is a benchmark without training rows" in said


def test_trls_own_objection_is_one_sentence(refused):
    said = refused("grpo.generation_batch_size=100", "sft=null", "eval.base=false")
    assert said.startswith("lab: GRPOConfig refuses these settings: generation_batch_size (100) must be divisible")


def test_a_library_that_a_setting_needs(refused):
    said = refused("grpo.use_liger_kernel=true", "sft=null", "eval.base=false")
    assert "pip install liger-kernel" in said


def test_a_reward_that_can_be_fooled_does_not_train(refused, tmp_path):
    (tmp_path / "leaky.py").write_text(
        "from lab import Task, reward\n"
        "@reward(reads=['answer'])\n"
        "def contains(response, row):\n"
        "    return float(row['answer'] in response.text)\n"
        "def rows(split, rng):\n"
        "    while True:\n"
        "        n = rng.randint(0, 99)\n"
        "        yield {'q': f'{n} + 1', 'answer': str(n + 1)}\n"
        "task = Task(rows=rows, prompt='{q}', rewards={'correct': contains()}, max_tokens=4)\n"
    )
    said = refused(f"task={tmp_path / 'leaky.py'}", "sft=null", "eval.base=false")
    assert "fails its audit" in said and "several answers at once" in said and "grpo.audit=warn" in said
