"""The scoring service: what hangs, dies or lies costs its own response alone, and is never a zero."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
import scoring_rewards

from lab import Response, Task, registry, workers
from lab.errors import ContractError, UserError
from lab.scoring import SAMPLES, Scorer, check_budget

ROOT = Path(__file__).resolve().parents[1]


def task(reward, **more) -> Task:
    return Task(rows=lambda split, rng: [], prompt="{question}", rewards={"r": reward}, name="t", **more)


def scorer(reward, region="everything", **options) -> Scorer:
    return Scorer({"t": task(reward, answer=region)}, workers=2, **options)


ROW = {"task": "t", "question": "2 + 2?", "answer": "4"}


def rows(count, **more):
    return [{**ROW, **more} for _ in range(count)]


def gone(pid: int, patience: float = 20) -> bool:
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if not Path(f"/proc/{pid}").exists() or ") Z " in Path(f"/proc/{pid}/stat").read_text():
            return True
        time.sleep(0.05)
    return False


# ---- faults


def test_every_fault_is_none_with_its_reason_and_costs_only_its_own_response():
    faults = {
        "raise": "exception: ValueError: no such luck",
        "base exception": "exception: KeyboardInterrupt",
        "exit": "exception: SystemExit: 0",
        "hang": "deadline: over 0.7 s",
        "sleep": "deadline: over 0.7 s",
        "die": "died: the worker was lost (exit code 3)",
        "crash": "died: the worker was lost (killed by SIGSEGV)",
        "memory": "exception: MemoryError",
        "refuse": "just so",
    }
    texts = [text for fault in faults for text in (fault, "4", "5", f"{fault}?")] + ["4"]
    with scorer(scoring_rewards.odd, seconds=0.7) as service:
        graded = service.grade([Response(text) for text in texts], rows(len(texts)), keep_going=True)
        metrics = service.metrics()
        samples = service.unscorable_samples
    for text, one in zip(texts, graded, strict=True):
        assert one.scores["r"] == ((None, faults[text]) if text in faults else (float(text == "4"), ""))
        assert one.primary == one.total == one.scores["r"].value
    errors = {key: value for key, value in metrics.items() if key.startswith("reward_errors/")}
    assert errors == {
        "reward_errors/r/exception": 4,
        "reward_errors/r/deadline": 2,
        "reward_errors/r/died": 2,
        "reward_errors/r/refused": 1,
    }
    assert metrics["scoring/refused"] == 1
    assert metrics["scoring/seconds_p99"] >= 0.7 > metrics["scoring/seconds_p50"]
    assert {sample["response"] for sample in samples} == set(faults)
    assert all(sample["task"] == "t" and sample["reward"] == "r" and sample["row"] == ROW for sample in samples)


def test_metrics_start_anew_after_each_reading():
    with scorer(scoring_rewards.odd) as service:
        service.grade([Response("raise")], rows(1))
        assert service.metrics()["reward_errors/r/exception"] == 1
        assert service.metrics() == {
            "scoring/seconds": 0,
            "scoring/seconds_p50": 0,
            "scoring/seconds_p99": 0,
            "scoring/cached": 0,
            "scoring/refused": 0,
        }


def test_what_a_reward_prints_is_no_verdict(capfd):
    with scorer(scoring_rewards.odd) as service:
        assert service.grade([Response("print")], rows(1))[0].primary == 0.0
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "forged" in captured.err
    assert "noise" in captured.err


def test_a_worker_that_writes_what_is_no_verdict_is_lost_and_the_others_are_scored():
    with Scorer({"t": task(scoring_rewards.odd)}, workers=1) as service:
        texts = ["4", "scribble", *map(str, range(5, 45)), "4"]
        graded = service.grade([Response(each) for each in texts], rows(len(texts)), keep_going=True)
        lost = [one.scores["r"].reason for one in graded if one.primary is None]
        assert lost == ["died: the worker was lost (it wrote what is no verdict)"]
        assert [one.primary for one in graded if one.primary is not None] == [1.0, *[0.0] * 40, 1.0]
        assert service.grade([Response("4")], rows(1, note="after"))[0].primary == 1.0


def test_the_batch_budget_ends_the_batch():
    with scorer(scoring_rewards.odd, seconds=30, budget=1.5) as service:
        texts = ["sleep"] * 2 + ["4"]
        graded = service.grade(
            [Response(text, prefilled=str(i)) for i, text in enumerate(texts)], rows(3), keep_going=True
        )
        assert [one.scores["r"].reason.partition(":")[0] for one in graded[:2]] == ["budget", "budget"]
        assert service.grade([Response("4")], rows(1))[0].primary == 1.0


def test_unscorable_samples_are_at_most_twenty():
    with scorer(scoring_rewards.odd) as service:
        responses = [Response("raise", prefilled=str(i)) for i in range(3)] + [Response("refuse")]
        many = [{**ROW, "question": str(i)} for i in range(40)]
        service.grade(responses * 10, many, keep_going=True)
        assert len(service.unscorable_samples) == SAMPLES


# ---- the reward's own bugs


@pytest.mark.parametrize("value", scoring_rewards.VALUES)
def test_a_value_outside_the_contract_is_refused_at_once(value):
    with scorer(scoring_rewards.raw_value) as service, pytest.raises(ContractError) as refused:
        service.grade([Response(value)], rows(1), keep_going=True)
    for named in ("scoring_rewards:raw_value", "task t", "2 + 2?", "from 0 to 1"):
        assert named in str(refused.value)


def test_a_row_without_a_declared_field_is_refused_by_name():
    with scorer(scoring_rewards.odd) as service, pytest.raises(ContractError, match="'answer'.*did you mean 'answers'"):
        service.grade([Response("4")], [{"task": "t", "question": "?", "answers": "4"}])


def test_a_row_of_an_unknown_task_is_refused():
    with scorer(scoring_rewards.odd) as service, pytest.raises(ContractError, match="did you mean 't'"):
        service.grade([Response("4")], [{**ROW, "task": "tt"}])


def test_a_row_that_cannot_be_sent_is_refused():
    with scorer(scoring_rewards.odd) as service, pytest.raises(ContractError, match="plain data"):
        service.grade([Response("4")], [{**ROW, "lock": threading.Lock()}])


# ---- the share of unscorable responses


def test_one_lost_response_of_a_small_step_goes_on_and_many_stop(tmp_path):
    with scorer(scoring_rewards.odd) as service:
        service.samples_file = tmp_path / "unscorable.jsonl"
        step = [Response("raise"), *[Response("4")] * 7]
        for _ in range(3):
            assert service.grade(step, rows(8))[0].primary is None
        with pytest.raises(UserError, match=r"4 of the last 32 .*allowed is 5%") as stopped:
            service.grade(step, rows(8))
        assert "ValueError: no such luck" in str(stopped.value) and "'question': '2 + 2?'" in str(stopped.value)
        kept = [json.loads(line) for line in service.samples_file.read_text().splitlines()]
        assert [(sample["response"], sample["row"]) for sample in kept] == [("raise", ROW)]
        assert str(service.samples_file) in str(stopped.value)
        assert len(service.grade(step, rows(8), keep_going=True)) == 8


def test_golds_and_evaluations_do_not_count_in_the_share_of_a_step():
    with scorer(scoring_rewards.odd) as service:
        service.grade([Response("raise")] * 64, rows(64), keep_going=True)
        step = [Response("raise"), *[Response("4")] * 7]
        assert service.grade(step, rows(8))[0].primary is None


def test_the_share_is_of_the_whole_step_where_it_is_large():
    with scorer(scoring_rewards.odd) as service:
        service.grade([*[Response("raise")] * 10, *[Response("4")] * 190], rows(200))
        with pytest.raises(UserError, match="11 of the last 200"):
            service.grade([*[Response("raise")] * 11, *[Response("4")] * 189], rows(200))


def test_a_reward_without_weight_does_not_stop_the_run():
    mixed = Task(
        rows=lambda split, rng: [],
        prompt="{question}",
        rewards={"ok": scoring_rewards.counted_answer, "watched": scoring_rewards.odd},
        weights={"watched": 0.0},
        name="t",
    )
    with Scorer({"t": mixed}, workers=1) as service:
        graded = service.grade([Response("raise")] * 8, rows(8, log=os.devnull))
        assert [one.total for one in graded] == [0.0] * 8
        assert service.metrics()["reward_errors/watched/exception"] == 8


# ---- scored once


def calls(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_equal_responses_are_scored_once_and_remembered(tmp_path):
    log = tmp_path / "log"
    with scorer(scoring_rewards.counted) as service:
        batch = [Response(text) for text in ["4", "4", "5", "4"]]
        assert [one.primary for one in service.grade(batch, rows(4, log=str(log)))] == [1, 1, 0, 1]
        assert calls(log) == 2
        assert service.metrics()["scoring/cached"] == 0.5
        service.grade(batch, rows(4, log=str(log)))
        assert calls(log) == 2
        assert service.metrics()["scoring/cached"] == 1.0
        # another row, another finish, another prefill: other responses
        service.grade([Response("4")], rows(1, log=str(log), note="new"))
        service.grade([Response("4", finished=False)], rows(1, log=str(log)))
        service.grade([Response("4", prefilled="<think>")], rows(1, log=str(log)))
        assert calls(log) == 5


def test_a_reward_that_sees_only_the_answer_scores_each_answer_once(tmp_path):
    log = tmp_path / "log"
    with scorer(scoring_rewards.counted_answer, region="boxed") as service:
        texts = [f"{thought} \\boxed{{4}}" for thought in ("So", "Hence", "<think>hm</think>")] + [r"\boxed{5}"]
        responses = [Response(text, region="boxed") for text in texts]
        assert [one.primary for one in service.grade(responses, rows(4, log=str(log)))] == [1, 1, 1, 0]
        assert calls(log) == 2
        torn = Response(r"\boxed{4}", region="boxed", finished=False)
        assert service.grade([torn], rows(1, log=str(log)))[0].primary == 0


def test_a_reward_that_says_what_it_sees_scores_that_once_and_sees_no_more(tmp_path):
    log = tmp_path / "log"
    with scorer(scoring_rewards.counted_last_word) as service:
        responses = [Response(text) for text in ("It is 4", "So: 4", "5")]
        assert [one.primary for one in service.grade(responses, rows(3, log=str(log)))] == [1, 1, 0]
        assert calls(log) == 2


def test_other_parameters_are_another_reward(tmp_path):
    log = tmp_path / "log"
    rewards = {"a": scoring_rewards.counted(), "b": scoring_rewards.counted(bonus=1.0)}
    both = Task(rows=lambda split, rng: [], prompt="{question}", rewards=rewards, name="t")
    with Scorer({"t": both}, workers=1) as service:
        service.grade([Response("4")], rows(1, log=str(log)))
        assert calls(log) == 2


def test_what_the_machine_broke_is_tried_again(tmp_path):
    log = tmp_path / "log"
    with scorer(scoring_rewards.counted) as service:
        for expected in (1, 2):
            service.grade([Response("raise")], rows(1, log=str(log)))
            assert calls(log) == expected


def test_the_cache_is_bounded_and_can_be_turned_off(tmp_path):
    log = tmp_path / "log"
    with scorer(scoring_rewards.counted, cached=2) as service:
        for text in ["1", "2", "3", "3", "1"]:
            service.grade([Response(text)], rows(1, log=str(log)))
        assert calls(log) == 4
    with scorer(scoring_rewards.counted, cached=0) as service:
        service.grade([Response("4")] * 3, rows(3, log=str(log)))
        assert calls(log) == 7


# ---- async rewards


def test_async_rewards_run_together_retry_and_have_a_deadline(tmp_path):
    with scorer(scoring_rewards.judge) as service:
        texts = ["a", "b", "c", "flaky", "sleep"]
        each = [{**ROW, "log": str(tmp_path / text)} for text in texts]
        graded = service.grade([Response(text) for text in texts], each, keep_going=True)
        assert [one.primary for one in graded] == [0.5, 0.5, 0.5, 0.5, None]
        assert graded[-1].scores["r"].reason == "deadline: over 0.5 s"
        assert [calls(tmp_path / text) for text in texts] == [1, 1, 1, 3, 3]
        assert service.metrics()["reward_errors/r/deadline"] == 1


def test_no_more_async_calls_run_at_once_than_it_declares():
    with scorer(scoring_rewards.crowd) as service:
        graded = service.grade([Response(str(i)) for i in range(12)], rows(12))
        assert max(one.primary for one in graded) == 3


def test_as_many_async_calls_wait_in_threads_as_it_declares():
    with scorer(scoring_rewards.meets_in_threads) as service:
        graded = service.grade([Response(str(i)) for i in range(24)], rows(24), keep_going=True)
        assert [one.primary for one in graded] == [1.0] * 24


def test_an_async_reward_that_blocks_its_loop_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "ASYNC_GRACE_SECONDS", 0)
    with scorer(scoring_rewards.judge) as service:
        each = [{**ROW, "log": str(tmp_path / text)} for text in ("block", "a")]
        graded = service.grade([Response("block"), Response("a")], each, keep_going=True)
        assert graded[0].scores["r"].reason.startswith("deadline")
        assert service.grade([Response("b")], rows(1, log=str(tmp_path / "b")))[0].primary == 0.5


# ---- whose process, whose thread


def test_it_works_off_the_main_thread_and_from_several_threads():
    results = {}
    with scorer(scoring_rewards.odd) as service:

        def grade(name):
            texts = ["4", f"{name}", "4"]
            results[name] = [one.primary for one in service.grade([Response(text) for text in texts], rows(3))]

        threads = [threading.Thread(target=grade, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == {0: [1, 0, 1], 1: [1, 0, 1], 2: [1, 0, 1], 3: [1, 0, 1]}


def test_a_forked_child_has_workers_of_its_own():
    with scorer(scoring_rewards.odd) as service:
        service.grade([Response("4")], rows(1))
        context = multiprocessing.get_context("fork")
        read, write = context.Pipe(duplex=False)

        def child():
            write.send([one.primary for one in service.grade([Response("5"), Response("x")], rows(2))])
            service.close()

        process = context.Process(target=child)
        process.start()
        process.join(30)
        assert read.recv() == [0, 0]
        assert service.grade([Response("6")], rows(1))[0].primary == 0


def test_workers_are_kept_and_end_with_the_scorer(tmp_path):
    log = tmp_path / "pid"
    service = Scorer({"t": task(scoring_rewards.process_id)}, workers=1)
    pids = set()
    for text in "abc":
        service.grade([Response(text)], rows(1, log=str(log)))
        pids.add(int(log.read_text()))
    assert len(pids) == 1
    service.close()
    assert not Path(f"/proc/{pids.pop()}").exists()


def test_a_worker_that_was_lost_while_idle_is_replaced(tmp_path):
    log = tmp_path / "pid"
    with Scorer({"t": task(scoring_rewards.process_id)}, workers=1) as service:
        service.grade([Response("a")], rows(1, log=str(log)))
        os.kill(int(log.read_text()), signal.SIGKILL)
        while Path(f"/proc/{log.read_text()}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)  # a call in a worker that is dying is a lost call, not a lost idle worker
        assert service.grade([Response("b")], rows(1, log=str(log)))[0].primary == 1.0


def test_a_reward_of_a_file_is_found_by_the_workers(tmp_path):
    (tmp_path / "helper.py").write_text("GOLD = '4'\n")
    (tmp_path / "mine.py").write_text(
        "from lab import reward\nfrom helper import GOLD\n\n"
        "@reward(reads=[])\ndef mine(response, row):\n    return float(response.text == GOLD)\n"
    )
    with scorer(registry.load_reward(str(tmp_path / "mine.py"))) as service:
        assert service.grade([Response("4")], rows(1))[0].primary == 1.0


SCRIPT = """
import os, sys
sys.path.insert(0, "tests")
print("imported")
from lab import Response, Task, reward
from lab.scoring import Scorer
import scoring_rewards

