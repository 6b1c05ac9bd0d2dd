"""What an honest program may do, what comes back, and what a sandbox does when it cannot work."""

import gc
import math
import os
import resource
import sys
import threading
from pathlib import Path

import pytest

from lab.errors import UserError
from lab.sandbox import (
    Call,
    ForkServer,
    Inputs,
    Limits,
    SandboxError,
    landlock,
    open_sandbox,
    provenance,
    self_test,
    tiers,
)
from lab.sandbox.grading import same
from lab.sandbox.wire import decode, encode


@pytest.fixture(scope="module")
def sandbox():
    with ForkServer(Limits(wall_s=20, cpu_s=10)) as server:
        yield server


HONEST = {
    "asyncio": "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 'ok'\nprint(asyncio.run(f()))",
    "threads": "from concurrent.futures import ThreadPoolExecutor as T\nprint(*T(4).map(str, ['ok']))",
    "library": "import ssl, sqlite3, lzma, zlib, hashlib, decimal, uuid, xml.etree.ElementTree\nprint('ok')",
    "database": "import sqlite3\nprint(*sqlite3.connect(':memory:').execute(\"select 'ok'\").fetchone())",
    "time zones": "from zoneinfo import ZoneInfo\nprint('ok' if ZoneInfo('UTC') else '')",
    "randomness": "import secrets, random, uuid\nsecrets.token_hex(); uuid.uuid4(); random.seed(1)\nprint('ok')",
    "the null device": "import os\nprint('x', file=open(os.devnull, 'w'))\nprint('ok')",
    "terminal questions": "import shutil, sys\nsys.stdout.isatty(); shutil.get_terminal_size(); input\nprint('ok')",
    "unicode": "print('\\u00e9\\u4e2d'.encode() and 'ok')",
    "exit functions": "import atexit\natexit.register(print, 'ok')",
    "a thread that outlives main": "import threading, time\nthreading.Thread(target=lambda: print('ok')).start()",
    "sys.exit": "import sys\nprint('ok')\nsys.exit()",
    "the main guard": "if __name__ == '__main__':\n    print('ok')",
    "dataclasses": "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: str\nprint(P('ok').x)",
    "pickle of its own classes": "import pickle\nclass P: x = 'ok'\nprint(pickle.loads(pickle.dumps(P())).x)",
}


@pytest.mark.parametrize("program", HONEST.values(), ids=HONEST)
def test_honest_programs_run(sandbox, program):
    outputs = sandbox.run(program, Inputs())
    assert (outputs.stdout.strip(), outputs.ended, outputs.error) == ("ok", "exit 0", None), outputs.stderr


def test_values_keep_their_types(sandbox):
    values = [1, 1.0, True, None, "é\ud800", (1, [2]), {1: {"a": (2,)}}, {1, 2}, frozenset({3}), b"\x00", math.inf]
    outputs = sandbox.run("def f(x):\n    return x", Inputs("f", [Call((value,)) for value in values]))
    assert [same(value, answer["value"]) for value, answer in zip(values, outputs.answers)] == [True] * len(values)
    assert [decode(encode(value)) for value in values] == values


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (1, True), (1, 1.0), (0, False), (1.0, 1), ("1", 1), ([1], (1,)), ((1,), [1]), ({1}, [1]), ({1}, {1.0}),
        ({1}, {True}),
        ({1: 2}, {1.0: 2}), ({1: 2}, {1: 2.0}), ({1: 2}, {1: 2, 3: 4}), ({1: 2, 3: 4}, {1: 2}), (None, 0),
        (None, False),
        ("", None), ([], None), ({1}, frozenset({1})), (b"a", "a"), (1.0, 1.1), (math.nan, 1.0), ([1, 2], [1]),
        (1, "1"),
    ],
)  # fmt: skip
def test_another_type_or_value_is_not_the_same(expected, got):
    assert not same(expected, encode(got))
    assert same(expected, encode(expected))


@pytest.mark.parametrize(
    "wire",
    [
        {"$": "set", "v": [1, 1]}, {"$": "set", "v": [1, 2, 2]}, {"$": "set", "v": 1}, {"$": "set"}, {"v": [1, 2]}, {},
        {"$": "dict", "v": [[1]]}, {"$": "dict", "v": [[1, 2], [1, 2]]}, {"$": ["set"], "v": [1, 2]}, [1, 2], "{1,2}",
    ],
)  # fmt: skip
def test_forged_values_are_only_wrong(wire):
    assert not same({1, 2}, wire)
    assert not same({1: 2, 3: 4}, wire)


