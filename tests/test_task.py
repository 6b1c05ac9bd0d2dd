"""Task: prompts, splits, weights and gates."""

import pytest

from lab import Score, Task, reward
from lab.errors import ContractError
from lab.registry import load_task, task_names
from lab.task import TRAIN, split_of
from rewards.numeric import numeric_answer


def numbers(split, rng):
    while True:
        n = rng.randint(0, 199)
        yield {"question": f"{n} + 1?", "answer": str(n + 1)}


def three(split, rng):
    yield from ({"question": q, "answer": "1"} for q in ({"train": "abc", "test": "cd", "validation": "e"}[split]))


@reward(reads=["answer"], range=(0, 1))
def half(response, row):
    return 0.5


def make(**changes):
    fields = {"rows": numbers, "prompt": "{question}", "rewards": {"correct": numeric_answer()}, "name": "t"}
    return Task(**fields | changes)


def test_splits_never_share_a_prompt_and_lose_none():
    task = make()
    keys = {split: {task.key(row) for row in task.stream(split)} for split in task.has}
    assert sum(map(len, keys.values())) == len(set.union(*keys.values())) == 200
    assert all(split_of(key) == split for split, members in keys.items() for key in members)
    assert 0.6 < len(keys["train"]) / 200 < 0.8


def test_given_splits_are_kept_and_training_drops_held_out_prompts():
    task = make(rows=three, splits="given")
    assert [row["question"] for row in task.stream("train")] == ["a", "b"]
    assert [row["question"] for row in task.stream("test")] == ["c", "d"]


def test_the_same_seed_gives_the_same_rows():
    first, second, other = (make().sample(TRAIN, 20, seed) for seed in (1, 1, 2))
    assert first == second != other


def test_a_prompt_may_hold_braces():
    task = make(prompt=r"{question} Write \boxed{}.")
    assert task.messages({"question": "1?"}) == [{"role": "user", "content": r"1? Write \boxed{}."}]


def test_a_system_message_comes_first():
    assert make(system="Be brief.").messages({"question": "1?"})[0] == {"role": "system", "content": "Be brief."}


def test_weights_and_gates():
    task = make(
        rewards={"correct": numeric_answer(), "format": half()}, weights={"format": 0.2}, gates={"correct": "format"}
    )
    good = {"correct": Score(1.0), "format": Score(1.0)}
    assert task.graded(good).total == pytest.approx(1.2) and task.is_right(task.graded(good))
    gated = task.graded({"correct": Score(1.0), "format": Score(0.5)})
    assert (gated.primary, gated.total) == (0.0, pytest.approx(0.1))
    lost = task.graded({"correct": Score(None, "deadline"), "format": Score(1.0, "well formed")})
    assert (lost.scores["correct"], lost.total) == (Score(None, "deadline"), None)
    lost = task.graded({"correct": Score(1.0, "right"), "format": Score(None, "died")})
    assert (lost.scores["correct"], lost.total) == (Score(None, "died"), None)


def test_a_gate_counts_behind_its_own_gate():
    rewards = {"correct": numeric_answer(), "brief": half(), "format": half()}
    task = make(rewards=rewards, gates={"correct": "brief", "brief": "format"})
    scores = {"correct": Score(1.0), "brief": Score(1.0), "format": Score(0.5)}
    assert task.graded(scores).scores["correct"] == Score(0.0, "gated by brief")
    assert task.graded(scores | {"format": Score(1.0)}).primary == 1.0
    assert task.graded(scores | {"format": Score(None, "died")}).scores["correct"] == Score(None, "died")


def test_an_unscorable_component_makes_the_total_unscorable_never_zero():
    task = make(rewards={"correct": numeric_answer(), "format": half()})
    graded = task.graded({"correct": Score(1.0), "format": Score(None, "deadline")})
    assert (graded.total, graded.primary) == (None, 1.0)
    ignored = make(rewards=task.rewards, weights={"format": 0.0})
    assert ignored.graded({"correct": Score(1.0), "format": Score(None, "deadline")}).total == 1.0


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"rewards": {}}, "it has none"),
        ({"primary": "corect"}, "did you mean 'correct'"),
        ({"weights": {"corect": 1}}, "did you mean 'correct'"),
        ({"gates": {"correct": "fromat"}}, "fromat"),
        ({"rewards": {"a": half(), "b": half()}, "gates": {"a": "b", "b": "a"}}, "a → b → a"),
        ({"gates": {"correct": "correct"}}, "circle"),
        ({"answer": "bold"}, "answer region"),
        ({"splits": "random"}, '"hash" or "given"'),
        ({"weights": {"correct": float("inf")}}, "finite number"),
        ({"weights": {"correct": float("nan")}}, "finite number"),
        ({"weights": {"correct": "1"}}, "finite number"),
        ({"rewards": {"advantage": numeric_answer()}}, "column"),
    ],
)
def test_a_wrong_declaration_is_refused(changes, said):
    with pytest.raises(ContractError, match=said):
        make(**changes)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"prompt": "{qestion}"}, "did you mean 'question'"),
        ({"prompt": lambda row: row["question"]}, "list of messages"),
        ({"rows": lambda split, rng: []}, "no rows in its train split"),
        ({"rows": lambda split, rng: ["12"], "splits": "given"}, "dicts of fields"),
        ({"rows": lambda split, rng: [{"question": "q"}], "splits": "given", "has": ["train"]}, "row field 'answer'"),
        ({"has": ("test",)}, "it is a benchmark"),
        ({"splits": "given"}, 'splits="given" is for a held-out split that ends'),
    ],
)
def test_wrong_rows_are_refused(changes, said):
    with pytest.raises(ContractError, match=said):
        make(**changes).sample(TRAIN, 1)


@pytest.mark.parametrize("name", task_names())
def test_every_bundled_task_is_short(name):
    task = load_task(name)
    with open(task.source, encoding="utf-8") as file:
        lines = [line for line in file if line.strip() and not line.lstrip().startswith(("#", '"""'))]
    assert len(lines) <= 40, f"{name} has {len(lines)} code lines"
