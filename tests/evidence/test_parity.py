"""Parity: green for every bundled task and for oddly shaped templates, red where a stage would see other tokens."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from lab.config import Model
from lab.evidence import parity as module
from lab.evidence.parity import first_difference, parity, renderer_note
from lab.registry import load_task, task_names

TURNS = "{% for m in messages %}<|user|>{{ m['content'] }}<|end|>{% endfor %}"
TEMPLATES = {
    "default system": "{% if messages[0]['role'] != 'system' %}<|begin|>be kind<|end|>{% endif %}"
    + TURNS
    + "{% if add_generation_prompt %}<|assistant|>{% endif %}",
    "prefilled thought": TURNS + "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}",
    "two ends": "<|begin|>" + TURNS + "{% if add_generation_prompt %}<|assistant|>{% endif %}",
}


def shaped(tiny, folder, template, end_ids=None):
    """The tiny checkpoint with another chat template, and other end-of-turn ids in its generation config."""
    shutil.copytree(tiny, folder)
    (folder / "chat_template.jinja").write_text(template)
    if end_ids:
        file = folder / "generation_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "eos_token_id": end_ids}))
    return Model(str(folder))


@pytest.mark.parametrize("name", task_names())
def test_every_bundled_task_is_green(name, tiny, hub_copies):
    result = parity(name, Model(str(tiny)), count=8)
    assert result.same, str(result)
    assert "the same in evaluation, SFT, GRPO, lm-eval" in str(result)


@pytest.mark.parametrize("shape", TEMPLATES)
def test_three_shapes_of_template_are_green(shape, tiny, tiny_renderer, tmp_path):
    ends = [tiny_renderer.tokenizer.eos_token_id, tiny_renderer.tokenizer.pad_token_id] if shape == "two ends" else None
    model = shaped(tiny, tmp_path / "model", TEMPLATES[shape], ends)
    result = parity("countdown", model, count=6)
    assert result.same, str(result)
    right = int(str(result).partition(" of them right")[0].rpartition(" ")[2])
    assert right >= 6  # each gold, also behind the thought that the template began


def test_golds_too_long_for_the_task_are_told(tiny, tmp_path):
    source = Path(load_task("digits").source).read_text().replace("max_tokens=4", "max_tokens=1")
    (tmp_path / "brief.py").write_text(source)
    result = str(parity(str(tmp_path / "brief.py"), Model(str(tiny)), count=4))
    assert "responses: 8 (12 more exceed the task's 1 tokens), 0 of them right" in result


def test_completion_mode_is_green_and_that_of_a_model_without_a_template(tiny, tmp_path):
    assert parity("digits", Model(str(tiny), mode="completion"), count=6).same
    base = shaped(tiny, tmp_path / "base", "")
    (tmp_path / "base" / "chat_template.jinja").unlink()
    result = parity("digits", base, count=6)
    assert result.same and ", plain text\n" in str(result)


GOLDLESS = """
from lab import Task, reward

@reward(reads=["digits"])
def some_digit(response, row):
    return float(response.answer is not None and row["digits"] in response.answer)

def rows(split, rng):
    while True:
        yield {"digits": str(rng.randint(1000, 9999))}

