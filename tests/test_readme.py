"""What the README shows is run."""

import re
from pathlib import Path

import pytest

from lab.config import load_experiment
from lab.evidence.audit import audit, task_of
from lab.registry import load_reward, load_task

TEXT = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = {kind: re.findall(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL) for kind in ("python", "yaml")}


def test_there_are_examples():
    assert len(BLOCKS["python"]) >= 2 and len(BLOCKS["yaml"]) >= 1


@pytest.mark.parametrize("number", range(len(BLOCKS["python"])))
def test_the_code_runs(number, tmp_path):
    path = tmp_path / f"readme_{number}.py"
    path.write_text(BLOCKS["python"][number], encoding="utf-8")
    if "task = Task" in BLOCKS["python"][number]:
        task = load_task(str(path))
        assert task.sample("test", 5)
    else:
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), {"__name__": "readme"})


def test_the_reward_passes_its_audit(tmp_path):
    path = tmp_path / "in_order.py"
    path.write_text(next(block for block in BLOCKS["python"] if "@reward" in block), encoding="utf-8")
    golds = ["bee cat mat", "dog fog", "ant sea"]
    rows = [{"question": f"Sort: {gold[::-1]}", "words": gold.split()[::-1], "answer": gold} for gold in golds]
    report = audit(task_of(load_reward(str(path)), rows), rows=rows, quick=True)
    assert not report.failed, report.table()


@pytest.mark.parametrize("text", BLOCKS["yaml"])
def test_the_experiments_load(text, tmp_path):
    path = tmp_path / "readme.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_experiment(str(path)).plan("grpo").prompts == 4


def test_every_verb_that_is_named_exists():
    from lab.cli import app

    verbs = {command.name or command.callback.__name__ for command in app.registered_commands}
    named = {verb for line in re.findall(r"^    (lab .*?)(?:  +#|$)", TEXT, re.MULTILINE) for verb in _verbs(line)}
    assert named <= verbs, named - verbs


def _verbs(line: str) -> set[str]:
    return set(re.findall(r"\blab ([a-z][a-z-]*)", line)) | set(re.findall(r"\| ([a-z]+)", line))
