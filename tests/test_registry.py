"""Registry: names, paths, and what is told when neither leads anywhere."""

import pickle
import subprocess
import sys

import pytest

from lab.config import load_experiment
from lab.errors import UserError
from lab.registry import load_reward, load_task, task_names

TASK = """
from lab import Task, reward
from helper_of_the_task import PLUS

@reward(reads=["answer"])
def mine(response, row):
    return float(response.answer == row["answer"])

def rows(split, rng):
    yield from ({"question": str(n), "answer": str(n + PLUS)} for n in range(50))

task = Task(rows=rows, prompt="{question}", rewards={"correct": mine()})
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "helper_of_the_task.py").write_text("PLUS = 1\n")
    (tmp_path / "mytask.py").write_text(TASK)
    return tmp_path / "mytask.py"


def test_bundled_tasks_are_found_by_name():
    assert "arithmetic" in task_names() and load_task("arithmetic").name == "arithmetic"


def test_a_task_file_may_import_its_neighbour(file):
    task = load_task(str(file))
    assert task.name == "mytask" and task.sample("train", 1)[0]["task"] == "mytask"


@pytest.mark.parametrize("held", ["", ":task", ".inner:task"])
def test_an_installed_task_is_named_by_its_entry_point_and_known_by_its_file(held, file, tmp_path, monkeypatch):
    from lab.runs import provenance, sha256

    package = f"installed{len(held)}"  # each under a name of its own: modules stay imported
    folder = tmp_path / package
    folder.mkdir()
    (folder / "__init__.py").write_text("" if "inner" in held else TASK)
    (folder / "inner.py").write_text(TASK)
    made = tmp_path / f"{package}-1.dist-info"
    made.mkdir()
    (made / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    (made / "entry_points.txt").write_text(f"[reasoning_lab.tasks]\nsuccessors = {package}{held}\n")
    monkeypatch.syspath_prepend(tmp_path)

    task, source = load_task("successors"), folder / ("inner.py" if "inner" in held else "__init__.py")
    assert (task.name, task.source) == ("successors", str(source))
    experiment = load_experiment("smoke", ["task=successors"])
    facts = provenance(experiment, {"successors": task}, "tiny", "")["tasks"]["successors"]
    assert facts["source"] == str(source) and facts["sha256"] == sha256(source)


def test_a_reward_of_a_file_unpickles_in_a_process_that_loaded_the_file(file, tmp_path):
    (tmp_path / "r.pickle").write_bytes(pickle.dumps(load_task(str(file)).rewards["correct"]))
    program = (
        "import pickle; from lab import Response; from lab.registry import load_file;"
        f"load_file({str(file)!r}); r = pickle.load(open({str(tmp_path / 'r.pickle')!r}, 'rb'));"
        "print(r.score(Response('2'), {'answer': '2'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "1.0\n"


def test_rewards_by_module_function_and_file(file):
    assert repr(load_reward("numeric").recipe) == "rewards.numeric:numeric_answer"
    assert load_reward("numeric:numeric_answer") == load_reward("numeric")
    assert load_reward(str(file)).recipe.__name__ == "mine"


@pytest.mark.parametrize(
    "spec, said",
    [
        ("arithmetc", "did you mean 'arithmetic'"),
        ("zzz", "there are arc_challenge"),
        ("no/such.py", "there is no file"),
    ],
)
def test_an_unknown_task_names_what_there_is(spec, said):
    with pytest.raises(UserError, match=said):
        load_task(spec)


@pytest.mark.parametrize(
    "text, said",
    [
        ("x = 1\ndef f(:\n", r"bad.py:2: syntax error"),
        ("x = 1\n\nundefined_name\n", r"bad.py:3: NameError"),
        ("import not_a_module\n", r"bad.py:1: ModuleNotFoundError"),
        ("x = 1\n", "defines no task"),
        ("from lab import Task\ntask = Task(rows=None, prompt='', rewards={'a': lambda r, w: 1})", "no reward"),
    ],
)
def test_a_broken_file_is_told_by_line(tmp_path, text, said):
    path = tmp_path / "bad.py"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        load_task(str(path))


def test_a_reward_of_any_module(file, monkeypatch):
    monkeypatch.syspath_prepend(file.parent)
    assert load_reward("mytask:mine").recipe.__name__ == "mine"
    with pytest.raises(UserError, match="there is no reward 'mytask'"):
        load_reward("mytask")
    for spec in ("os.nothing", "rewards.nothing:f"):
        with pytest.raises(UserError, match="cannot be imported .*ModuleNotFoundError"):
            load_reward(spec)


def test_an_unknown_reward_of_a_module():
    with pytest.raises(UserError, match="did you mean 'numeric_answer'"):
        load_reward("numeric:numeric_anser")
