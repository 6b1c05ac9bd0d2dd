"""The audit: a good reward passes, and every planted hole trips the probe that was made for it."""

import json
from dataclasses import replace

import bad_code
import bad_rewards
import pytest

from lab import Response, Task, reward
from lab.config import Experiment, Grpo, Model
from lab.errors import UserError
from lab.evidence.audit import MUST_HOLD, audit, read_rows, task_for, task_of
from lab.evidence.probes import PROBES
from lab.evidence.probes.context import totals_of
from lab.evidence.report import warnings
from lab.registry import load_reward, load_task, task_names
from lab.reward import Recipe, as_reward
from lab.scoring import Scorer
from lab.stages.pipeline import audited

GOLDS = ["42", "1234", "-17", "3.25", "108", "7", "95", "0.5", "2001", "64", "-3", "881"]
ROWS = [{"question": f"What is {3 * i} + {i}, or so?", "answer": gold} for i, gold in enumerate(GOLDS, start=20)]
WORDS = [{"question": f"What is {word[0]}?", "answer": word} for word in ("hydrogen peroxide", "a small blue car")]
PLANTED = [value for value in vars(bad_rewards).values() if isinstance(value, Recipe)]


def holes(report) -> dict[int, str]:
    return {finding.number: finding.verdict for finding in report.findings if finding.verdict in ("warn", "FAIL")}


def test_the_probes_are_26_and_those_that_must_hold_are_named():
    assert sorted(PROBES) == list(range(1, 27))
    assert MUST_HOLD == (1, 3, 4, 5, 6, 7, 10, 15, 16, 17, 18, 19, 20, 21, 24, 25)
    planted = {int(recipe.__name__.rpartition("_")[2]) for recipe in PLANTED}
    assert set(MUST_HOLD) - planted == {25}


@pytest.mark.parametrize("recipe", PLANTED, ids=lambda recipe: recipe.__name__)
def test_a_planted_hole_trips_its_probe(recipe):
    number = int(recipe.__name__.rpartition("_")[2])
    region = "<answer>" if number == 10 else "everything"
    rows = WORDS if recipe in (bad_rewards.similar_7, bad_rewards.anagram_7) else ROWS
    report = audit(task_of(recipe(), rows, region), rows=rows, probes=[number])
    assert holes(report) == {number: "FAIL" if number in MUST_HOLD else "warn"}
    assert [finding.number for finding in report.failed] == ([number] if number in MUST_HOLD else [])


def test_a_refused_surface_form_is_shown_as_it_was_written():
    (finding,) = audit(task_of(load_reward("numeric"), ROWS, "boxed"), rows=ROWS, probes=[2]).findings
    assert finding.detail == 'refused: "x = 42"'
    rows = [{"question": "?", "answer": "\ud800 \x1b[31m\n\\frac"}]
    (finding,) = audit(task_of(load_reward("exact"), rows), rows=rows, probes=[2]).findings
    assert r'"\ud800 \x1b[31m\n\frac."' in finding.detail


def test_a_sandbox_that_holds_nothing_trips_its_probe(monkeypatch):
    monkeypatch.setenv("LAB_SANDBOX", "bad_code:leaky")
    report = audit(task_of(bad_code.runs_it_25(), ROWS), rows=ROWS, probes=[25])
    assert holes(report) == {25: "FAIL"}
    assert "self-tests hold on tier unsafe" in report.findings[0].detail


def test_a_reward_that_takes_another_rows_program_trips_its_probe():
    task = replace(load_task("programs"), rewards={"correct": bad_code.defines_it_7()})
    assert holes(audit(task, rows=4, probes=[7])) == {7: "FAIL"}


@pytest.mark.parametrize("name", ["numeric", "math"])
@pytest.mark.parametrize("region", ["everything", "boxed", "last line", "<answer>"])
def test_a_good_reward_passes_every_probe_in_every_region(name, region):
    report = audit(task_of(load_reward(name), ROWS, region), rows=ROWS)
    assert holes(report) == {}
    assert {finding.number for finding in report.findings if finding.verdict == "n/a"} == {22, 25}
    assert region in report.format


