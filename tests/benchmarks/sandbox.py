"""Programs a second in the sandbox, against a fresh interpreter for each: one run, one machine.

    python tests/benchmarks/sandbox.py [--runs 300] [--workers 2]

A trivial function is called once in each run. Times are the median and the 99th percentile of one worker's runs; runs
a second are of all workers together, each with a server of its own, without the servers' starts. With numpy the program
imports it: from the server's memory, or anew. The fresh interpreter is bare: without any confinement.
"""

import argparse
import multiprocessing
import statistics
import subprocess
import sys
import time

from lab.sandbox import Call, ForkServer, Inputs, Limits

TRIVIAL = "def f(x):\n    return x + 1"
WITH_NUMPY = "import numpy\ndef f(x):\n    return int(numpy.arange(x).sum())"
ONE_CALL = Inputs("f", [Call((3,))])


def forked(program: str, preload: tuple, runs: int):
    with ForkServer(Limits(wall_s=60, cpu_s=30, memory_mb=1024), preload=preload) as server:
        server.run(program, ONE_CALL)
        yield
        for _ in range(runs):
            began = time.perf_counter()
            outputs = server.run(program, ONE_CALL)
            yield time.perf_counter() - began
            assert "value" in outputs.answers[0], outputs


def fresh(program: str, preload: tuple, runs: int):
    yield
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", program + "\nprint(f(3))"], capture_output=True, check=True, timeout=60)
        yield time.perf_counter() - began


def work(arguments) -> tuple[list[float], float, float]:
    """One worker's times in seconds, and when on the clock it began and ended."""
    kind, program, preload, runs = arguments
    times = kind(program, preload, runs)
    next(times)
    began = time.monotonic()
    taken = list(times)
    return taken, began, time.monotonic()


def measure(kind, program: str, preload: tuple, runs: int, workers: int) -> tuple[float, float, float]:
    """(median ms, 99th percentile ms, runs a second)."""
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        results = pool.map(work, [(kind, program, preload, runs)] * workers, chunksize=1)
    taken = sorted(results[0][0])
    span = max(ended for *_, ended in results) - min(began for _, began, _ in results)
    return 1e3 * statistics.median(taken), 1e3 * taken[int(0.99 * len(taken))], runs * workers / span


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    cases = {
        "fork server": (forked, TRIVIAL, ()),
        "fresh interpreter": (fresh, TRIVIAL, ()),
        "fork server, numpy preloaded": (forked, WITH_NUMPY, ("numpy",)),
        "fresh interpreter, numpy": (fresh, WITH_NUMPY, ()),
    }
    rates = {}
    print(f"{'':30} {'1 worker':>23} {options.workers:>7} workers")
    print(f"{'':30} {'median ms':>10} {'p99 ms':>7} {'':4} {'runs/s':>10}")
    for name, case in cases.items():
        runs = options.runs if case[0] is forked else options.runs // 5
        median, high, _ = measure(*case, runs, 1)
        *_, rates[name] = measure(*case, runs, options.workers)
        print(f"{name:30} {median:10.1f} {high:7.1f} {'':4} {rates[name]:10.0f}")
    names = list(cases)
    for forked_name, fresh_name in (names[:2], names[2:]):
        print(f"{forked_name} / {fresh_name}: {rates[forked_name] / rates[fresh_name]:.1f} times the runs a second")
