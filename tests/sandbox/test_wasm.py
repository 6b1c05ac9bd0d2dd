"""Tier B. Where the extra is installed it has to hold; where it is not, the lab has to say how to get it."""

import functools
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from attacks import grading

from lab import Response
from lab.errors import UserError
from lab.sandbox import Call, Inputs, Limits, landlock, open_sandbox, provenance, self_test, wasm
from lab.sandbox.grading import same
from lab.sandbox.wasm import WasmWorker, missing_packages
from rewards import code

LIMITS = Limits(wall_s=10, cpu_s=2, memory_mb=128, output_bytes=100_000)


@functools.cache
def worker() -> WasmWorker:
    return WasmWorker(LIMITS)


def where_installed(test):
    """The test as it is, or where the extra is missing that its sandbox is refused with the command that helps."""
    if not missing_packages():
        return test

    def refused():
        with pytest.raises(UserError, match=r"needs wasmtime.*pip install 'reasoning-lab\[wasm\]'"):
            open_sandbox("wasm")

    return refused


@where_installed
def test_values_keep_their_types():
    values = [1, 1.0, True, None, "é\ud800", (1, [2]), {1: {"a": (2,)}}, {1, 2}, frozenset({3}), b"\x00", math.inf]
    outputs = worker().run("def f(x):\n    return x", Inputs("f", [Call((value,)) for value in values]))
    assert [same(value, answer["value"]) for value, answer in zip(values, outputs.answers)] == [True] * len(values)


@where_installed
def test_a_script_has_its_streams_and_its_exit():
    program = "import sys\nprint(input() + '\\u00e9')\nprint('why', file=sys.stderr)\nsys.exit(3)"
    outputs = worker().run(program, Inputs(stdin="hello\nrest"))
    assert (outputs.stdout, outputs.stderr, outputs.ended, outputs.error) == ("helloé\n", "why\n", "exit 3", None)
    outputs = worker().run("1 / 0", Inputs())
    assert (outputs.ended, outputs.error) == ("exit 1", ("ZeroDivisionError", "division by zero"))


@where_installed
def test_the_standard_library_is_there_without_its_folder():
    program = (
        "import collections.abc, contextlib, dataclasses, datetime, decimal, fractions, heapq, statistics, string\n"
        "print(fractions.Fraction(1, 3) + fractions.Fraction(1, 6), datetime.date(2024, 2, 28).weekday())"
    )
    assert worker().run(program, Inputs()).stdout == "1/2 2\n"
    for name in ("numpy", "lab", "site-packages", "../secret", "rewards.code", "test.support"):
        outputs = worker().run(f"__import__({name!r})", Inputs())
        assert outputs.error[0] == "ModuleNotFoundError", outputs


@where_installed
def test_it_proves_itself():
    with open_sandbox("wasm", Limits(wall_s=2, cpu_s=2)) as sandbox:
        assert set(self_test(sandbox).values()) == {""}
        assert provenance(sandbox) == {
            "tier": "B", "name": "wasm", "unsafe": False,
            "mechanism": "CPython as a WebAssembly component in wasmtime, in a worker process that can be killed",
        }  # fmt: skip


@where_installed
def test_a_run_that_passes_a_limit_is_ended_and_the_next_one_is_not():
    bombs = {
        "def f(x):\n    while x: pass": "timeout",
        "import time\ndef f(x): time.sleep(99 * x)": "timeout",
        "def f(x):\n    while x: print('x' * 9999, flush=True)": "output",
        "import wit_world.imports.tools as t\ndef f(x):\n    while x: t.dispatch('answer', 'x' * 9999)": "output",
        "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(x): return f(x) if x else None": "trap",
    }
    for program, expected in bombs.items():
        with WasmWorker(Limits(wall_s=2, cpu_s=2, output_bytes=100_000)) as sandbox:
            outputs = sandbox.run(program, Inputs("f", [Call((0,)), Call((1,))]))
            assert outputs.ended == expected, (program, outputs)
            assert len(outputs.stdout) <= 100_000
            assert outputs.answers == ({"value": None},), program  # the first call keeps its answer
            assert sandbox.run("print('well')", Inputs()).stdout == "well\n"


@where_installed
def test_memory_is_limited():
    outputs = worker().run("x = []\nwhile True: x.append(bytearray(1 << 20))", Inputs())
    assert outputs.error == ("MemoryError", "")


@where_installed
def test_processor_time_is_limited_where_the_clock_is_not():
    with WasmWorker(Limits(wall_s=60, cpu_s=1)) as sandbox:
        outputs = sandbox.run("while True: pass", Inputs())
    assert outputs.ended == "timeout" and outputs.wall_s < 60


