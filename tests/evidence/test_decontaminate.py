"""Decontamination: what is the same in other words is found, what only sounds alike is left."""

import pytest

from lab.errors import UserError
from lab.evidence.decontaminate import Index, check, decontaminated, index_of, provenance, summary
from lab.registry import load_task

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
    kept, removed = decontaminated(rows, {"leaky": task}, index_of([load_task("gsm8k")]))
    assert [overlap.kind for overlap in removed] == ["numbers", "words"] and len(kept) == 30
    assert all(overlap.benchmark == "gsm8k" and "shed holds" in overlap.twin for overlap in removed)
    listed = provenance(removed)
    assert len(listed) == 2 and all({"task", "benchmark", "kind", "text", "twin"} == set(entry) for entry in listed)


def test_what_the_command_prints(tmp_path, hub_copies):
    file = tmp_path / "leaky.py"
    file.write_text(LEAKY)
    text, removed = check(str(file), ["gsm8k", "math500"])
    assert text.splitlines()[0] == "leaky: 32 training rows against 40 test rows of gsm8k, math500"
    assert "gsm8k: 1 row with words in a row" in text and "other numbers" in text
    assert "    twin   A shed holds" in text and len(removed) == 2
    assert summary([]) == ["no overlap"]


def test_a_generator_is_no_benchmark():
    with pytest.raises(UserError, match="digits generates its rows without end"):
        check("arithmetic", ["digits"])


def test_the_benchmarks_own_training_split_is_near_its_test_split(hub_copies):
    _, removed = check("gsm8k", ["gsm8k"])
    assert {overlap.kind for overlap in removed} == {"numbers"} and len(removed) == 20  # our copy has one wording
