"""The report of a run folder: what it shows, what it survives, and that it asks nothing of the network."""

import json
import math
import random
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lab.errors import UserError
from lab.evidence import charts, samples
from lab.evidence.markup import element
from lab.evidence.report import table, warnings, write_report
from lab.evidence.statistics import paired_change, wilson

LABELS = {"base": "SmolLM2-135M-Instruct", "sft": "80 demonstrations", "grpo": "60 steps × 4 prompts × 8 answers"}
HOSTILE = "<script>alert(1)</script><img src=https://example.com/x onerror=alert(1)>"


def make_run(folder: Path, n=200, seed=0) -> Path:
    """A run folder as the stages leave it: "largest" learnt by SFT and GRPO."""
    rng = random.Random(seed)
    numbers = [rng.sample(range(100), 4) for _ in range(n)]
    right = {"base": [False] * n, "sft": [rng.random() < 0.42 for _ in range(n)]}
    right["grpo"] = [rng.random() < (0.93 if was else 0.68) for was in right["sft"]]
    stages, before = {}, None
    (folder / "samples").mkdir(parents=True)
    for stage, verdicts in right.items():
        mean_tokens = 8.0 if stage == "base" else 2.9
        measured = {"label": LABELS[stage], "accuracy": sum(verdicts) / n, "ci95": wilson(sum(verdicts), n), "n": n}
        measured |= {"seconds": 14.2, "mean_tokens": mean_tokens, "truncated": 0.0, "no_answer": 0.0, "unscorable": 0}
        if before:
            change = paired_change(right[before], verdicts)
            measured |= {"change": change.difference, "change_ci95": change[1:3], "change_p": change.p}
            measured["train_seconds"] = 190.0
        stages[stage], before = measured, stage
        lines = [sample_line(stage, row, verdict, rng) for row, verdict in zip(numbers, verdicts)]
        (folder / "samples" / f"{stage}.jsonl").write_text("\n".join(lines) + "\n")
    summary = {"experiment": "quickstart", "task": "largest", "seed": seed, "started": "2025-06-01T09:30:00"}
    (folder / "summary.json").write_text(json.dumps(summary | {"stages": stages}))
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, metric_lines(rng))) + "\n")
    (folder / "config.yaml").write_text(
        "model: smollm2-135m-instruct\ntask: largest\ngrpo:\n  learning_rate: 2.0e-05\n"
    )
    versions = {"torch": "2.13.0", "transformers": "5.23.0", "trl": "1.16.0"}
    provenance = {"versions": versions, "hashes": {"task": "9f2c" * 16, "template": "01ab" * 16}, "argv": ["run", "x"]}
    (folder / "provenance.json").write_text(json.dumps(provenance))
    return folder


def sample_line(stage, numbers, right, rng) -> str:
    question = f"What is the largest of {', '.join(map(str, numbers))}? Reply with only the number."
    gold = str(max(numbers))
    wrong = str(rng.choice([x for x in numbers if str(x) != gold]))
    completion = "The largest number in the list you gave is" if stage == "base" else gold if right else wrong
    prompt = f"<|im_start|>system\nYou are a helpful AI assistant.<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n"
    return json.dumps(
        {"row": {"question": question, "answer": gold, "task": "largest"}, "sample": 0, "prompt": prompt}
        | {"completion": completion, "finished": stage != "base", "tokens": 8 if stage == "base" else 3}
        | {"answer": completion, "scores": {"correct": float(right)}, "reasons": {}, "right": right}
    )


def metric_lines(rng):
    for step in range(1, 6):
        yield {
            "stage": "sft",
            "step": step,
            "seconds": step * 9.0,
            "loss": 2.2 * math.exp(-step / 2),
            "lr": 2e-5 / step,
        }
    for step in range(1, 61):
        share = min(1, max(0, 0.42 + 0.4 * (1 - math.exp(-step / 25)) + rng.gauss(0, 0.09)))
        reward = {"reward": 1.2 * share, "reward/correct": share, "reward/brief": 0.2 * share}
        signal = {"zero_signal": min(1, 0.2 + step / 150 + rng.random() / 5), "truncated": 0.1 * math.exp(-step / 9)}
        yield {"stage": "grpo", "step": step, "seconds": step * 4.0, "accuracy": share, "tokens": 4 - step / 60} | (
            reward | signal | {"kl": step / 9000, "entropy": 0.6 * math.exp(-step / 40), "loss": rng.gauss(0, 0.02)}
        )