def test_floats_have_a_tolerance():
    assert same(0.3, encode(0.1 + 0.2)) and same(math.nan, encode(math.nan)) and same(-math.inf, encode(-math.inf))
    assert not same(0.3, encode(0.3001)) and same(0.3, encode(0.3001), tolerance=1e-2)


def test_errors_keep_their_place(sandbox):
    program = "def f(x):\n    return 1 // x"
    outputs = sandbox.run(program, Inputs("f", [Call((1,)), Call((0,)), Call((2,))]))
    assert [list(answer) for answer in outputs.answers] == [["value"], ["error"], ["value"]]
    assert outputs.answers[1]["error"][0] == "ZeroDivisionError"


def test_answers_before_a_hang_are_kept():
    with ForkServer(Limits(wall_s=2, cpu_s=1)) as server:
        outputs = server.run("def f(x):\n    while x: pass\n    return x", Inputs("f", [Call((0,)), Call((1,))]))
        assert outputs.ended == "timeout" and outputs.answers == ({"value": 0},)


def test_large_input_and_output_pass(sandbox):
    text = "x" * 900_000
    outputs = sandbox.run("print(input()[::-1])", Inputs(stdin=text))
    assert outputs.stdout == text + "\n"


def test_the_environment_is_empty_and_the_order_of_sets_fixed(sandbox, monkeypatch):
    monkeypatch.setenv("LAB_SECRET", "1")
    program = "import os\nprint(sorted(os.environ), {'a', 'b', 'c', 'd'})"
    with ForkServer() as another:
        outputs = another.run(program, Inputs())
    assert "LAB_SECRET" not in outputs.stdout and "HOME" in outputs.stdout
    assert outputs.stdout == sandbox.run(program, Inputs()).stdout


def test_a_scratch_folder_is_empty_for_each_program():
    program = "import os, tempfile\nprint(len(os.listdir()))\ntempfile.mkstemp()\nprint(len(os.listdir()))"
    with ForkServer(Limits(wall_s=20, scratch=True)) as server:
        for _ in range(2):
            outputs = server.run(program, Inputs())
            assert outputs.stdout == "0\n1\n", outputs


def test_a_preloaded_package_is_there_and_others_are_not():
    with ForkServer(Limits(wall_s=60, cpu_s=30, memory_mb=1024), preload=("numpy",)) as server:
        outputs = server.run("import numpy\nprint(numpy.linalg.inv(numpy.eye(50) * 2)[3, 3])", Inputs())
        assert outputs.stdout == "0.5\n", outputs.stderr
        assert server.run("import numpy.polynomial.chebyshev\nprint(1)", Inputs()).stdout == "1\n"
        assert server.run("import pytest", Inputs()).error[0] in ("ModuleNotFoundError", "PermissionError")


def test_one_server_serves_many_threads(sandbox):
    got = {}

    def ask(number):
        got[number] = sandbox.run("print(int(input()) ** 2)", Inputs(stdin=str(number))).stdout

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {number: f"{number**2}\n" for number in range(12)}


def test_a_fork_of_the_trainer_gets_a_server_of_its_own(sandbox):
    sandbox.run("pass", Inputs())
    ours, read_write = sandbox._process.pid, os.pipe()
    child = os.fork()
    if child == 0:
        outputs = sandbox.run("print(1)", Inputs())
        os.write(read_write[1], f"{outputs.stdout.strip()} {sandbox._process.pid != ours}".encode())
        sandbox.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read_write[0], 100) == b"1 True"
    for descriptor in read_write:
        os.close(descriptor)
    assert sandbox.run("print(2)", Inputs()).stdout == "2\n" and sandbox._process.pid == ours


def test_a_dead_server_is_an_error_and_then_replaced(sandbox):
    sandbox.run("pass", Inputs())
    sandbox._process.kill()
    sandbox._process.wait()
    assert sandbox.run("print(3)", Inputs()).stdout == "3\n"


def plant(monkeypatch, folder: Path, text: str, replacement: str) -> None:
    """Makes new sandboxes start a server in which `text` is replaced."""
    home = Path(tiers.__file__).parent
    for module in home.glob("*.py"):
        (folder / module.name).write_text(module.read_text())
    source = (home / "server.py").read_text()
    assert source.count(text) == 1
    (folder / "server.py").write_text(source.replace(text, replacement))
    monkeypatch.setattr("lab.sandbox.client.SERVER", folder / "server.py")


