"""The experiment's word for its sandbox: checked first, obeyed by the scoring workers, told in the run's record."""

import io
import json

import pytest

from lab import Response
from lab.config import Experiment, Grpo, Model, load_experiment
from lab.errors import ContractError, UserError
from lab.progress import LiveLine
from lab.registry import load_task
from lab.sandbox import UNSAFE, open_sandbox
from lab.sandbox.wasm import missing_packages
from lab.stages.pipeline import audited, scorer_for
from lab.task import Task
from rewards.code import python_function

ADD = {"entry_point": "add", "tests": [{"args": [17, 25], "expected": 42}], "task": "sums"}
SUMS = {"sums": Task(rows=lambda split, rng: [ADD], prompt="add", rewards={"runs": python_function()}, gold=None)}
HONEST, READER = "def add(a, b): return a + b", "def add(a, b): return 42 if open('/etc/hostname').read() else 0"


def experiment(sandbox: str, **sections) -> Experiment:
    return Experiment("test", Model("tiny"), {"sums": 1.0}, sandbox=sandbox, **sections)


def scored(sandbox: str, program: str):
    with scorer_for(experiment(sandbox), SUMS) as scorer:
        [graded] = scorer.grade([Response(program)], [ADD], keep_going=True)
    return graded.scores["runs"]


def test_the_word_is_checked_with_the_rest_of_the_experiment():
    assert load_experiment("smoke").sandbox == "auto"
    for allowed in ("landlock", "wasm", "unsafe", "my.service:factory"):
        assert load_experiment("smoke", [f"sandbox={allowed}"]).sandbox == allowed
    for wrong in ("unsave", "docker", "my.service:", ":factory", "a b:c"):
        with pytest.raises(UserError, match="there is no sandbox .* allowed: auto, landlock, wasm, unsafe, or an ada"):
            load_experiment("smoke", [f"sandbox={json.dumps(wrong)}"])


def test_tasks_know_whether_a_reward_runs_code():
    assert load_task("programs").runs_code and not load_task("digits").runs_code


def test_the_scoring_workers_obey():
    assert scored("auto", READER) == (0.0, "refused")
    assert scored("landlock", READER) == (0.0, "refused")
    assert scored("unsafe", READER).value == 1.0
    assert scored("adapters:oracle", "def add(a, b): return None").value == 1.0


def test_the_scoring_workers_run_the_extra():
    if missing_packages():
        with pytest.raises(ContractError, match=r"pip install 'reasoning-lab\[wasm\]'"):
            scored("wasm", HONEST)
    else:
        assert scored("wasm", HONEST).value == 1.0
        assert scored("wasm", READER).reason.startswith("FileNotFoundError")


def test_the_experiments_word_goes_before_the_environments(monkeypatch):
    monkeypatch.setenv("LAB_SANDBOX", "unsafe")
    assert scored("auto", READER).value == 1.0  # auto asks the environment
    assert scored("landlock", READER) == (0.0, "refused")


def test_a_run_stores_its_tier_and_repeats_the_word_unsafe(lab, tmp_path):
    def evaluated(*arguments):
        few = ("eval.n=2", "eval.max_tokens=4", f"output={tmp_path}")
        done = lab("eval", "smoke", *few, *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        folder = max(tmp_path.glob("smoke/*"), key=lambda path: path.stat().st_mtime_ns)
        return done.stderr, json.loads((folder / "provenance.json").read_text()), (folder / "report.html").read_text()

    told, provenance, report = evaluated("task=programs")
    assert provenance["sandbox"]["tier"] == open_sandbox().tier and not provenance["sandbox"]["unsafe"]
    assert UNSAFE not in told and UNSAFE not in report
    told, provenance, report = evaluated("task=programs", "sandbox=unsafe")
    assert provenance["sandbox"] == {"tier": "D", "name": "unsafe", "mechanism": "rlimits only", "unsafe": True}
    assert UNSAFE in told and f'<aside class="alarm" role="alert"><b>{UNSAFE}</b></aside>' in report
    assert "aside.alarm b { color: var(--bad); }" in report
    told, provenance, report = evaluated("task=digits", "sandbox=unsafe")  # where nothing is run, nothing is unsafe
    assert provenance["sandbox"] is None and UNSAFE not in told + report


def test_a_sandbox_that_cannot_run_is_refused_before_anything_is_made(lab, tmp_path):
    for more in ((), ("--dry-run",)):
        done = lab("eval", "smoke", "task=programs", "sandbox=no_such_module:f", f"output={tmp_path}", *more)
        assert done.returncode == 2 and "adapter 'no_such_module:f' cannot be loaded" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_audit_tries_the_chosen_sandbox_and_the_word_unsafe_accepts_what_it_finds():
    failed = {}
    for word in ("adapters:oracle", "unsafe"):
        chosen = experiment(word, grpo=Grpo(audit="warn"))
        with scorer_for(chosen, SUMS) as scorer:
            failed[word] = audited(chosen, SUMS, scorer)["reason"]
    assert "self-tests hold on tier C" in failed["adapters:oracle"]
    assert "self-tests hold" not in failed["unsafe"]


def test_an_alarm_is_red_on_a_terminal_only():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, expected in ((Terminal(), "\r\x1b[2K\x1b[31mMind\x1b[0m\n"), (io.StringIO(), "Mind\n")):
        LiveLine(stream).alarm("Mind")
        assert stream.getvalue() == expected
