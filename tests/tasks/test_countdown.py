from lab.registry import load_task
from rewards.expression import evaluate


def test_every_row_has_the_solution_it_shows():
    task = load_task("countdown")
    correct = task.rewards["correct"]
    for row in task.sample("train", 200):
        [message] = task.demonstration(row)
        verdict = correct.score(task.response(message["content"]), row)
        assert verdict.value == 1, (row, verdict)
        value, used = evaluate(row["answer"])
        assert value == row["target"] and sorted(used) == sorted(row["numbers"])
        assert row["target"] not in row["numbers"]


def test_steps_are_true():
    for row in load_task("countdown").sample("test", 50):
        for step in row["steps"].split(", "):
            left, _, right = step.partition(" = ")
            assert evaluate(left)[0] == int(right)
