"""lab eval --model: ours and lm-eval's tasks in one table, before and after, every number with its interval."""

import json
import os
import random
import shutil
import threading
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from lab import benchmark as package
from lab.benchmark import benchmark, numbers
from lab.benchmark.tasks import Entry, build, find, stock_names
from lab.errors import UserError
from lab.evidence.statistics import paired_change, wilson
from lab.registry import load_task

YAML = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
doc_to_text: question
doc_to_target: answer
{more}
metadata: {{version: 1}}
"""
GENERATIVE = """output_type: generate_until
generation_kwargs: {until: ["\\n"], max_gen_toks: 4, do_sample: false}
filter_list: [{name: first, filter: [{function: regex, regex_pattern: "(\\\\d)"}, {function: take_first}]}]
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]"""
CHOICE = """output_type: multiple_choice
doc_to_choice: ["0", "5", "9"]
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]"""

ONE_WRONG = """
from lab import Task
from rewards.numeric import numeric_answer

def rows(split, rng):
    yield from ({"question": f"{split} {n}", "answer": "none" if n == 7 else str(n)} for n in range(120))

task = Task(rows=rows, prompt="{question}", rewards={"correct": numeric_answer()}, splits="given")
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The folder of two YAML tasks for lm-eval, on 120 rows of our own, and of one with 30."""
    folder = tmp_path_factory.mktemp("own")
    rows = [{"question": row["prompt"], "answer": row["answer"]} for row in _digits(120)]
    for name, count, more in (("mine", 120, GENERATIVE), ("chosen", 120, CHOICE), ("few", 30, GENERATIVE)):
        data = folder / f"{name}.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows[:count]))
        if more is CHOICE:
            more = more + '\ndoc_to_target: \'{{["0", "5", "9"].index(answer) if answer in ["0", "5", "9"] else 0}}\''
        (folder / f"{name}.yaml").write_text(YAML.format(name=f"own_{name}", data=data, more=more))
    (folder / "both.yaml").write_text(
        "group: own_both\ntask: [own_mine, own_few]\n"
        "aggregate_metric_list: [{metric: exact_match, weight_by_size: true, filter_list: [first]}]\n"
    )
    return folder


def _digits(count):
    task = load_task("digits")
    return [{"prompt": task.messages(row)[-1]["content"], **row} for row in task.sample("test", count)]


@pytest.fixture(scope="module")
def run(half_trained, tiny_renderer, tmp_path_factory):
    """A run folder that began with the tiny model and ended with the half-trained one."""
    from lab.config import load_experiment
    from lab.runs import Run, provenance

    experiment = load_experiment("smoke", [f"output={tmp_path_factory.mktemp('runs')}"])
    tasks = {"digits": load_task("digits")}
    made = Run.create(experiment, provenance(experiment, tasks, "tiny", tiny_renderer.fingerprint))
    shutil.copytree(half_trained, made.path / "sft")
    return made.path


@pytest.fixture(scope="module")
def finished(run, own, lab_module, tmp_path_factory):
    """The real command on a run, an own YAML task and one of ours: its output, and the folder it made."""
    output = tmp_path_factory.mktemp("output")
    tasks = f"digits,{own / 'mine.yaml'},{own / 'chosen.yaml'}"
    done = lab_module("eval", "--model", run, "--tasks", tasks, "--limit", "60", "--output", output)
    assert done.returncode == 0, done.stderr
    return done.stdout, next((output / "eval").iterdir())


@pytest.fixture(scope="module")
def lab_module():
    import subprocess
    import sys

    def command(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "lab", *map(str, arguments)], capture_output=True, text=True, timeout=300
        )

    return command


def read(folder):
    summary = json.loads((folder / "summary.json").read_text())
    results = {name: json.loads(next(folder.glob(f"results-{name}_*.json")).read_text()) for name in summary["columns"]}
    return summary, results


def test_a_run_gives_before_and_after_with_the_paired_change(finished):
    out, folder = finished
    summary, _ = read(folder)
    assert list(summary["columns"]) == ["before", "after"] and summary["reference"] == "before"
    cells = summary["tasks"]["digits"]["metrics"]["accuracy"]
    rights = {
        name: [
            json.loads(line)["verdicts"][0]["right"] for line in (folder / f"samples-{name}-lab_digits.jsonl").open()
        ]
        for name in ("before", "after")
    }
    assert len(rights["after"]) == 60 and 0 < sum(rights["after"]) < 60
    assert cells["after"]["value"] == sum(rights["after"]) / 60
    assert cells["after"]["ci95"] == list(wilson(sum(rights["after"]), 60))
    change = paired_change(rights["before"], rights["after"])
    assert (cells["after"]["change"], cells["after"]["change_p"]) == (change.difference, change.p)
    shown = next(line for line in out.splitlines() if line.startswith("digits, accuracy, n = 60"))
    assert (
        f"{100 * cells['after']['value']:.1f} % [" in shown
        and "+" in out.splitlines()[out.splitlines().index(shown) + 1]
    )


def test_several_comparisons_are_corrected_together(finished):
    from lab.evidence.statistics import holm

    out, folder = finished
    cells = [c["after"] for t in read(folder)[0]["tasks"].values() for c in t["metrics"].values()]
    assert len(cells) == 3 and "corrected for 3 comparisons (Holm)" in out
    assert [cell["change_p_holm"] for cell in cells] == holm([cell["change_p"] for cell in cells])


def test_the_summary_has_lm_evals_numbers_to_the_last_digit(finished):
    summary, results = read(finished[1])
    same = {"digits": ("lab_digits", "accuracy,none"), "lm-eval:own_mine": ("own_mine", "exact_match,first")}
    same["lm-eval:own_chosen"] = ("own_chosen", "acc,none")
    for label, (name, key) in same.items():
        (cells,) = summary["tasks"][label]["metrics"].values()
        for column, result in results.items():
            assert cells[column]["value"] == result["results"][name][key], (label, column)
    assert [note for note in summary["notes"] if "--apply_chat_template" in note]
    assert results["after"]["versions"]["own_mine"] == 1 and results["after"]["config"]["limit"] == 60
    assert any(
        cell["value"] > 0 for cell in summary["tasks"]["lm-eval:own_mine"]["metrics"]["exact_match, first"].values()
    )


def test_every_sample_is_kept_with_its_prompt_and_answer(finished, tiny_renderer):
    _, folder = finished
    assert {path.name for path in folder.glob("samples-*")} == {
        f"samples-{column}-{task}.jsonl"
        for column in ("before", "after")
        for task in ("lab_digits", "own_mine", "own_chosen")
    }
    task, sample = load_task("digits"), json.loads((folder / "samples-after-lab_digits.jsonl").open().readline())
    assert sample["arguments"][0][0] == tiny_renderer.prompt_text(task.messages(task.sample("test", 1)[0]))
    assert sample["verdicts"][0]["completion"] == sample["resps"][0][0]


def test_nothing_is_overwritten_and_the_list_of_runs_stays_one_of_runs(finished, lab):
    output = finished[1].parents[1]
    before = (finished[1] / "summary.json").read_bytes()
    folders = [benchmark("tiny", ["digits"], limit=2, output=str(output))[0] for _ in range(2)]
    assert len({finished[1], *folders}) == 3 and (finished[1] / "summary.json").read_bytes() == before
    assert "no runs under" in lab("runs", output).stdout


def test_several_samples_have_pass_at_k_over_rows(half_trained, own, tmp_path):
    tasks = ["digits", str(own / "mine.yaml"), str(own / "chosen.yaml")]
    folder, shown = benchmark(str(half_trained), tasks, samples=4, limit=30, baseline="tiny", output=str(tmp_path))
    summary, results = read(folder)
    verdicts = [json.loads(line)["verdicts"] for line in (folder / "samples-model-lab_digits.jsonl").open()]
    rights = [[verdict["right"] for verdict in row] for row in verdicts]
    assert len(rights) == 30 and all(len(row) == 4 for row in rights)
    metrics = {name: cells["model"] for name, cells in summary["tasks"]["digits"]["metrics"].items()}
    assert metrics["accuracy"]["value"] == pytest.approx(sum(map(sum, rights)) / 120)
    assert metrics["pass@4"]["value"] == results["model"]["results"]["lab_digits"]["pass@4,none"]
    assert metrics["pass@4"]["value"] == sum(map(any, rights)) / 30 > metrics["accuracy"]["value"]
    assert metrics["pass^4"]["value"] == sum(map(all, rights)) / 30
    assert list(summary["columns"]) == ["baseline", "model"] and "change" in metrics["pass@4"]

    stock = [json.loads(line) for line in (folder / "samples-model-own_mine.jsonl").open()]
    assert all(len(set(sample["resps"][0])) >= 1 and len(sample["resps"][0]) == 4 for sample in stock)
    for sample in stock:  # each of the four answers was scored, not the first alone
        right = [text == sample["target"] for text in sample["filtered_resps"][0]]
        assert sample["exact_match"] == sum(right) / 4
    assert any(0 < sample["exact_match"] < 1 for sample in stock)
    assert "note: lm-eval:own_chosen compares log-likelihoods, which have no samples: one pass" in shown
    assert summary["tasks"]["lm-eval:own_chosen"]["samples"] == 1


def test_a_group_is_one_line_over_all_its_rows(half_trained, own, tmp_path):
    folder, shown = benchmark(str(half_trained), [str(own / "both.yaml")], limit=40, output=str(tmp_path))
    summary, results = read(folder)
    cell = summary["tasks"]["lm-eval:own_both"]["metrics"]["exact_match, first"]["model"]
    parts = [results["model"]["results"][f"own_{name}"]["exact_match,first"] for name in ("mine", "few")]
    assert cell["n"] == 70 and cell["value"] == pytest.approx((40 * parts[0] + 30 * parts[1]) / 70)
    assert "lm-eval:own_both, exact_match, first, n = 70 " in shown


def test_log_likelihoods_are_those_of_lm_evals_own_backend(half_trained, own, tmp_path):
    chosen = {}
    for backend in ("lab-hf", "hf"):
        folder, _ = benchmark(
            str(half_trained), [str(own / "chosen.yaml")], limit=40, backend=backend, batch_size=8, output=str(tmp_path)
        )
        lines = (folder / "samples-model-own_chosen.jsonl").open()
        chosen[backend] = [float(choice[0][0]) for line in lines for choice in json.loads(line)["resps"]]
    assert len(set(chosen["hf"])) > 40 and chosen["lab-hf"] == pytest.approx(chosen["hf"], abs=1e-3)


def test_below_our_gsm8k_stands_lm_evals_own_verdict(hub_copies, tiny, tmp_path):
    _, shown = benchmark(str(tiny), ["gsm8k"], limit=8, small=True, output=str(tmp_path))
    lines = shown.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("the same 8 answers to gsm8k"))
    assert lines[at + 1].startswith("ours") and "flexible-extract" in lines[at + 3]


def test_the_stock_comparison_of_each_of_several_columns_stands_under_its_name():
    from lab.benchmark.results import _stock_verdicts

    row = {"task": "gsm8k", "question": "1 + 1?", "worked": "2", "answer": "2"}
    verdict = {"completion": r"\boxed{2}", "finished": True, "answer": "2", "right": True}
    task = SimpleNamespace(task_name="lab_gsm8k", settings={"lab_task": "gsm8k"}, rows=[row])
    samples = {"lab_gsm8k": [{"doc_id": 0, "verdicts": [verdict]}]}
    shown = _stock_verdicts([Entry("gsm8k", [task], ours=True)], {"before": samples, "after": samples})
    for column, text in zip(("before", "after"), shown, strict=True):
        name, header, ours, *_ = text.splitlines()
        assert name == column and header.index("accuracy") + len("accuracy") == ours.index("%") + 1


def test_a_base_model_is_prompted_with_plain_text_and_the_table_says_so(tiny, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(tiny, base)
    (base / "chat_template.jinja").unlink(missing_ok=True)
    config = json.loads((base / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (base / "tokenizer_config.json").write_text(json.dumps(config))
    folder, shown = benchmark(str(base), ["digits"], limit=4, backend="hf", output=str(tmp_path))
    assert "has no chat template and is prompted with plain text" in shown
    prompt = json.loads((folder / "samples-model-lab_digits.jsonl").open().readline())["arguments"][0][0]
    assert prompt == _digits(1)[0]["prompt"] + "\n\n"


def test_a_run_whose_prompts_have_changed_is_noted(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    facts = json.loads((copy / "provenance.json").read_text())
    (copy / "provenance.json").write_text(json.dumps(facts | {"renderer": "0123456789abcdef"}))
    _, shown = benchmark(str(copy / "sft"), ["digits"], limit=2, output=str(tmp_path))
    assert "was trained with the renderer 0123456789abcdef" in shown


# ---- its numbers


def lines(values, metric="loss", reported=None, aggregate=None):
    """The table's lines for one stock task; column → each row's value of `metric`."""
    config = SimpleNamespace(metric_list=[])
    task = SimpleNamespace(task_name="x", config=config, aggregation=lambda: {metric: aggregate})
    results = {}
    for column, rows in values.items():
        value = {f"{metric},none": sum(rows) / len(rows) if reported is None else reported} if rows else {}
        samples = [{"doc_id": i, "filter": "none", metric: row} for i, row in enumerate(rows)]
        results[column] = {"results": {"x": {"sample_len": len(rows), **value}}, "samples": {"x": samples}}
    return numbers.lines([Entry("x", [task])], results, "before")


def test_equal_differences_are_a_change_without_an_interval():
    before = [2.5, 3.0, 4.0, 8.0]
    for shift, shown in ((0.0, "+0 p 1.000"), (0.5, "+0.5 p 0.1")):
        found = lines({"before": before, "after": [loss + shift for loss in before]})
        assert shown in numbers.table(found, ["before", "after"], "before").splitlines()[2]
        assert numbers.as_json(found)["x"]["metrics"]["loss"]["after"]["change_ci95"] is None


def test_a_change_on_fewer_rows_than_its_column_says_on_how_many():
    found = lines({"before": [1, 0, 1], "after": [1, 1, 1, 0]}, "acc")
    assert numbers.table(found, ["before", "after"], "before").splitlines()[2].endswith(", n = 3")
    assert numbers.as_json(found)["x"]["metrics"]["acc"]["after"]["change_n"] == 3
    same = lines({"before": [1, 0, 1], "after": [1, 1, 1]}, "acc")
    assert "n = " not in numbers.table(same, ["before", "after"], "before").splitlines()[2]


def test_only_what_is_a_share_a_row_is_shown_in_percent():
    shown = partial(numbers.table, columns=["before"], reference="before")
    assert "75.0 % [" in shown(lines({"before": [1, 0, 1, 1]}, "acc"))
    assert "75.0 %" in shown(lines({"before": [1, 0, 0, 0]}, "acc", reported=0.75))  # a mean of subjects' means
    assert "0.75" in shown(lines({"before": [(-9.0, 12)] * 4}, "bits_per_byte", reported=0.75))


def test_a_weighted_perplexity_has_an_interval_over_documents():
    from lm_eval.api.metrics import bits_per_byte, weighted_perplexity

    pairs = [(-40.0 - 3 * i, 30 + i % 7) for i in range(20)]
    for aggregate, metric in ((weighted_perplexity, "word_perplexity"), (bits_per_byte, "bits_per_byte")):
        found = lines({"before": pairs}, metric, aggregate(pairs), aggregate)
        cell = found[0].cells["before"]
        rng = random.Random(0)
        again = sorted(aggregate(rng.choices(pairs, k=20)) for _ in range(2000))
        assert cell.interval == "bootstrap" and cell.n == 20 and cell.ci95[0] < cell.value < cell.ci95[1]
        assert cell.ci95 == pytest.approx((again[50], again[-51]), rel=0.05)
        assert "[" in numbers.table(found, ["before"], "before").splitlines()[1]


def test_a_number_without_an_interval_says_so():
    found = lines({"before": [(-9.0, 12)]}, "bits_per_byte", reported=1.08)
    assert "x, bits_per_byte, n = 1   1.08, no interval" in numbers.table(found, ["before"], "before")


def test_a_task_without_a_number_does_not_cost_the_others_theirs():
    found = lines({"before": []})
    assert "x, no answer could be scored, n = 0   none" in numbers.table(found, ["before"], "before")


def test_a_checkpoint_outside_a_run_has_no_run(run, monkeypatch):
    from lab.runs import run_of

    monkeypatch.chdir(run)  # where a hub's id or a packaged name is no folder of the run
    assert run_of("tiny") is None and run_of("sft") == run == run_of(run / "sft")


def test_an_exported_checkpoint_is_prompted_as_it_was_trained(run, tmp_path):
    from lab.benchmark.columns import columns_of
    from lab.export import export

    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    config = yaml.safe_load((copy / "config.yaml").read_text())
    config["model"] |= {"chat_template_kwargs": {"thinking": False}, "trust_remote_code": True, "allow_pickle": True}
    config |= {"task": "/of/another/machine.py", "sandbox": "of_another.machine:factory"}
    config["sft"]["report_to"] = "trackio"
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    exported = export(copy, tmp_path / "exported", checkpoint="sft")
    (column,) = columns_of(str(exported))
    assert column.model.checkpoint == str(exported) and column.model.chat_template_kwargs == {"thinking": False}
    assert not column.model.trust_remote_code and not column.model.allow_pickle  # those are the user's to say
    (exported / "lab_config.yaml").write_text("mode: [")
    with pytest.raises(UserError, match="lab_config.yaml"):
        columns_of(str(exported))


# ---- a server


@contextmanager
def server(answer):
    """An OpenAI-compatible chat server on the loopback that serves `toy`.

    answer(request) → (text, finish_reason), or None for an error of the server's own.
    """
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.reply({"data": [{"id": "toy"}]})

        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(request)
            if (given := answer(request)) is None:
                return self.send_error(500)
            choice = {"index": 0, "message": {"content": given[0]}, "finish_reason": given[1]}
            return self.reply({"choices": [choice]})

        def reply(self, content):
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/v1", asked
    finally:
        running.shutdown()
        running.server_close()


def test_an_endpoint_is_asked_with_messages_and_told_apart_what_was_cut(tmp_path):
    golds = {row["prompt"]: row["answer"] for row in _digits(6)}
    cut = list(golds)[0]

    def answer(request):
        prompt = request["messages"][-1]["content"]
        half = "" if request["temperature"] else "\ud83d"  # of a surrogate pair: no text, but a server may send it
        return golds[prompt] + half, "length" if prompt == cut else "stop"

    with server(answer) as (url, asked):
        folder, shown = benchmark("toy", ["digits"], samples=2, limit=6, backend=url, output=str(tmp_path))
        greedy, cut_more = benchmark("toy", ["digits"], limit=4, backend=url, output=str(tmp_path))
        with pytest.raises(UserError, match="serves no model 'toyy': did you mean 'toy'"):
            benchmark("toyy", ["digits"], backend=url)
    metrics = read(folder)[0]["tasks"]["digits"]["metrics"]
    assert "note: model: 1 of 4 answers to digits were cut at its" in cut_more and "were cut" not in shown  # 2 of 12
    assert metrics["accuracy"]["model"]["value"] == 5 / 6  # the right answer that was cut at the limit counts as wrong
    lines = (greedy / "samples-model-lab_digits.jsonl").read_text().splitlines()
    assert all(json.loads(line)["resps"][0][0].endswith("\ud83d") for line in lines)
    sampled = [request for request in asked if request["temperature"]]
    assert len(sampled) == 12 and len(asked) == 16 and all("top_k" not in request for request in asked)
    seeds = [request["seed"] for request in sampled if request["messages"][-1]["content"] == cut]
    assert len(set(seeds)) == 2  # one seed for both would give the same text twice


def test_an_endpoint_that_fails_or_is_not_there_is_one_sentence(own, tmp_path, monkeypatch):
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    with server(lambda request: None) as (url, asked), pytest.raises(UserError, match="failed three times"):
        benchmark("toy", ["digits"], limit=1, batch_size=1, backend=url, output=str(tmp_path))
    assert len(asked) == 3 and not list((tmp_path / "eval").iterdir())
    with pytest.raises(UserError, match="does not answer"):
        benchmark("toy", ["digits"], backend="http://127.0.0.1:9/v1")
    with server(lambda request: ("5", "stop")) as (url, _), pytest.raises(UserError, match="log-likelihoods"):
        benchmark("toy", [str(own / "chosen.yaml")], backend=url)


def test_a_server_that_answers_500_is_one_sentence_and_no_traceback(tmp_path, monkeypatch, capfd, caplog):
    import gc

    from tenacity import wait_none

    from lab import cli

    monkeypatch.setattr("lm_eval.models.api_models.wait_exponential", lambda **_: wait_none())
    monkeypatch.setattr(ThreadingHTTPServer, "handle_error", lambda *_: None)  # whose client has given up
    with server(lambda request: None) as (url, asked), pytest.raises(SystemExit) as left:
        arguments = ["--model", "toy", "--tasks", "digits", "--limit", "8", "--backend", url, "--output", str(tmp_path)]
        monkeypatch.setattr("sys.argv", ["lab", "eval", *arguments])
        cli.main()
    said = capfd.readouterr().err.splitlines()[-1]  # behind lm-eval's progress bars
    assert left.value.code == 2 and len(asked) > 3
    assert said.startswith(f"lab: the endpoint {url} failed three times") and "500, message='Internal Server" in said
    left.value.__context__ = left.value.__cause__ = None
    del left
    gc.collect()  # asyncio complains of a failure that nobody looked at when its task goes
    assert not [record for record in caplog.records if record.name == "asyncio"]


# ---- refusals, before a model loads


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["digits"], "did you mean 'digits'"),
        ([], "give one of the two"),
        (["smoke", "--model", "tiny"], "give one of the two"),
        (["smoke", "--tasks", "digits"], "--tasks goes with --model"),
        (["smoke", "--samples", "1"], "--samples goes with --model"),
        (["--model", "tiny", "--tasks", "digit"], "did you mean 'digits'?"),
        (["--model", "tiny", "--tasks", "arc_chalenge"], "'arc_challenge' or lm-eval's 'arc_challenge'?"),
        (["--model", "tiny", "--tasks", "digits", "--backend", "vllm"], "pip install 'reasoning-lab[vllm]'"),
        (["--model", "tiny", "--tasks", "digits", "--backend", "hff"], "did you mean 'hf'?"),
        (["--model", "tinny", "--tasks", "digits"], "did you mean 'tiny'?"),
        (["--model", "tiny", "--tasks", "digits", "--dry-run"], "--dry-run goes with CONFIG"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_sentence(arguments, sentence, capsys, monkeypatch, tmp_path):
    from lab import cli

    if arguments == ["digits"]:
        arguments, sentence = ["digits"], "there is no experiment file"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["lab", "eval", *arguments])
    monkeypatch.setattr("importlib.util.find_spec", _without("vllm"))
    with pytest.raises(SystemExit) as left:
        cli.main()
    said = capsys.readouterr().err
    assert left.value.code == 2 and sentence in said and len(said.splitlines()) == 1, said
    assert list(tmp_path.iterdir()) == []


def _without(package):
    from importlib.util import find_spec

    return lambda name, *rest: None if name == package else find_spec(name, *rest)


def test_a_benchmark_of_few_rows_is_refused_from_one_sample(own, tmp_path):
    few = str(own / "few.yaml")
    for limit in (None, 100):
        with pytest.raises(UserError, match=r"only 30 rows.* is up to ±17 points: --samples 16 .*--small"):
            benchmark("tiny", [few], limit=limit, output=str(tmp_path))
    assert not (tmp_path / "eval").exists()
    for asked_for, n, points in (({"small": True}, 30, 17), ({"limit": 12}, 12, 25)):
        shown = benchmark("tiny", [few], **asked_for, output=str(tmp_path))[1]
        assert f"n = {n} " in shown and f"only {n} rows" in shown and f"±{points} points" in shown
    shown = benchmark("tiny", [few], samples=2, output=str(tmp_path))[1]
    assert "n = 30 × 2" in shown and "only 30 rows" not in shown


def test_a_dropped_gold_refuses_no_limit_that_is_large_enough(tmp_path):
    file = tmp_path / "one_wrong.py"
    file.write_text(ONE_WRONG)
    for limit, rows in ((100, 99), (None, 119)):  # of 120
        notes = []
        with ExitStack() as stack:
            (entry,) = build(find([str(file)]), notes, stack, 1, limit, small=False, remote=False)
        assert entry.rows(limit) == rows and len(notes) == 1 and "1 of 1" in notes[0]
    (tmp_path / "few_rows.py").write_text(ONE_WRONG.replace("range(120)", "range(99)"))
    with ExitStack() as stack, pytest.raises(UserError, match="only 98 rows"):
        build(find([str(tmp_path / "few_rows.py")]), [], stack, 1, None, small=False, remote=False)


def test_the_scorers_end_where_a_later_task_is_refused(own, tmp_path, monkeypatch):
    from lab.scoring import Scorer

    closed = []
    monkeypatch.setattr(Scorer, "close", lambda self: closed.append(list(self.tasks)))
    with pytest.raises(UserError, match="only 30 rows"):
        benchmark("tiny", ["digits", str(own / "few.yaml")], output=str(tmp_path))
    assert closed == [["digits"]]


@pytest.mark.parametrize(
    ("file", "kept"),
    [("samples-model-own_mine.jsonl", 0), ("samples-baseline-lab_digits.jsonl", 1), ("summary.json", 2)],
)
def test_a_full_disk_costs_neither_the_table_nor_what_was_written(file, kept, own, tmp_path, monkeypatch, capfd):
    def with_a_full_file(parent):
        folder = parent / "x"
        folder.mkdir(parents=True)
        (folder / f".{file}.{os.getpid()}").symlink_to("/dev/full")  # under this name it begins
        return folder

    monkeypatch.setattr(package, "new_folder", with_a_full_file)
    monkeypatch.chdir(tmp_path)
    tasks = [str(own / "mine.yaml"), "digits"]
    with pytest.raises(UserError, match="the disk is full: .*untouched; free some space, then evaluate again"):
        benchmark("tiny", tasks, limit=20, baseline="tiny" if "baseline" in file else "", output=str(tmp_path))
    whole = [path for path in tmp_path.rglob("*") if "samples-" in path.name]
    assert [len(path.read_text().splitlines()) for path in whole] == [20] * kept
    said = capfd.readouterr()
    assert "not a git repository" not in said.err
    assert "digits, accuracy, n = 20" in said.out and "lm-eval:own_mine, exact_match, first, n = 20" in said.out


def test_a_server_that_goes_amid_the_second_column_does_not_cost_the_first(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    answers = iter([("5", "stop")] * 4)
    with server(lambda request: next(answers, None)) as (url, _), pytest.raises(UserError, match="failed three times"):
        benchmark("toy", ["digits"], limit=4, batch_size=1, baseline="toy", backend=url, output=str(tmp_path))
    said = capfd.readouterr().out
    assert "digits, accuracy, n = 4" in said and said.split("digits, accuracy")[0].split()[-1] == "baseline"


def test_results_that_lm_eval_could_not_write_are_told(own, tmp_path, monkeypatch):
    from lm_eval.loggers import EvaluationTracker

    def half(self, results, samples):
        Path(self.output_path.replace(".json", "_1.json")).write_text('{"results": ')

    monkeypatch.setattr(EvaluationTracker, "save_results_aggregated", half)
    with pytest.raises(UserError, match="lm-eval's results could not be written"):
        benchmark("tiny", [str(own / "mine.yaml")], limit=2, output=str(tmp_path))


def test_stock_data_out_of_reach_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="'gsm8k' cannot be had .*connect to the hub once.* our own version of it"):
        benchmark("tiny", ["lm-eval:gsm8k"], output=str(tmp_path))


@pytest.mark.parametrize(
    ("was", "becomes", "missing"),
    [
        ("/mine.jsonl", "/gone.jsonl", "gone.jsonl"),
        ("dataset_path: json", "dataset_path: ./gone", "gone"),
        ("task: own_mine", "include: gone.yaml\ntask: own_mine", "gone.yaml"),
    ],
)
def test_a_local_file_that_is_missing_is_named(was, becomes, missing, own, tmp_path):
    (tmp_path / "lost.yaml").write_text((own / "mine.yaml").read_text().replace(was, becomes))
    with pytest.raises(UserError, match=f"'lost' .*{missing}") as refused:
        benchmark("tiny", [str(tmp_path / "lost.yaml")], output=str(tmp_path))
    assert "hub" not in str(refused.value) and "lost.yaml" in str(refused.value)


def test_a_broken_yaml_is_one_sentence(own, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text((own / "mine.yaml").read_text().replace("doc_to_text: question", 'doc_to_text: "{% if %}"'))
    with pytest.raises(UserError, match="lm-eval cannot load the task 'broken'.*mend it"):
        benchmark("tiny", [str(broken)], output=str(tmp_path))


def test_a_bare_name_is_ours_and_a_prefix_forces_the_stock_one():
    ours, forced, stock, group = find(["gsm8k", "lm-eval:gsm8k", "hellaswag", "lm-eval:mmlu"])
    assert (ours.kind, forced.kind, stock.kind, group.kind) == ("ours", "yaml", "yaml", "index")
    assert Path(forced.spec).name == "gsm8k.yaml" and Path(stock.spec).name == "hellaswag.yaml"


@pytest.mark.slow
def test_the_names_read_from_the_text_are_those_of_lm_evals_index():
    from lm_eval.tasks import TaskManager

    manager, names = TaskManager(), stock_names()
    assert set(manager.all_tasks) <= set(names)
    for name, file in names.items():
        if file and name in manager.all_subtasks:
            assert file == str(manager.task_index[name].yaml_path), name