@pytest.mark.parametrize(
    ("text", "replacement", "message"),
    [
        ("landlock.abi()", "landlock.abi(1 / 0)", "did not start: ZeroDivisionError"),
        ("seccomp.install(self.filter)", "raise OSError('no filter')", "did not start: OSError: no filter"),
        ("import fcntl", "raise SystemExit('broken')", "ended or fell silent: broken"),
    ],
)
def test_a_server_that_cannot_confine_says_why(monkeypatch, tmp_path, text, replacement, message):
    plant(monkeypatch, tmp_path, text, replacement)
    with pytest.raises(SandboxError, match=message):
        ForkServer().run("pass", Inputs())


def test_the_self_test_is_green_here_and_red_without_landlock(monkeypatch, tmp_path):
    limits = Limits(wall_s=1, cpu_s=1)
    with open_sandbox(limits=limits) as server:
        assert set(self_test(server).values()) == {""}
        assert provenance(server)["tier"] == "A" and not provenance(server)["unsafe"]
    plant(monkeypatch, tmp_path, "landlock.restrict_self(ruleset)", "pass")
    with open_sandbox(limits=limits) as server:
        results = self_test(server)
    assert results["reads a file of yours"] == "it could" and results["opens a socket"] == ""


def test_a_missing_kernel_feature_is_named(monkeypatch):
    def absent():
        raise landlock.Unavailable(95, landlock.WHY_MISSING[95])

    monkeypatch.setattr(landlock, "abi", absent)
    with pytest.raises(UserError, match="Landlock is built into the kernel but off.*LAB_SANDBOX=unsafe"):
        open_sandbox()
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(UserError, match=r"Linux \(this is darwin\)"):
        open_sandbox()


def test_the_word_unsafe_is_the_only_way_to_it(monkeypatch):
    monkeypatch.setenv(tiers.VARIABLE, "unsafe")
    assert provenance(open_sandbox())["unsafe"]
    monkeypatch.setenv(tiers.VARIABLE, "unsave")
    with pytest.raises(UserError, match="no sandbox 'unsave'; allowed: auto, landlock, wasm, unsafe, or an adapter"):
        open_sandbox()


class Echo:
    """A service of the user's own."""

    tier = "C"

    def __init__(self, limits, preload):
        self.limits = limits

    def run(self, program, inputs):
        return program

    def close(self):
        pass


def test_an_adapter_is_found_by_name():
    adapter = open_sandbox(f"{__name__}:Echo")
    assert adapter.run("x", Inputs()) == "x" and provenance(adapter)["name"] == "adapter"
    with pytest.raises(UserError, match="cannot be loaded"):
        open_sandbox("no_such_module:Echo")


def footprint(server: ForkServer) -> dict:
    gc.collect()
    process = f"/proc/{server._process.pid}"
    pages = int(Path(process, "statm").read_text().split()[1])
    return {
        "children": Path(f"{process}/task/{server._process.pid}/children").read_text(),
        "server's descriptors": len(os.listdir(f"{process}/fd")),
        "our descriptors": len(os.listdir("/proc/self/fd")),
        "files": sorted(str(path) for path in Path("/tmp").glob("lab-sandbox-*/*")),
        "memory": pages * resource.getpagesize() + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


@pytest.mark.parametrize("runs", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_nothing_is_left_behind(runs):
    programs = [
        ("def f(x):\n    return [x] * 1000", Inputs("f", [Call((1,))])),
        ("open('a', 'w').write('x')\nimport os\nos.makedirs('b/c')", Inputs()),
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()", Inputs()),
        ("import os\nos.pipe(); os._exit(3)", Inputs()),
        ("def f(:", Inputs("f", [Call()])),
    ]
    with ForkServer(Limits(wall_s=20, scratch=True)) as server:
        for program, inputs in programs * 10:
            server.run(program, inputs)
        before = footprint(server)
        for index in range(runs):
            server.run(*programs[index % len(programs)])
        after = footprint(server)
    grown = after.pop("memory") - before.pop("memory")
    assert after == before and before["children"] == ""
    assert grown < 8 << 20, f"{grown} bytes"
