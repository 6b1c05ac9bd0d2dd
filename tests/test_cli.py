"""The command line: what each verb shows, and what a mistake costs."""

import json
import subprocess
import sys

import pytest

from lab.cli import app

VERBS = [command.name or command.callback.__name__ for command in app.registered_commands]
HEAVY = ("torch", "transformers", "trl", "datasets", "lm_eval", "peft", "accelerate", "sympy", "scipy", "pandas")


@pytest.mark.parametrize("arguments", [["--help"], *([verb, "--help"] for verb in VERBS)], ids=" ".join)
def test_help_imports_nothing_heavy(arguments):
    program = (
        "import sys; sys.argv = ['lab', *sys.argv[1:]]\n"
        "from lab.cli import main\n"
        "try: main()\n"
        f"finally: print('heavy:', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert "heavy: []" in done.stdout and "Usage" in done.stdout, done.stdout + done.stderr


def test_tasks_lists_each_with_its_rewards(lab):
    out = lab("tasks").stdout
    described = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert described["digits"].endswith("asked so briefly that a tiny model learns it in seconds.")
    assert "GSM8K" in described["gsm8k"] or "grade" in described["gsm8k"].lower(), described["gsm8k"]


def test_a_task_is_shown_with_prompt_tokens_gold_and_score(lab):
    out = lab("tasks", "digits").stdout
    assert out.count("gold ") == 3 and out.count("correct 1") == 3 and "<|user|>|m|a|x" in out


def test_play_scores_a_person(lab):
    out = lab("play", "arithmetic", "--rows", "2", "--seed", "7", input="nonsense\n").stdout
    assert "wrong: correct 0; gold" in out and "0 of 1 right" in out


def test_new_writes_a_task_that_passes_its_own_test(lab, tmp_path):
    assert lab("new", "mine", "--folder", tmp_path).returncode == 0
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    again = lab("new", "mine", "--folder", tmp_path)
    assert again.returncode == 2 and "exists already" in again.stderr
    assert lab("new", "My Task").returncode == 2


def test_dry_run_shows_the_config_and_the_equation_and_makes_nothing(lab, tmp_path):
    done = lab("run", "smoke", "--dry-run", "grpo.prompts_per_step=4", f"output={tmp_path / 'runs'}")
    assert "4 prompts × 8 answers = 32 rows a step" in done.stdout and "learning_rate: 0.0003" in done.stdout
    assert not (tmp_path / "runs").exists()


def test_config_lists_the_libraries_fields_and_our_reasons(lab):
    out = lab("config", "grpo").stdout
    assert "num_generations" in out and "prompts_per_step" in out and "2503.14476" in out


def test_checkpoints_and_runs(lab, tmp_path):
    assert "smollm2-135m-instruct" in lab("checkpoints").stdout
    assert "no runs under" in lab("runs", tmp_path).stdout


def test_score_rescans_a_stream_and_names_malformed_lines(lab, tmp_path):
    file = tmp_path / "answers.jsonl"
    file.write_text('{"response": "42", "answer": "42"}\nnonsense\n{"response": "41", "answer": "42"}\n')
    done = lab("score", file, "--reward", "numeric")
    piped = lab("score", "-", "--reward", "numeric", input=file.read_text())
    for output in (done.stdout, piped.stdout):
        assert [json.loads(line)["score"] for line in output.splitlines()] == [1.0, 0.0]
    assert "line 2: no JSON" in done.stderr and "2 scored (mean 0.5), 0 unscorable, 1 malformed" in done.stderr
    assert lab("score", tmp_path / "none", "--reward", "numeric").returncode == 2


def test_audit_exits_with_1_for_a_reward_that_can_be_fooled(lab, tmp_path):
    assert lab("audit", "digits", "--quick").returncode == 0
    (tmp_path / "fooled.py").write_text(
        "from lab import reward\n@reward(reads=['answer'])\n"
        "def anywhere(response, row):\n    return float(row['answer'] in response.text)\n"
    )
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"question": "{n}?", "answer": "{n}7"}}\n' for n in range(20)))
    done = lab("audit", "--reward", tmp_path / "fooled.py", "--data", tmp_path / "rows.jsonl", "--json")
    assert done.returncode == 1 and 6 in json.loads(done.stdout)["failed"]
    assert lab("audit").returncode == 2


def test_sandbox_tells_its_tier_and_holds(lab):
    done = lab("sandbox")
    assert done.returncode == 0 and done.stdout.startswith("tier A") and "FAIL" not in done.stdout


def test_parity_of_a_task(lab):
    done = lab("parity", "digits", "--rows", "8")
    assert done.returncode == 0 and "parity holds" in done.stdout
    assert "initialized model" not in done.stderr and "Setting accelerator" not in done.stderr


def test_lm_eval_path_is_a_folder_of_tasks(lab):
    from pathlib import Path

    assert (Path(lab("lm-eval-path").stdout.strip()) / "lab_digits.yaml").is_file()


@pytest.mark.parametrize("verb", ["play", "audit", "parity"])
def test_no_rows_are_no_rows(lab, verb):
    done = lab(verb, "digits", "--rows", "0")
    assert done.returncode == 2 and "--rows" in done.stderr and "Traceback" not in done.stderr


def test_play_with_one_seed_asks_the_same(lab):
    asked = {lab("play", "arithmetic", "--rows", "1", "--seed", "0", input="").stdout for _ in range(2)}
    assert len(asked) == 1 and "user: " in asked.pop()


def test_audit_refuses_options_that_would_do_nothing(lab):
    done = lab("audit", "digits", "--answer", "boxed")
    assert done.returncode == 2 and "--answer with --data" in done.stderr


def test_score_refuses_what_holds_no_answer(lab, tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    done = lab("score", tmp_path / "empty.jsonl", "--reward", "numeric")
    assert done.returncode == 2 and "holds no answer" in done.stderr


def test_every_field_of_ours_says_what_it_is():
    from lab.config import SECTIONS
    from lab.look import fields

    for section, kind in SECTIONS.items():
        listed = {line.split()[0]: line.split("  ")[-1].strip() for line in fields(section).splitlines()[1:]}
        assert all(listed[name] for name in kind.__dataclass_fields__ if name != "arguments")
    assert "nats a token" in fields("grpo") and "packaged name" in fields("model")


def test_a_dry_run_plans_for_the_processes_of_the_preset(lab):
    assert "= 2 processes ×" in lab("grpo", "smoke", "--dry-run", "--accelerate", "cpu2").stdout
    refused = lab("grpo", "smoke", "--dry-run", "--accelerate", "cpu22")
    assert refused.returncode == 2 and "did you mean 'cpu2'" in refused.stderr


def test_what_the_disk_refuses_is_one_sentence(monkeypatch, capsys):
    from lab import cli

    def refused():
        raise PermissionError(13, "Permission denied", "answers.jsonl")

    monkeypatch.setattr(cli, "app", refused)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.startswith("lab: answers.jsonl cannot be read or written (Permission denied)")


def test_ctrl_c_says_how_to_go_on(monkeypatch, capsys, tmp_path):
    from lab.config import load_experiment
    from lab.stages import pipeline

    def interrupted(bench, *_):
        bench.run.write("samples/base.jsonl", "")
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "_stage", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run_experiment(load_experiment("smoke", [f"output={tmp_path}", "eval.n=4"]), ["base"])
    (run,) = tmp_path.glob("smoke/*")
    assert f"`lab resume {run}` goes on" in capsys.readouterr().err and (run / "samples/base.jsonl").is_file()