SLOW = ("humaneval", "mbpp")  # the sandbox's own attacks, which `programs` has, too


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in task_names()])
def test_every_bundled_task_is_green(name, hub_copies):
    report = audit(load_task(name), quick=True)
    assert not report.failed, report.table()


def test_the_accepted_format_is_found_where_the_region_alone_is_not_enough():
    task = Task(
        rows=lambda split, rng: iter(ROWS),
        prompt="{question}",
        rewards={"correct": load_reward("numeric"), "shape": load_reward("format")},
        gates={"correct": "shape"},
        answer="<answer>",
        name="gated",
    )
    report = audit(task, rows=ROWS)
    assert report.format == "a thought, then the region"
    assert not report.failed, report.table()


@pytest.mark.parametrize(
    "fooled", [as_reward(bad_rewards.takes_blanks), load_reward("exact")], ids=["fooled", "refusing"]
)
def test_blank_golds_fail_the_first_probe(fooled):
    rows = [{"question": row["question"], "answer": blank} for row, blank in zip(ROWS, ["", None, "42", " "])]
    report = audit(task_of(fooled, rows, "<answer>"), rows=rows, probes=[1, 3])
    assert report.failed[0].number == 1
    assert "3 golds are blank" in report.failed[0].detail


def test_a_reward_that_judges_no_answer_is_still_tried_on_the_machine():
    report = audit(task_of(load_reward("format"), ROWS), rows=ROWS, quick=True)
    verdicts = {finding.number: finding.verdict for finding in report.findings}
    assert {verdicts[number] for number in (1, 3, 4, 5, 6, 7, 10, 25)} == {"n/a"}
    assert {verdicts[number] for number in (15, 16, 17, 18, 19, 20, 21)} == {"ok"}


@pytest.mark.parametrize("name", ["format", "length", "repetition", "language"])
def test_a_reward_that_reads_no_row_field_needs_no_rows(name):
    report = audit(task_for(load_reward(name)), quick=True)
    assert not report.failed, report.table()


def test_where_several_answers_are_right_only_a_wrong_one_takes_the_right_one_back():
    rows = [{"question": f"Name a number, not {n}.", "schema": {"type": "integer"}, "answer": str(n)} for n in (3, 14)]
    report = audit(task_of(load_reward("json_schema"), rows), rows=rows, probes=[10])
    assert not report.failed, report.table()


def test_a_judge_that_is_not_there_fails_the_first_probe_and_is_asked_no_more():
    judge = load_reward("judge").recipe(url="http://127.0.0.1:9/v1", model="none")
    report = audit(task_of(judge, ROWS[:2]), rows=ROWS[:2], quick=True)
    assert [finding.number for finding in report.failed] == [1]
    assert report.responses == 2
    assert {finding.verdict for finding in report.findings[1:]} == {"n/a"}
    assert "none can be scored" in report.findings[0].detail


def test_a_models_answers_tell_whether_there_is_signal():
    task = task_of(load_reward("numeric"), ROWS)
    assert holes(audit(task, rows=ROWS, probes=[22], totals=[[1.0, 0.0, None]] * 8)) == {}
    assert holes(audit(task, rows=ROWS, probes=[22], totals=[[0.0, 0.0, None]] * 8)) == {22: "warn"}


@reward(reads=[])
def even_length(response, row):
    return float(len(response.text) % 2 == 0)


def test_a_checkpoint_is_asked_for_the_groups_of_a_step():
    task = replace(load_task("digits"), rewards={"correct": even_length})
    totals = totals_of("tiny", task)
    assert [len(group) for group in totals] == [8] * 8
    found = audit(task, rows=2, probes=[22], totals=totals).findings[0]
    assert found.verdict == "ok"
    assert "over 64 answers" in found.detail