class Page(HTMLParser):
    """The page as a browser reads it: its tags, its addresses and its text."""

    def __init__(self, html: str):
        super().__init__()
        self.tags, self.addresses, self.words = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.addresses += [value for name, value in attributes if name in ("src", "href", "action", "data", "srcset")]

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def count(self, tag: str, class_: str = "") -> int:
        return sum(t == tag and class_ in (a.get("class") or "").split() + [""] for t, a in self.tags)


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run")


def read(run) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


def test_the_page_shows_table_curves_completions_config_and_provenance(run):
    page = read(run)
    stages = json.loads((run / "summary.json").read_text())["stages"]
    for stage in stages.values():
        assert f"{stage['accuracy']:.1%}".replace("%", " %") in page.text
    for title in ("Reward", "Accuracy", "Length", "Zero signal", "Truncated", "Loss", "entropy", "kl"):
        assert title in page.text
    assert page.count("article", "sample") == samples.SHOWN
    assert page.count("polyline", "line") >= 9
    assert "learning_rate: 2.0e-05" in page.text and "9f2c9f2c" in page.text
    assert page.count("aside") == 0  # nothing is off in this run
    (run / "config.yaml").write_text("report:\n  completions: 7\n")
    assert read(run).count("article", "sample") == 7


def test_the_page_asks_nothing_of_the_network_and_runs_no_script(run):
    page = read(run)
    assert page.addresses == []
    assert not {"script", "link", "iframe", "img", "object", "base"} & {tag for tag, _ in page.tags}
    assert not re.search(r"url\(|@import", (run / "report.html").read_text())
    assert any("default-src 'none'" in (a.get("content") or "") for tag, a in page.tags if tag == "meta")


def test_what_a_model_wrote_stays_text(run):
    lines = [json.loads(line) for line in (run / "samples/grpo.jsonl").read_text().splitlines()]
    for line in lines:
        line |= {
            "completion": HOSTILE,
            "prompt": HOSTILE,
            "scores": {HOSTILE: None},
            "reasons": {HOSTILE: '"' + HOSTILE},
        }
        line["row"] |= {"answer": HOSTILE, "task": HOSTILE}
    hostile = "\n".join(map(json.dumps, lines))
    for stage in LABELS:
        (run / f"samples/{stage}.jsonl").write_text(hostile)
    (run / "provenance.json").write_text(json.dumps({HOSTILE: [HOSTILE, {HOSTILE: HOSTILE}]}))
    (run / "config.yaml").write_text(HOSTILE)
    (run / "metrics.jsonl").write_text(json.dumps({"stage": HOSTILE, "step": 1, f"reward/{HOSTILE}": 1, HOSTILE: 2}))
    page = read(run)
    assert page.addresses == [] and "script" not in {tag for tag, _ in page.tags}
    assert HOSTILE in "".join(page.words)


def test_rows_that_changed_come_first_and_each_fate_keeps_its_place():
    fates = ["right"] * 50 + ["wrong"] * 50 + ["gained"] * 100 + ["lost"] * 3
    picked = [fates[i] for i in samples.chosen(fates)]
    assert len(picked) == samples.SHOWN == len(set(samples.chosen(fates)))
    assert picked == sorted(picked, key=list(samples.FATES).index)
    assert picked.count("gained") == 10 and picked.count("lost") == 3 and {"right", "wrong"} < set(picked)
    assert len(samples.chosen(["gained"] * 7)) == 7


def test_a_run_that_has_hardly_begun_has_a_page(tmp_path):
    page = read(tmp_path)
    assert "No stage has been evaluated yet." in page.text
    (tmp_path / "metrics.jsonl").write_text('{"stage": "sft", "step": 1, "loss": NaN}\n{"stage": "sft", "step": 2, "lo')
    assert "SFT" in read(tmp_path).text


