"""`lab score`: saved answers scored anew, as a stream and as a run folder."""

import io
import json
import subprocess
import sys

import pandas
import pytest

from lab import Response
from lab.errors import ContractError, UserError
from lab.registry import load_reward
from lab.rescore import LONGEST_LINE, lines_of, rescore_stream
from lab.rescore_run import group_advantages, rescore_run, table

HALF = """
from lab import reward

@reward(reads=[])
def half(response, row):
    return 0.5

@reward(reads=[])
def too_much(response, row):
    return 2.0

@reward(reads=[])
def last_digit(response, row):
    if not response.text:
        return None
    return int(response.text[-1]) / 9 if response.text[-1].isdigit() else 0.0
"""


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    path = tmp_path_factory.mktemp("rewards") / "mine.py"
    path.write_text(HALF)
    return str(path)


def rescored(lines, name="numeric", **options):
    out, complaints = io.StringIO(), []
    tally = rescore_stream(lines, load_reward(name), out, complain=complaints.append, **options)
    return tally, [json.loads(line) for line in out.getvalue().splitlines()], complaints


# ---- streams


def test_each_line_comes_back_with_score_reason_and_seconds():
    lines = [
        json.dumps({"response": "42", "answer": "42", "id": 7, "note": "\ud800 é"}),
        json.dumps({"response": "41", "answer": "42"}),
        json.dumps({"response": "42", "answer": "42", "finished": False}),
        json.dumps({"response": "</think>42", "answer": "42", "prefilled": "<think>\n"}),
        json.dumps({"response": "42", "answer": "not a number"}),
    ]
    tally, out, complaints = rescored(lines)
    assert [line["score"] for line in out] == [1.0, 0.0, 0.0, 1.0, None]
    assert {key: out[0][key] for key in ("response", "answer", "id", "note")} == json.loads(lines[0])
    assert out[4]["reason"]
    assert all(line["seconds"] >= 0 for line in out)
    assert (tally.scored, tally.unscorable, tally.malformed, tally.mean) == (4, 1, 0, 0.5)
    assert complaints == []


def test_a_malformed_line_is_named_and_counted_and_the_rest_goes_on():
    good = json.dumps({"response": "42", "answer": "42"})
    bad = [
        "{",
        "[1]",
        json.dumps({"answer": "42"}),
        json.dumps({"response": ["42"], "answer": "42"}),
        json.dumps({"response": "42"}),
        json.dumps({"response": "42", "answer": "42", "finished": "no"}),
        b'{"response": "\xff", "answer": "42"}',
        "[" * 100_000,
    ]
    lines = [good, "", *(line for each in bad for line in (each, good)), "\n"]
    tally, out, complaints = rescored(lines)
    assert [line["score"] for line in out] == [1.0] * 9
    assert tally.malformed == len(bad)
    assert [complaint.partition(":")[0] for complaint in complaints] == [f"line {n}" for n in range(3, 19, 2)]
    assert "'answer'" in complaints[4]
    assert "8 malformed" in str(tally)


def test_a_long_line_is_never_held_whole(monkeypatch):
    monkeypatch.setattr("lab.rescore.LONGEST_LINE", 1000)
    good = json.dumps({"response": "42", "answer": "42"})
    text = f"{good}\n{json.dumps({'response': 'x' * 5000, 'answer': '42'})}\n{good}\n{good}"
    lines = list(lines_of(io.BytesIO(text.encode())))
    assert max(map(len, lines)) == 1000 < LONGEST_LINE
    tally, out, complaints = rescored(lines)
    assert (len(out), tally.malformed, complaints) == (3, 1, ["line 2: longer than 1000 bytes"])


def test_the_stream_is_written_while_it_is_read():
    out, written = io.StringIO(), []

    def lines():
        for i in range(2_000):
            written.append(len(out.getvalue().splitlines()))
            yield json.dumps({"response": str(i), "answer": "1"})

    tally = rescore_stream(lines(), load_reward("numeric"), out)
    assert tally.scored == 2_000
    assert max(i - n for i, n in enumerate(written)) <= 256


def test_a_batch_is_bounded_by_whole_lines(monkeypatch):
    monkeypatch.setattr("lab.rescore.BATCH_CHARACTERS", 1000)
    out, written = io.StringIO(), []

    def lines():
        for _ in range(20):
            written.append(len(out.getvalue().splitlines()))
            yield json.dumps({"response": "1", "answer": "1", "context": "x" * 600})

    assert rescore_stream(lines(), load_reward("numeric"), out).scored == 20
    assert max(i - n for i, n in enumerate(written)) <= 2


def test_the_region_can_be_given_and_is_asked_for_where_nothing_is_read():
    lines = [json.dumps({"response": f"So it is \\boxed{{{i}}}.", "answer": str(i)}) for i in range(4)]
    tally, out, _ = rescored(lines, region="boxed")
    assert [line["score"] for line in out] == [1.0] * 4
    assert "--answer" not in str(tally)
    tally, out, _ = rescored(lines)
    assert tally.mean == 0 and "--answer boxed" in str(tally)
    tally, out, _ = rescored(lines, name="math")
    assert [line["score"] for line in out] == [1.0] * 4


def test_an_unknown_region_is_refused():
    with pytest.raises(UserError, match='"boxed"'):
        rescored([], region="box")