def test_a_gold_that_always_stands_at_one_place_of_the_prompt_is_a_leak():
    rows = [{"question": f"Add them up. Answer: {gold} Go.", "answer": gold} for gold in GOLDS]
    assert holes(audit(task_of(load_reward("numeric"), rows), rows=rows, probes=[26])) == {26: "warn"}
    choice = load_task("largest")
    assert holes(audit(choice, probes=[26])) == {}


@pytest.mark.parametrize("word, said", [("warn", "several answers at once"), ("off", "turned off")])
def test_a_run_that_goes_on_without_a_green_audit_says_so(word, said):
    task = task_of(bad_rewards.substring_6(), ROWS)
    experiment = Experiment("e", Model("tiny"), {"t": 1.0}, grpo=Grpo(audit=word))
    with Scorer({task.name: task}, workers=1) as scorer:
        provenance = {"audit": audited(experiment, {task.name: task}, scorer)}
    (warning,) = warnings({"stages": {}}, provenance, [])
    assert warning.startswith("The reward audit was overridden: ") and said in warning


def test_the_report_is_a_table_and_json_with_examples():
    report = audit(task_of(bad_rewards.substring_6(), ROWS), rows=ROWS, probes=[1, 6])
    told = json.loads(report.json())
    assert told["failed"] == [6]
    assert [finding["verdict"] for finding in told["findings"]] == ["ok", "FAIL"]
    assert told["findings"][1]["examples"][0]["score"] == 1.0
    table = report.table()
    assert "  6  FAIL  several answers at once" in table
    assert "must hold and does not: 6 several answers at once" in table


def test_a_scorer_can_be_shared_and_stays_open():
    task = load_task("arithmetic")
    with Scorer({"arithmetic": task}, workers=1) as scorer:
        assert not audit(task, quick=True, scorer=scorer).failed
        row = task.sample("train", 1)[0]
        assert scorer.grade([Response(row["answer"])], [row])[0].primary == 1.0


def test_a_reward_alone_takes_the_rows_of_a_bundled_task():
    task = task_for(load_reward("numeric"))
    assert not audit(task, quick=True).failed
    with pytest.raises(UserError, match="--data"):
        task_for(bad_rewards.substring_6())


def test_a_reward_alone_takes_the_rows_of_a_file(tmp_path):
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n\n" for row in ROWS))
    assert not audit(task_for(load_reward("math"), str(data), "boxed"), quick=True).failed
    data.write_text('{"answer": "\u2028"}\n\n{"answer": "1"}\n', encoding="utf-8")
    assert [row["answer"] for row in read_rows(data)] == ["\u2028", "1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"answer": "1"}\n\n[[3, 4]]\n', "line 3 is a JSON list"),
        ('""', "line 1 is a JSON str"),
        ("{", "line 1 is no JSON"),
        ("\n \n", "holds no rows"),
        ("\udcff", "cannot be read"),
    ],
)
def test_a_file_that_holds_no_rows_is_refused(tmp_path, text, said):
    data = tmp_path / "rows.jsonl"
    data.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=said):
        task_for(load_reward("math"), str(data))


BAD_TASK = """
from lab import Task, reward

@reward()
def substring(response, row):
    return float(row["answer"] in response.text)

def rows(split, rng):
    while True:
        a, b = rng.randint(10, 99), rng.randint(10, 99)
        yield {"question": f"{a} + {b}?", "answer": str(a + b)}

task = Task(rows=rows, prompt="{question}", rewards={"correct": substring})
"""


def test_the_command_exits_with_1_where_a_probe_that_must_hold_does_not(lab, tmp_path):
    (tmp_path / "bad.py").write_text(BAD_TASK)
    done = lab("audit", tmp_path / "bad.py", "--quick", "--json")
    assert done.returncode == 1, done.stderr
    assert {6, 7, 10} <= set(json.loads(done.stdout)["failed"])
    done = lab("audit", "arithmetic", "--quick")
    assert (done.returncode, done.stderr) == (0, "")
    assert "accepted format: the answer in its region (everything)" in done.stdout


def test_an_unknown_probe_is_refused():
    with pytest.raises(UserError, match="numbered 1 to 26"):
        audit(load_task("arithmetic"), probes=[27])
