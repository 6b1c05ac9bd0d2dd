"""Answers are scored while others are still being written, and nothing but the clock can tell."""

import time

import pytest
import scoring_rewards
import torch

from lab import Response, Score, Task
from lab.scoring import Scorer
from lab.stages.grpo import RewardTable
from lab.workers import Batch, Verdict

CLOCKS = ("seconds", "p50", "p99")
ROW = {"task": "t", "question": "2 + 2?", "answer": "4"}


def scorer(reward, **options) -> Scorer:
    task = Task(rows=lambda split, rng: [], prompt="{question}", rewards={"r": reward}, answer="everything", name="t")
    return Scorer({"t": task}, workers=2, **options)


def unclocked(metrics) -> dict:
    return {name: value for name, value in metrics.items() if not name.endswith(CLOCKS)}


def test_what_begins_early_is_graded_as_if_it_had_not():
    """Also what hangs, dies, raises or breaks its contract, with the same blame and the same counts."""
    texts = ["4", "5", "hang", "die", "raise", "refuse", "4", "6"]
    responses, rows = [Response(text) for text in texts], [dict(ROW) for _ in texts]
    found = []
    for early in (False, True):
        with scorer(scoring_rewards.odd, seconds=0.7) as service:
            if early:
                for response, row in zip(responses[:-1], rows):
                    service.begin([response], [row])
                until = time.monotonic() + 60
                batch, _ = service._begun
                # the others' verdicts are there; the faulty ones', without blame, are not
                while not (len(batch.results) == 3 and len(batch.waiting) == 3) and time.monotonic() < until:
                    service.begin([], [])
                    time.sleep(0.01)
                assert sorted(batch.jobs[i].response.text for i in batch.waiting) == ["die", "hang", "raise"]
                assert service.metrics()["scoring/cached"] == 0  # nothing is counted before it is asked for
            graded = service.grade(responses, rows, keep_going=True)
            found.append((graded, unclocked(service.metrics()), service.unscorable_samples))
            assert service._begun is None
    assert found[0] == found[1]
    assert found[0][1]["reward_errors/r/deadline"] == 1


def test_jobs_that_are_still_running_are_waited_for():
    with scorer(scoring_rewards.sized) as service:
        responses = [Response("a" * n) for n in range(40)]
        service.begin(responses[:30], [ROW] * 30)
        graded = service.grade(responses, [ROW] * 40)
    assert [one.total for one in graded] == [float(n % 2) for n in range(40)]


def test_async_rewards_wait_for_all_answers(tmp_path):
    row = ROW | {"log": str(tmp_path / "log")}
    with scorer(scoring_rewards.judge) as service:
        service.begin([Response("a")], [row])
        service.begin([], [])
        assert not (tmp_path / "log").exists() and not service._pool.workers
        assert service.grade([Response("a"), Response("b")], [row] * 2)[0].total == 0.5


def test_an_early_batch_dies_with_its_scorer_and_a_new_one_starts():
    service = scorer(scoring_rewards.sized)
    service.begin([Response("aaa")], [ROW])
    service.close()
    with service:
        assert service.grade([Response("aaa")], [ROW])[0].total == 1.0


def test_a_step_has_the_same_numbers_with_and_without(make_trainer, tiny_renderer, monkeypatch):
    """The same random numbers, hence answers: advantages, rewards and every metric but the seconds."""
    begun, steps = [], []
    plain = Scorer.begin

    def counted(self, responses, rows):
        begun.append(len(responses))
        plain(self, responses, rows)

    monkeypatch.setattr(Scorer, "begin", counted)
    for early in (False, True):
        with scorer(scoring_rewards.sized) as service:
            table = RewardTable(service.tasks, [ROW] * 6, tiny_renderer, service)
            trainer = make_trainer(True, reward=table.columns, max_completion_length=12)
            trainer.eos_token_ids = list(range(0, 4096, 5))
            trainer.ended, service.early = table.begin, early
            torch.manual_seed(3)
            trainer.model.train()
            rows = [trainer.train_dataset[i // 4] for i in range(8)]
            batch = trainer._generate_and_score_completions(rows)
            metrics = {name: values for name, values in trainer._metrics["train"].items() if not name.endswith(CLOCKS)}
            steps.append((batch["completion_ids"].tolist(), batch["advantages"].tolist(), metrics))
            assert service.early  # a batch that takes its time is worth beginning early the next time
    assert steps[0] == steps[1]
    assert 0 < sum(begun) <= 8 and len(begun) > 2


@pytest.mark.parametrize("seconds, early", [(0.2, True), (0.0001, False)])
def test_it_is_off_where_scoring_takes_no_time(seconds, early, monkeypatch):
    monkeypatch.setattr(Batch, "finish", lambda self, *_: [Verdict(Score(1.0), seconds) for _ in self.jobs])
    with scorer(scoring_rewards.sized) as service:
        assert not service.early
        service.grade([Response("a")], [ROW])
        assert service.early is early