task = Task(rows=rows, prompt="max {digits}", rewards={"some": some_digit()}, gold=None, max_tokens=48)
"""


def test_a_task_without_golds_is_compared_without_sft(tiny, tmp_path):
    (tmp_path / "goldless.py").write_text(GOLDLESS)
    result = parity(str(tmp_path / "goldless.py"), Model(str(tiny)), count=4)
    assert result.same and "the same in evaluation, GRPO, lm-eval" in str(result)
    assert "responses: 20, 9 of them right" in str(result)  # each row's prompt, alone and with the first row's


def test_the_command_takes_a_run_with_the_settings_it_was_trained_with(tiny, tmp_path, capsys):
    from lab import cli
    from lab.config import load_experiment
    from lab.runs import Run, provenance
    from lab.stages.pipeline import load_renderer

    model = shaped(tiny, tmp_path / "model", "{% if curt %}<|begin|>{% endif %}" + TURNS)
    settings = [f"model={model.checkpoint}", "model.chat_template_kwargs={curt: true}", f"output={tmp_path}"]
    experiment = load_experiment("smoke", settings)
    renderer = load_renderer(experiment, model.checkpoint)
    facts = provenance(experiment, {"digits": load_task("digits")}, tiny, renderer.fingerprint)
    made = Run.create(experiment, facts)
    shutil.copytree(model.checkpoint, made.path / "grpo")
    with pytest.raises(typer.Exit) as ended:
        cli.parity("digits", str(made.path), 4)
    assert ended.value.exit_code == 0 and f"renderer {renderer.fingerprint}" in capsys.readouterr().out


def test_a_tokenizer_that_adds_a_token_of_its_own_in_lm_eval_is_red(tiny, tiny_renderer, tmp_path):
    model = shaped(tiny, tmp_path / "model", TURNS + "{% if add_generation_prompt %}<|assistant|>{% endif %}")
    file = tmp_path / "model" / "tokenizer.json"
    tokenizer, begin = json.loads(file.read_text()), "<|begin|>"
    parts = [{"SpecialToken": {"id": begin, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    number = tiny_renderer.tokenizer.convert_tokens_to_ids(begin)
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": parts,
        "pair": [*parts, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {begin: {"id": begin, "ids": [number], "tokens": [begin]}},
    }
    file.write_text(json.dumps(tokenizer))
    result = parity("digits", model, count=4)
    assert not result.same
    assert result.difference.startswith("row 0, token 0: evaluation has") and "lm-eval has" in result.difference


def test_a_score_that_differs_is_red(tiny, monkeypatch):
    from lab.lm_eval_task import LabTask

    honest = LabTask.process_results
    monkeypatch.setattr(LabTask, "process_results", lambda *a: {**honest(*a), "accuracy": 1.0})
    result = parity("digits", Model(str(tiny)), count=4)
    assert "lm-eval scores {'accuracy': 1.0" in result.difference and "parity holds" not in str(result)


def test_the_first_difference_is_shown_with_what_stands_around(tiny_renderer):
    def ids(text):
        return tiny_renderer.tokenizer(text, add_special_tokens=False)["input_ids"]

    same = {"evaluation": [ids("12"), ids("34")], "SFT": [ids("12"), ids("34")]}
    assert first_difference(same, tiny_renderer.tokenizer) == ""
    longer = first_difference({**same, "GRPO": [ids("12"), ids("345")]}, tiny_renderer.tokenizer)
    assert longer.startswith("row 1, token 2: evaluation has the end in") and "GRPO" in longer


def test_a_checkpoint_remembers_its_renderer(tmp_path, tiny_renderer):
    task = load_task("digits")
    from lab.runs import sha256

    facts = {"renderer": tiny_renderer.fingerprint, "tasks": {"digits": {"sha256": sha256(module.Path(task.source))}}}
    (tmp_path / "provenance.json").write_text(json.dumps(facts))
    (tmp_path / "grpo" / "checkpoint-40").mkdir(parents=True)
    tasks = {"digits": task}
    assert renderer_note(tmp_path / "grpo", tiny_renderer, tasks) is None
    assert renderer_note(tmp_path / "no" / "run", tiny_renderer, tasks) is None
    (tmp_path / "provenance.json").write_text(json.dumps({**facts, "renderer": "0" * 16}))
    for checkpoint in ("grpo", "grpo/checkpoint-40"):
        assert "trained with the renderer 0000" in renderer_note(tmp_path / checkpoint, tiny_renderer, tasks)
    exported = tmp_path / "elsewhere" / "to" / "model"
    exported.mkdir(parents=True)
    shutil.copy(tmp_path / "provenance.json", exported / "lab_provenance.json")
    assert "trained with the renderer 0000" in renderer_note(exported, tiny_renderer, tasks)
    (tmp_path / "provenance.json").write_text(json.dumps({**facts, "tasks": {"digits": {"sha256": "1"}}}))
    assert "has changed" in renderer_note(tmp_path / "grpo", tiny_renderer, tasks)


def test_a_prompt_that_a_task_file_imports_is_remembered_too(tmp_path, tiny_renderer):
    from lab.config import Experiment
    from lab.runs import provenance

    neighbour = tmp_path / "asked_by_two.py"
    neighbour.write_text('ASKED = "max {digits}"\n')
    source = Path(load_task("digits").source).read_text().replace('prompt="max {digits}"', "prompt=ASKED")
    (tmp_path / "imports.py").write_text(source.replace("from lab", "from asked_by_two import ASKED\nfrom lab", 1))
    spec = str(tmp_path / "imports.py")
    task = load_task(spec)
    experiment = Experiment("x", Model("tiny"), {spec: 1.0})
    facts = provenance(experiment, {"imports": task}, tmp_path, tiny_renderer.fingerprint)
    (tmp_path / "provenance.json").write_text(json.dumps(facts))
    (tmp_path / "grpo").mkdir()
    assert renderer_note(tmp_path / "grpo", tiny_renderer, {"imports": task}) is None
    for changed in ({"prompt": "largest {digits}"}, {"system": "be brief"}, {"prompt": lambda row: []}):
        other = {"imports": replace(task, **changed)}
        assert "reads otherwise than when" in renderer_note(tmp_path / "grpo", tiny_renderer, other)
