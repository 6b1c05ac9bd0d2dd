"""Our tasks inside lm-eval: the stock command, the traps, and scores that agree with our own to the last digit."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.config import Eval
from lab.errors import UserError
from lab.lm_eval_path import write_yamls
from lab.progress import LiveLine
from lab.registry import load_task
from lab.scoring import Scorer
from lab.stages.evaluate import evaluate, numbers

MINE = r"""
from lab import Task, reward

@reward(reads=["answer"])
def same(response, row):
    if response.answer == "boom":
        raise RuntimeError("the checker is broken")
    return float(response.answer == row["answer"])

def rows(split, rng):
    for i in range(400):
        yield {"question": f"{{% raw %}} {{{{x}}}} {i}?", "answer": str(i), "pair": (i, {str(i): None})}

task = Task(
    rows=rows, prompt="{question}", rewards={"same": same()}, system="Be {% brief %}.", answer="boxed", max_tokens=9
)
"""


@pytest.fixture
def mine(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    return file


def lab_task(spec, **config):
    from lab.lm_eval_task import LabTask

    return LabTask(config={"task": "lab_x", "class": LabTask, "metadata": {"lab_task": str(spec)}, **config})


def scripted(tokenizer, answers):
    """A model for lm-eval that gives `answers(prompt, times asked before)`, and remembers what it was asked."""
    from lm_eval.api.model import LM

    class Scripted(LM):
        def __init__(self):
            super().__init__()
            self.tokenizer, self.asked = tokenizer, []

        def apply_chat_template(self, messages, add_generation_prompt=True):
            options = {"add_generation_prompt": add_generation_prompt, "tokenize": False}
            return tokenizer.apply_chat_template(messages, **options)

        @property
        def tokenizer_name(self):
            return "scripted"

        def chat_template(self, name=False):
            return tokenizer.chat_template

        def generate_until(self, requests, disable_tqdm=False):
            replies = []
            for request in requests:
                before = sum(prompt == request.args[0] for prompt, _ in self.asked)
                self.asked.append(request.args)
                replies.append(answers(request.args[0], before))
            return replies

        loglikelihood = loglikelihood_rolling = None

    return Scripted()


def run(lm, task, limit=None, chat=True):
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_defaults=False)  # the index of the stock tasks takes 14 s
    options = {"bootstrap_iters": 0, "task_manager": manager}
    return simple_evaluate(lm, tasks=[task], limit=limit, apply_chat_template=chat, **options)


def test_the_stock_command_scores_as_we_do_to_the_last_digit(half_trained, tiny_renderer, tmp_path):
    task = load_task("digits")
    rows = task.sample("test", 200, seed=0)
    with Scorer({"digits": task}, workers=1) as scorer:
        from lab.checkpoints import load_model

        settings = Eval(batch_size=64)
        ours = evaluate(load_model(half_trained), tiny_renderer, {"digits": task}, rows, scorer, settings, LiveLine())
    command = [sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--model_args", f"pretrained={half_trained}"]
    command += ["--include_path", str(write_yamls(folder=tmp_path / "yaml")), "--tasks", "lab_digits"]
    command += [
        "--apply_chat_template",
        "--batch_size",
        "16",
        "--device",
        "cpu",
        "--log_samples",
        "--output_path",
        "out",
    ]
    package = str(Path(__file__).parents[2])
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": package}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    (results,) = tmp_path.glob("out/**/results_*.json")
    (samples,) = tmp_path.glob("out/**/samples_lab_digits_*.jsonl")
    theirs = sorted(map(json.loads, samples.read_text().splitlines()), key=lambda sample: sample["doc_id"])
    assert [sample["resps"][0][0] for sample in theirs] == [sample["completion"] for sample in ours]
    assert [sample["arguments"]["gen_args_0"]["arg_0"] for sample in theirs] == [sample["prompt"] for sample in ours]
    accuracy = json.loads(results.read_text())["results"]["lab_digits"]["accuracy,none"]
    assert accuracy == numbers(ours)["accuracy"]
    assert 0.05 < accuracy < 0.97  # else equal scores would prove little


def test_a_users_own_file_by_path_and_its_prompt_as_it_is(mine, tiny_renderer):
    from lm_eval.tasks import TaskManager

    folder = write_yamls([str(mine)], folder=mine.parent / "yaml")
    assert [file.name for file in folder.iterdir()] == ["lab_mine.yaml"]
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    task = manager.load(["lab_mine"])["tasks"]["lab_mine"]
    lm = scripted(tiny_renderer.tokenizer, lambda prompt, before: "")
    run(lm, task, limit=5)
    source = load_task(str(mine))
    rows = source.sample("test", 400)[:5]
    assert [prompt for prompt, _ in lm.asked] == [tiny_renderer.prompt_text(source.messages(row)) for row in rows]
    assert "{% raw %} {{x}}" in lm.asked[0][0] and "Be {% brief %}." in lm.asked[0][0]
    assert lm.asked[0][1]["until"] == [] and lm.asked[0][1]["max_gen_toks"] == 9
    assert all(type(row["pair"]) is tuple for row in task.rows)  # rewards see the row, not a copy that JSON changed


def test_an_odd_path_is_found_and_two_files_of_one_name_are_refused(mine):
    from lm_eval.tasks import TaskManager

    odd = mine.parent / 'it\'s "odd": ü.py'
    shutil.copy(mine, odd)
    manager = TaskManager(include_path=str(write_yamls([str(odd)], mine.parent / "odd")), include_defaults=False)
    name = 'lab_it\'s "odd": ü'
    assert manager.load([name])["tasks"][name].lab_task.source == str(odd)
    (mine.parent / "other").mkdir()
    twin = shutil.copy(mine, mine.parent / "other")
    with pytest.raises(UserError, match="would both be lab_mine in lm-eval: rename one"):
        write_yamls([str(mine), str(twin)], mine.parent / "both")
    assert not (mine.parent / "both").exists()


def test_the_seed_of_a_models_arguments_draws_no_other_rows():
    assert lab_task("digits", metadata={"lab_task": "digits", "seed": 7}).rows == lab_task("digits").rows
    assert lab_task("digits", metadata={"lab_task": "digits", "row_seed": 7}).rows != lab_task("digits").rows


def test_what_is_truncated_unscorable_or_uncommitted(mine, tiny_renderer):
    gold = r"\boxed{%s}"
    task = lab_task(mine)
    golds = {task.doc_to_text(doc): task.doc_to_target(doc) for doc in task.test_docs()}
    scripts = [
        lambda g: gold % g,  # right
        lambda g: g,  # outside the region
        lambda g: gold % g + " and so on",  # 9 tokens and more: cut at the limit
        lambda g: gold % g + gold % 0,  # two answers
        lambda g: gold % "boom",  # the reward breaks: unscorable, not wrong
    ]
    script = {text: scripts[i % 5](g) for i, (text, g) in enumerate(golds.items())}
    characters = type("T", (), {"__call__": lambda self, text, **_: {"input_ids": text.split()}})
    lm = scripted(tiny_renderer.tokenizer, lambda prompt, before: script[next(t for t in script if t in prompt)])
    task.tokenizer = characters()
    task.config.generation_kwargs["max_gen_toks"] = 3
    results = run(lm, task, limit=50)["results"]["lab_x"]
    assert results["accuracy,none"] == 10 / 40
    assert results["reward/same,none"] == 10 / 40
    assert (results["truncated,none"], results["unscorable,none"], results["no_answer,none"]) == (0.2, 0.2, 0.4)


def test_repeats_are_all_scored_and_sampled_as_in_training(mine, tiny_renderer):
    task = lab_task(mine, repeats=4)
    golds = {task.doc_to_text(doc): task.doc_to_target(doc) for doc in task.test_docs()}

    def answer(prompt, before):
        gold = next(g for text, g in golds.items() if text in prompt)
        return r"\boxed{%s}" % (gold if before == 2 else "no")

    lm = scripted(tiny_renderer.tokenizer, answer)
    task.config.generation_kwargs["max_gen_toks"] = 10_000
    results = run(lm, task, limit=6)["results"]["lab_x"]
    assert len(lm.asked) == 24
    got = {name.partition(",")[0]: value for name, value in results.items()}
    assert (got["accuracy"], got["pass@1"], got["pass@2"], got["pass@4"]) == (0.25, 0.25, 0.5, 1.0)
    settings = lm.asked[0][1]
    assert (settings["do_sample"], settings["temperature"], settings["top_p"], settings["top_k"]) == (True, 1.0, 1.0, 0)


def test_results_can_be_written_and_hold_no_code(mine, tiny_renderer):
    lm = scripted(tiny_renderer.tokenizer, lambda prompt, before: "")
    dumped = json.dumps(run(lm, lab_task(mine), limit=2)["configs"])
    assert "def " not in dumped and "lambda" not in dumped


def test_a_prefilled_thought_is_no_answer_until_it_ends(mine, tiny_renderer):
    task = lab_task("digits")
    template = tiny_renderer.tokenizer.chat_template
    golds = [task.doc_to_target(doc) for doc in task.test_docs()]
    lm = scripted(tiny_renderer.tokenizer, None)
    lm.apply_chat_template = lambda messages, **_: messages[-1]["content"] + "<|assistant|><think>\n"
    replies = iter([f"so {golds[0]}", f"so it is</think>{golds[1]}", golds[2], f"x</think>{golds[3]}"])
    lm.generate_until = lambda requests, **_: [next(replies) for _ in requests]
    assert run(lm, task, limit=4)["results"]["lab_x"]["accuracy,none"] == 0.5
    assert "think" not in template  # the thought was opened by the model's template alone


def test_a_system_message_that_lm_eval_would_leave_out_is_refused(mine, tiny_renderer):
    lm = scripted(tiny_renderer.tokenizer, lambda prompt, before: "")
    lm.apply_chat_template = lambda messages, **_: "".join(m["content"] for m in messages if m["role"] != "system")
    with pytest.raises(UserError, match="lab_x has a system message, which this model's chat template refuses"):
        run(lm, lab_task(mine), limit=2)
    assert not lm.asked


def test_without_a_chat_template_it_is_refused_unless_meant(mine, tiny_renderer):
    lm = scripted(tiny_renderer.tokenizer, lambda prompt, before: "")
    with pytest.raises(UserError, match="--apply_chat_template"):
        run(lm, lab_task(mine), limit=2, chat=False)
    plain = lab_task(mine, metadata={"lab_task": str(mine), "mode": "completion"})
    run(lm, plain, limit=1, chat=False)
    assert lm.asked[-1][0].startswith("Be {% brief %}.\n\n") and lm.asked[-1][0].endswith("?\n\n")


def test_a_server_is_sent_only_what_every_server_knows():
    from lab.lm_eval_task import generation

    assert "top_k" not in generation(load_task("digits"), repeats=4, remote=True)
    assert "repetition_penalty" not in generation(load_task("digits"), repeats=1, remote=True)


def test_lm_evals_own_tasks_score_an_answer_that_no_filter_made_plain_text():
    from datasets import Dataset, DatasetDict
    from lm_eval.api.task import ConfigurableTask

    from lab.lm_eval_task import Answer

    data = Dataset.from_list([{"question": "1 + 1 =", "answer": 2, "aliases": ["2", "two"]}])
    config = {"task": "plain", "test_split": "test", "doc_to_text": "question", "output_type": "generate_until"}
    config |= {"custom_dataset": lambda **_: DatasetDict({"test": data}), "metric_list": [{"metric": "exact_match"}]}
    for target, right in (("{{answer}}", "2"), ("the number {{answer}}", "the number 2"), ("aliases", "two")):
        task = ConfigurableTask(config={**config, "doc_to_target": target})
        (doc,) = task.test_docs()
        assert task.process_results(doc, [Answer(right, finished=False)]) == {"exact_match": 1.0}
        assert task.process_results(doc, [Answer("9", finished=True)]) == {"exact_match": 0.0}


def test_no_such_task_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="did you mean 'digits'"):
        write_yamls(["digit"], folder=tmp_path)