@pytest.mark.parametrize("text", ['{"stage": "sf\n{"stage": "sft", "step": 2}\n', '[]\n{"stage": "sft", "step": 2}\n'])
def test_a_line_that_is_broken_in_the_middle_is_told(tmp_path, text):
    (tmp_path / "metrics.jsonl").write_text(text)
    with pytest.raises(UserError, match="metrics.jsonl is damaged in line 1"):
        write_report(tmp_path)


def test_a_step_written_twice_by_a_resumed_run_is_drawn_once(run):
    metrics = (run / "metrics.jsonl").read_text()
    once = read(run)
    (run / "metrics.jsonl").write_text(metrics + "\n".join(metrics.splitlines()[-10:]) + "\n")
    assert read(run).tags == once.tags


def test_what_is_off_is_said():
    fine = {"n": 100, "truncated": 0.2, "unscorable": 0}
    assert warnings({"stages": {"base": fine}}, {}, []) == []
    stages = {"sft": fine | {"unscorable": 3}, "grpo": fine | {"truncated": 0.21}}
    silent = [{"stage": "grpo", "zero_signal": share} for share in (0.1, 0.1, 0.9, 0.9)]
    found = warnings({"stages": stages, "warnings": ["one seed"]}, {"audit": {"overridden": True}}, silent)
    for what in (
        "one seed",
        "3 completions could not be scored",
        "21.0 % of the completions",
        "audit was overridden",
        "no signal",
    ):
        assert any(what in line for line in found), what
    assert len(found) == 5


def test_the_table_in_plain_text():
    stages = {
        "sft": {"label": "64 demonstrations", "accuracy": 0.415, "ci95": [0.349, 0.484], "n": 200, "change": 0.415},
        "base": {"label": "SmolLM2-135M-Instruct", "accuracy": 0.0, "ci95": [0.0, 0.019], "n": 200},
    }
    stages["sft"]["change_ci95"] = [0.345, 0.485]
    assert table({"task": "largest", "stages": stages}).splitlines() == [
        "held-out largest, n = 200, greedy             accuracy   95 % CI        change (paired 95 % CI)",
        "base   SmolLM2-135M-Instruct                     0.0 %   [0.0, 1.9]",
        "sft    64 demonstrations                        41.5 %   [34.9, 48.4]   +41.5 [+34.5, +48.5]",
    ]


def test_the_table_of_a_mixture_names_every_n():
    parts = {"arithmetic": {"accuracy": 0.5, "ci95": [0.4, 0.6], "n": 100}, "largest": {"accuracy": None, "n": 20}}
    stage = {"label": "x", "accuracy": 0.45, "ci95": [0.36, 0.54], "n": 120, "tasks": parts}
    stage |= {"change": -0.001, "change_ci95": [-0.1, 0.0001]}
    lines = table(
        {"task": "both", "temperature": 1.0, "stages": {"base": {**stage, "n": 60}, "sft": stage}}
    ).splitlines()
    assert lines[0].startswith("held-out both, temperature 1 ")
    assert "base   x, n = 60" in lines[1] and "sft    x, n = 120" in lines[4]
    assert "−0.1 [−10.0, +0.0]" in lines[4]
    assert "arithmetic, n = 100" in lines[5] and "50.0 %   [40.0, 60.0]" in lines[5]
    assert lines[6].split() == ["largest,", "n", "=", "20", "–"]


def test_curves_have_round_ticks_and_few_points():
    assert charts.nice_ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert charts.nice_ticks(-13, 180) == [0, 50, 100, 150]
    assert charts.nice_ticks(2e-6, 2e-5) == [5e-6, 1e-5, 1.5e-5, 2e-5]
    assert len(charts.thinned([(i, i) for i in range(10_001)])) <= charts.MOST_POINTS
    assert charts.running_mean([(1, 0), (2, 2), (3, 4)], 2) == [(1, 0), (2, 1), (3, 3)]
    assert charts.curve({"x": [(1, math.nan), (2, None)]}, "t", "u") == ""
    assert "polyline" in charts.curve({"x": [(5, 0.0)]}, "t", "u")


def test_text_is_escaped_and_markup_is_not():
    assert element("p", element("b", "<i>"), None, ["&"], class_='"') == '<p class="&quot;"><b>&lt;i&gt;</b>&amp;</p>'