@where_installed
def test_there_is_nothing_to_reach():
    with WasmWorker(LIMITS) as sandbox:
        seen = sandbox.run("import os\nprint(dict(os.environ), os.getpid())", Inputs())
        assert seen.stdout.startswith("{'PYTHONHASHSEED': '0'}") and str(sandbox._process.pid) not in seen.stdout
        for program in (
            f"open({str(Path(__file__))!r})",
            "import os\nos.listdir('/')",
            "import os\nos.mkdir('/new')",
            "import socket\nsocket.socket()",
            "import socket\nsocket.getaddrinfo('localhost', 80)",
            "import wit_world.imports.wasi_http_types as t\nt.Fields.from_list([])",
            "import ctypes",
        ):
            assert "reached" not in sandbox.run(f"{program}\nprint('reached')", Inputs()).stdout, program


@where_installed
def test_one_program_knows_nothing_of_the_last():
    worker().run("import builtins, sys\nbuiltins.secret = sys.modules['secret'] = 1", Inputs())
    outputs = worker().run(
        "import builtins, sys\nprint(hasattr(builtins, 'secret'), 'secret' in sys.modules)", Inputs()
    )
    assert outputs.stdout == "False False\n"


@where_installed
def test_nothing_survives():
    sandbox = WasmWorker(Limits(wall_s=1, cpu_s=5))
    sandbox.run("pass", Inputs())
    first = sandbox._process
    assert sandbox.run("import time\ntime.sleep(99)", Inputs()).ended == "timeout"
    assert first.poll() == -signal.SIGKILL
    sandbox.run("pass", Inputs())
    second = sandbox._process
    sandbox.close()
    assert second.poll() is not None
    # And where the trainer dies in the middle of a run.
    script = (
        "import os, threading\nfrom lab.sandbox import Inputs, Limits, open_sandbox\n"
        "box = open_sandbox('wasm', Limits(wall_s=99, cpu_s=99))\nbox.run('pass', Inputs())\n"
        "print(box._process.pid, flush=True)\n"
        "threading.Timer(0.5, os._exit, [0]).start()\nbox.run('import time\\ntime.sleep(99)', Inputs())"
    )
    pid = int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
    for _ in range(100):
        if not os.path.exists(f"/proc/{pid}") or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]:
            break
        subprocess.run(["sleep", "0.1"])
    else:
        pytest.fail(f"worker {pid} is still there")


@where_installed
def test_honest_programs_are_paid_and_no_others():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code, "sandbox", lambda *_: worker())
        row = {"entry_point": "add", "tests": grading.HIDDEN}
        score = code.python_function(partial=True).score
        for name, program in grading.HONEST.items():
            assert score(Response(program), row) == (1.0, ""), name
        for name, program in grading.FOOLING.items():
            got = score(Response(program), row)
            assert got.value is not None and got.value < 1 and got.reason, name


def without_landlock(monkeypatch):
    def absent():
        raise landlock.Unavailable(95, landlock.WHY_MISSING[95])

    monkeypatch.setattr(landlock, "abi", absent)


def test_it_is_taken_where_landlock_is_missing(monkeypatch):
    without_landlock(monkeypatch)
    monkeypatch.setattr(wasm, "PACKAGES", ("json",))  # something that is installed everywhere
    assert open_sandbox().tier == "B"
    with pytest.raises(UserError, match="Landlock is built into the kernel but off"):
        open_sandbox("landlock")


def test_it_is_not_taken_where_landlock_works(monkeypatch):
    monkeypatch.setattr(wasm, "PACKAGES", ("json",))
    assert open_sandbox().tier == "A"


def test_without_the_extra_the_missing_kernel_feature_is_named(monkeypatch):
    without_landlock(monkeypatch)
    monkeypatch.setattr(wasm, "PACKAGES", ("no_such_package",))
    with pytest.raises(UserError, match=r"Landlock is built into the kernel but off.*'reasoning-lab\[wasm\]'"):
        open_sandbox()
    with pytest.raises(UserError, match='"wasm" needs no_such_package: install'):
        open_sandbox("wasm")


def test_what_it_cannot_have_is_refused(monkeypatch):
    monkeypatch.setattr(wasm, "PACKAGES", ("json",))
    with pytest.raises(UserError, match="cannot preload numpy"):
        open_sandbox("wasm", preload=["numpy"])
    with pytest.raises(UserError, match="cannot give a scratch folder"):
        open_sandbox("wasm", Limits(scratch=True))