def test_a_rewards_own_bug_is_refused(mine):
    with pytest.raises(ContractError, match="returned 2.0"):
        rescored([json.dumps({"response": "42"})], name=f"{mine}:too_much")


def test_what_cannot_be_scored_is_null_with_its_reason(mine):
    _, out, _ = rescored([json.dumps({"response": ""}), json.dumps({"response": "9"})], name=f"{mine}:last_digit")
    assert [(line["score"], bool(line["reason"])) for line in out] == [(None, True), (1.0, False)]


# ---- group advantages


def test_group_advantages_are_grpos():
    assert group_advantages([1.0, 0.0, 0.0, 1.0], 4) == pytest.approx([0.86588, -0.86588, -0.86588, 0.86588], abs=1e-4)
    assert group_advantages([1.0, 1.0, 0.0, 0.0], 2) == [0.0] * 4
    assert group_advantages([1.0, 0.0, None, 0.0, 0.0, 0.0], 3, "none") == [0.5, -0.5, 0.0, 0.0, 0.0, 0.0]
    spread = group_advantages([1.0, 0.0, 3.0, 0.0], 2, "batch")
    assert spread[2] == pytest.approx(3 * spread[0]) and spread[1] == -spread[0]


# ---- runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    small = [
        "sft.demonstrations=320",
        "grpo.max_steps=2",
        "grpo.prompts_per_step=8",
        "grpo.num_generations=4",
        "eval.n=8",
    ]
    command = [sys.executable, "-m", "lab", "run", "smoke", f"output={folder}", "seed=1", *small]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("smoke/*/"))


def test_the_same_reward_gives_a_run_its_own_rewards_and_advantages(run):
    out = io.StringIO()
    changes = rescore_run(run, load_reward("numeric"), out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [change.source for change in changes][-1].startswith("grpo/completions/")
    assert sum(change.completions for change in changes) == len(lines)
    assert all(change.changed == 0 and change.turned == 0 for change in changes)
    trained = [line for line in lines if "advantage" in line]
    assert len(trained) == 64
    assert any(abs(line["advantage_was"]) > 0.1 for line in trained)
    for line in trained:
        assert line["advantage"] == pytest.approx(line["advantage_was"], abs=1e-4)


def test_another_reward_would_have_taught_something_else(run, mine):
    out = io.StringIO()
    changes = rescore_run(run, load_reward(f"{mine}:last_digit"), out)
    assert sum(change.changed for change in changes) > 0
    steps = [change for change in changes if change.source.startswith("grpo")]
    assert all(sum(change.advantage_shift) > 0 for change in steps)
    trained = [json.loads(line) for line in out.getvalue().splitlines() if "advantage" in line]
    for start in range(0, len(trained), 4):
        group = trained[start : start + 4]
        assert len({line["row"]["digits"] for line in group}) == 1
        assert sum(line["advantage"] for line in group) == pytest.approx(0, abs=1e-6)
    shown = table(changes).splitlines()
    assert shown[0].startswith("source") and len(shown) == len(changes) + 1


def test_the_command_shows_a_table_or_every_answer(run, lab):
    shown = lab("score", run, "--reward", "numeric").stdout
    done = lab("score", run, "--reward", "numeric", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert shown == done.stderr and shown.startswith("source")
    assert sum("advantage" in line and "advantage_was" in line for line in lines) == 64


def test_a_constant_reward_would_have_taught_nothing(run, mine):
    out = io.StringIO()
    rescore_run(run, load_reward(f"{mine}:half"), out)
    trained = [json.loads(line) for line in out.getvalue().splitlines() if "advantage" in line]
    assert {line["advantage"] for line in trained} == {0.0}


def test_the_completions_carry_their_rows(run):
    saved = pandas.read_parquet(next(run.glob("grpo/completions/*.parquet")))
    for _, line in saved.iterrows():
        row = json.loads(line["row"])
        assert row["digits"] in line["prompt"][0]["content"]
        response = Response(line["completion"][0]["content"], finished=line["finished"])
        assert load_reward("numeric").score(response, row) == line["correct"]


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="nothing can be scored anew"):
        rescore_run(tmp_path, load_reward("numeric"))
    with pytest.raises(UserError, match="no run folder"):
        rescore_run(tmp_path / "x", load_reward("numeric"))


@pytest.mark.parametrize(
    "name, content",
    [
        ("config.yaml", b""),
        ("config.yaml", b"task: [\n"),
        ("samples/base.jsonl", b'{"row": '),
        ("samples/base.jsonl", b'{"row": {}}\n'),
        ("samples/base.jsonl", b"\xff\n"),
        ("grpo/completions/completions_00001.parquet", b"PAR1 and no more"),
        ("grpo/completions/completions_00001.parquet", b""),
    ],
)
def test_a_damaged_file_of_a_run_is_named(tmp_path, name, content):
    good = {"row": {"answer": "1"}, "scores": {"correct": 1.0}, "completion": "1", "finished": True, "prompt": ""}
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "sft.jsonl").write_text(json.dumps(good) + "\n")
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    with pytest.raises(UserError) as refused:
        rescore_run(tmp_path, load_reward("numeric"))
    assert str(refused.value).startswith(f"{file} is damaged (") and "\n" not in str(refused.value)
