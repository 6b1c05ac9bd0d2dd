"""The rewards as TRL sees them: graded once, None kept apart from 0, tasks kept apart from each other."""

from collections import defaultdict

import pytest

from lab import Response, Score, Task
from lab.scoring import Scorer
from lab.stages.grpo import RewardTable
from rewards.format import well_formed
from rewards.length import soft_length
from rewards.numeric import numeric_answer


class CountingScorer:
    """Stands for the scoring service: the verdict is written in the response."""

    def __init__(self, tasks):
        self.tasks, self.calls = tasks, 0

    def grade(self, responses, rows):
        self.calls += 1
        values = {"one": 1.0, "none": None, "zero": 0.0}
        return [
            self.tasks[row["task"]].graded(
                {name: Score(values[response.text]) for name in self.tasks[row["task"]].rewards}
            )
            for response, row in zip(responses, rows)
        ]

    def metrics(self):
        return {"scoring/cached": 0.5}


def rows(split, rng):
    yield {"question": "1", "answer": "1"}


def table_of(renderer, *names):
    rewards = {"correct": numeric_answer(), "form": well_formed()}
    tasks = {n: Task(rows=rows, prompt="{question}", rewards=rewards, weights={"form": 0.5}, name=n) for n in names}
    table_rows = [{"question": "1", "answer": "1", "task": name} for name in names]
    return RewardTable(tasks, table_rows, renderer, CountingScorer(tasks))


def ask(table, texts, row_index):
    renderer = table.renderer
    ids = [[*renderer.tokenizer(text)["input_ids"], renderer.end_ids[0]] for text in texts]
    extra, metrics = defaultdict(list), defaultdict(list)
    got = {
        column.__name__: column(
            completion_ids=ids,
            row_index=row_index,
            log_extra=lambda name, values: extra[name].extend(values),
            log_metric=lambda name, value: metrics[name].append(value),
        )
        for column in table.columns
    }
    return got, extra, metrics


def test_a_batch_is_graded_once_for_all_columns(tiny_renderer):
    table = table_of(tiny_renderer, "a")
    got, extra, metrics = ask(table, ["one", "zero"], [0, 0])
    assert table.scorer.calls == 1
    assert got == {"correct": [1.0, 0.0], "form": [1.0, 0.0]} and [c.weight for c in table.columns] == [1.0, 0.5]
    assert extra["finished"] == [True, True] and metrics["accuracy"] == [True, False]


def test_an_unscorable_answer_is_none_in_every_column(tiny_renderer):
    got, _, metrics = ask(table_of(tiny_renderer, "a"), ["none", "one"], [0, 0])
    assert got == {"correct": [None, 1.0], "form": [None, 1.0]} and metrics["accuracy"] == [True]


def test_a_reward_never_scores_another_tasks_row(tiny_renderer):
    got, _, metrics = ask(table_of(tiny_renderer, "a", "b"), ["one", "zero"], [0, 1])
    assert got["a/correct"] == [1.0, None] and got["b/correct"] == [None, 0.0]
    assert metrics["accuracy/a"] == [True] and metrics["accuracy/b"] == [False]


def test_what_was_scored_before_the_training_is_in_no_steps_metrics(tiny_renderer):
    task = Task(rows=rows, prompt="{question}", rewards={"short": soft_length()}, name="a")
    row = {"question": "1", "answer": "1", "task": "a"}
    with Scorer({"a": task}, workers=1) as scorer:
        assert scorer.grade([Response("1")], [row], keep_going=True)[0].total is None  # a gold: its tokens are unknown
        got, _, metrics = ask(RewardTable({"a": task}, [row], tiny_renderer, scorer), ["12"], [0])
    assert got == {"short": [0.0]} and "scoring/seconds" in metrics
    assert not [name for name in metrics if name.startswith("reward_errors/")]


@pytest.mark.parametrize("end", [True, False])
def test_a_truncated_completion_is_told_to_the_reward(tiny_renderer, end):
    ids = [*tiny_renderer.tokenizer("12")["input_ids"], *([tiny_renderer.end_ids[0]] if end else [])]
    assert tiny_renderer.is_finished(ids) is end and tiny_renderer.completion_text(ids) == "12"
