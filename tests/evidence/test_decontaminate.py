"""Decontamination: what is the same in other words is found, what only sounds alike is left."""

import json

import pytest

from lab.config import load_experiment
from lab.data import draw, load_tasks
from lab.errors import UserError
from lab.evidence.decontaminate import Index, check, decontaminated, index_of, provenance, summary
from lab.registry import load_task
from lab.scoring import Scorer

JANET = (
    "Janet’s ducks lay 16 eggs per day. She eats three for breakfast every morning and sells the rest at the market "
    "for $2 per egg. How much does she make?"
)

LEAKY = """
from lab import Task
from rewards.numeric import numeric_answer

def rows(split, rng):
    if split != "train":
        return
    for i in range(30):
        yield {"question": f"A box holds {i} apples, {i + 3} pears and plums of the tree behind us", "answer": "1"}
    yield {"question": "A shed holds 9 bricks and a cart brings 3 more. How many bricks are there?", "answer": "12"}
    yield {"question": "Listen: a shed holds 1200 bricks, and a cart brings 80 more... how many bricks are there, Bob?",
           "answer": "1280"}

task = Task(rows=rows, prompt="{question} Think step by step.", rewards={"correct": numeric_answer()}, splits="given")
"""


@pytest.fixture
def index():
    index = Index()
    index.add("words", JANET)
    index.add("short", "What is 3 + 4?")
    return index


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (JANET, "words"),
        (JANET.upper().replace(".", " !"), "words"),  # case and punctuation are no disguise
        ("Once more. " + JANET[:90], "words"),  # a part of it
        (JANET.replace("16", "21").replace("three", "five").replace("$2", "$7"), "numbers"),
        (JANET.replace("16", "1,600.5").replace("three", "12").replace("2", "0.5"), "numbers"),
        ("what is 3 + 4", "words"),  # the whole of a short question
        ("What is 3 + 5?", None),  # too short for its wording to say anything
        ("What is 3 + 4 + 5?", None),
        (
            JANET.replace("ducks", "hens")
            .replace("16", "9")
            .replace("breakfast", "lunch")
            .replace("the rest at", "some near"),
            None,
        ),
        ("Janet has ducks. How many eggs do they lay per day if each of the 4 lays three?", None),
        ("", None),
    ],
)
def test_what_overlaps(index, text, kind):
    found = index.find(text)
    assert (found and found[0]) == kind


def test_rows_are_removed_with_their_twins_and_listed(tmp_path, hub_copies):
    file = tmp_path / "leaky.py"
    file.write_text(LEAKY)
    task = load_task(str(file))
    rows = list(task.stream("train"))
    index = index_of(["gsm8k"])
    kept, removed = decontaminated(rows, {"leaky": task}, index)
    assert [overlap.kind for overlap in removed] == ["numbers", "words"] and len(kept) == 30
    assert all(overlap.benchmark == "gsm8k" and "shed holds" in overlap.twin for overlap in removed)
    facts = provenance(index, removed)
    listed = facts["removed"]
    assert (
        facts["against"] == {"gsm8k": 20}
        and len(listed) == 2
        and all({"task", "benchmark", "kind", "text", "twin"} == set(entry) for entry in listed)
    )


def test_what_the_command_prints(tmp_path, hub_copies):
    file = tmp_path / "leaky.py"
    file.write_text(LEAKY)
    text, removed = check(str(file), ["gsm8k", "math500"])
    assert text.splitlines()[0] == "leaky: 32 training rows against 40 test rows of gsm8k, math500"
    assert "gsm8k: 1 row with words in a row" in text and "other numbers" in text
    assert "    twin   A shed holds" in text and len(removed) == 2
    assert summary([]) == ["no overlap"]


def test_a_generator_is_no_benchmark():
    with pytest.raises(UserError, match="digits has no test split that ends"):
        check("arithmetic", ["digits"])


def test_the_benchmarks_own_training_split_is_near_its_test_split(hub_copies):
    _, removed = check("gsm8k", ["gsm8k"])
    assert {overlap.kind for overlap in removed} == {"numbers"} and len(removed) == 20  # our copy has one wording


HELD_OUT = """if split != "train":
        yield from ({"question": f"How many are {i} and 0?", "answer": str(i)} for i in range(4))
        return"""
FEW = ("sft.demonstrations=32", "grpo=null", "eval.n=4", "eval.split=test", "eval.base=false")


@pytest.fixture
def leaky(tmp_path):
    """A task file whose 32 training rows hold a copy of a gsm8k question and a copy with other numbers."""
    file = tmp_path / "leaky.py"
    file.write_text(LEAKY.replace('if split != "train":\n        return', HELD_OUT))
    return file


def test_a_run_trains_without_what_a_benchmark_has(lab, leaky, hub_copies, tmp_path):
    done = lab("run", "smoke", f"task={leaky}", "decontaminate=[gsm8k, math500]", f"output={tmp_path}", *FEW)
    assert done.returncode == 0, done.stderr
    note = "leaky: 2 of 32 training rows removed, they stand in benchmarks (1 in gsm8k with other numbers, 1 in gsm8k"
    assert note in done.stdout + done.stderr and "30 demonstrations" in done.stdout
    (file,) = tmp_path.glob("smoke/*/provenance.json")
    facts = json.loads(file.read_text())
    assert facts["decontamination"]["against"] == {"gsm8k": 20, "math500": 20}
    assert [(r["kind"], r["benchmark"], r["text"][:14]) for r in facts["decontamination"]["removed"]] == [
        ("numbers", "gsm8k", "A shed holds 9"),
        ("words", "gsm8k", "Listen: a shed"),
    ]
    assert any(note in told for told in facts["notes"])


def test_a_benchmark_that_cannot_be_had_is_one_sentence_before_a_model_loads(lab, leaky, tmp_path):
    done = lab("sft", "smoke", f"task={leaky}", "decontaminate=[math500]", f"output={tmp_path / 'runs'}", *FEW)
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "the test split of the data set HuggingFaceH4/MATH-500 cannot be had" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("against", "said"),
    [
        ("[gsm8]", "there is no task 'gsm8': did you mean 'gsm8k'?"),
        ("[digits]", "digits has no test split that ends, it generates its rows"),
        ("gsm8k", "decontaminate must be a valid list, got 'gsm8k'"),
    ],
)
def test_what_is_no_benchmark_is_refused(against, said):
    with pytest.raises(UserError) as told:
        experiment = load_experiment("smoke", [f"decontaminate={against}"])
        draw(experiment, load_tasks(experiment), None)
    assert said in str(told.value)


def test_a_task_that_is_nothing_but_a_benchmark_is_refused(hub_copies):
    experiment = load_experiment("smoke", ["task=gsm8k", "decontaminate=[gsm8k]", "sft.demonstrations=8", "grpo=null"])
    tasks = load_tasks(experiment)
    with Scorer(tasks) as scorer, pytest.raises(UserError, match="8 of 8 training rows removed.*none is left"):
        draw(experiment, tasks, scorer)
    experiment.decontaminate = []
    with Scorer(tasks) as scorer:
        told = draw(experiment, tasks, scorer)
    assert len(told.sft) == 8 and "not compared with any benchmark" in told.notes[0] and told.decontamination is None
