"""The rows of an experiment: shares, verified golds, no row in two places."""

import shutil

import pytest

from lab import Task, reward
from lab.config import load_experiment
from lab.data import counts, draw, first_rows, load_tasks, verified
from lab.errors import ContractError, UserError
from lab.scoring import Scorer
from rewards.numeric import numeric_answer


def test_counts_add_up_exactly():
    assert counts(10, {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}) == {"a": 4, "b": 3, "c": 3}
    assert counts(7, {"a": 0.9, "b": 0.1}) == {"a": 6, "b": 1}
    assert counts(0, {"a": 1.0}) == {"a": 0}


@pytest.fixture
def experiment():
    return load_experiment("smoke", ["task={digits: 1, largest: 1}", "eval.n=20", "grpo.max_steps=2"])


def test_stages_see_different_rows_of_each_task(experiment):
    tasks = load_tasks(experiment)
    with Scorer(tasks) as scorer:
        data = draw(experiment, tasks, scorer)
    keys = [{(row["task"], tasks[row["task"]].key(row)) for row in rows} for rows in (data.sft, data.grpo, data.eval)]
    assert [len(rows) for rows in (data.sft, data.grpo, data.eval)] == [640, 32, 20] == list(map(len, keys))
    assert len(set.union(*keys)) == sum(map(len, keys))
    assert sum(row["task"] == "digits" for row in data.eval) == 10


def task_with(wrong_share):
    def rows(split, rng):
        while True:
            n = rng.randint(0, 99_999)
            yield {"question": str(n), "answer": str(n) if rng.random() >= wrong_share else "many"}

    return Task(rows=rows, prompt="{question}", rewards={"correct": numeric_answer()}, name="golds")


def test_a_few_wrong_golds_are_dropped_and_counted(experiment):
    experiment.task, tasks = {"golds": 1.0}, {"golds": task_with(0.005)}
    with Scorer(tasks) as scorer:
        data = draw(experiment, tasks, scorer)
    assert len({row["question"] for row in data.sft + data.grpo}) < 672 and "gold does not verify" in data.notes[0]
    assert all(row["answer"] != "many" for row in data.sft + data.grpo)


def test_many_wrong_golds_are_an_error_that_shows_one(experiment):
    experiment.task, tasks = {"golds": 1.0}, {"golds": task_with(0.2)}
    with Scorer(tasks) as scorer, pytest.raises(ContractError, match="golds do not verify .* 'many'"):
        draw(experiment, tasks, scorer)


@reward()
def whatever_the_gold_says(response, row):
    return float(response.text == str(row["answer"]))


@pytest.mark.parametrize("blank", ["", " ", None, float("nan")])
def test_a_blank_gold_is_wrong_even_where_the_reward_takes_it(blank):
    task = Task(rows=None, prompt="{question}", rewards={"correct": whatever_the_gold_says}, name="blank")
    rows = [{"task": "blank", "question": str(n), "answer": "1" if n else blank} for n in range(4)]
    notes = []
    with Scorer({"blank": task}, workers=1) as scorer:
        assert [row["question"] for row in verified(task, rows, scorer, notes)] == ["1", "2", "3"]
        with pytest.raises(ContractError, match="the gold is blank"):
            verified(task, rows[:1], scorer, notes)
    assert notes == ["blank: 1 of 4 rows dropped, their gold does not verify"]


def test_rows_to_look_at_come_from_the_first_split_that_can_be_had():
    def rows(split, rng):
        if split == "train":
            raise UserError("the hub cannot be reached")
        yield {"question": split, "answer": "1"}

    benchmark = Task(rows=rows, prompt="{question}", rewards={"correct": numeric_answer()}, splits="given")
    assert [row["question"] for row in first_rows(benchmark, 5)] == ["validation"]
    benchmark.has = ("train",)
    with pytest.raises(UserError, match="cannot be reached"):
        first_rows(benchmark, 5)


def test_two_tasks_of_one_name_are_refused(tmp_path, experiment):
    shutil.copy(load_tasks(experiment)["digits"].source, tmp_path / "digits.py")
    experiment.task = {"digits": 0.5, str(tmp_path / "digits.py"): 0.5}
    with pytest.raises(UserError, match="two tasks of the mixture are called 'digits'"):
        load_tasks(experiment)