@reward()
def here(response, row):
    return 1.0

def task(reward):
    return Task(rows=lambda s, r: [], prompt="{q}", rewards={"r": reward}, name="t")

row = {"task": "t", "q": "?", "answer": "4", "log": LOG}
print(Scorer({"t": task(scoring_rewards.odd)}, workers=1).grade([Response("4")], [row])[0].primary)
try:
    Scorer({"t": task(here)}).grade([Response("4")], [row])
except Exception as error:
    print(type(error).__name__, error)
service = Scorer({"t": task(scoring_rewards.process_id)}, workers=1, seconds=1000, budget=1000)
service.grade([Response("4")], [row])
"""


def script(tmp_path, more=""):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.replace("LOG", repr(str(tmp_path / "pid"))) + textwrap.dedent(more))
    return [sys.executable, str(path)], {"cwd": ROOT, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}


def test_a_script_without_a_main_guard_runs_once_and_leaves_nothing(tmp_path):
    command, options = script(tmp_path)
    done = subprocess.run(command, **options, capture_output=True, text=True, timeout=60)
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[:2]) == (0, ["imported", "1.0"])
    assert lines[2].startswith("ContractError reward 'r' stands in the script that is running")
    assert len(lines) == 3
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_killed_parent_takes_its_hung_worker_along(tmp_path):
    command, options = script(tmp_path, 'os.remove(LOG)\nservice.grade([Response("hang")], [row])\n')
    command[1] = str(tmp_path / "script.py")
    Path(command[1]).write_text(Path(command[1]).read_text().replace("LOG", repr(str(tmp_path / "pid"))))
    with subprocess.Popen(command, **options, stdout=subprocess.DEVNULL) as parent:
        pid_file = tmp_path / "pid"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (pid_file.exists() and pid_file.read_text()):
            time.sleep(0.05)
        time.sleep(1.5)
        pid = int(pid_file.read_text())
        assert not gone(pid, patience=0.2)
        parent.kill()
    assert gone(pid)


# ---- what cannot work at all


def test_workers_that_cannot_start_are_the_users_to_mend():
    broken = scorer(scoring_rewards.odd, environment={"PYTHONHOME": "/nowhere"})
    with broken, pytest.raises(UserError, match="ended while starting"):
        broken.grade([Response("4")], rows(1))


def test_a_module_that_a_worker_cannot_import_is_named():
    with scorer(scoring_rewards.wants_more) as service, pytest.raises(UserError, match="no_such_module_anywhere"):
        service.grade([Response("4")], rows(1))


@pytest.mark.parametrize("name, seconds", [("numeric", 60), ("judge:judge_answer", 378), ("code:python_stdio", 240)])
def test_a_batch_has_time_for_every_try_of_its_slowest_reward(name, seconds):
    from lab.registry import load_reward

    with scorer(load_reward(name)) as service, scorer(load_reward(name), budget=7) as told:
        assert (service.budget, told.budget) == (seconds, 7)


def test_the_budget_must_end_before_the_process_group_gives_up():
    check_budget(60, 1800)
    with pytest.raises(UserError, match="ddp_timeout"):
        check_budget(1800, 1800)
