"""What goes into a sandbox and what comes out, the same for every tier."""

import json
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.sandbox.limits import Limits


class SandboxError(RuntimeError):
    """The sandbox did not start or did not answer: nothing is known about the program, so it has no score."""


@dataclass(frozen=True)
class Call:
    """One call of the entry point."""

    args: Sequence = ()
    kwargs: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Inputs:
    """What a program is given, never what is expected of it.

    With an `entry_point` ("name" or "Class.method") the program is loaded as a module and the function called once for
    each of `calls`; without one it runs as a script that reads `stdin`.
    """

    entry_point: str | None = None
    calls: Sequence[Call] = ()
    stdin: str = ""


@dataclass(frozen=True)
class Outputs:
    """What came back. All of it is the program's word, except `ended`, `wall_s`, `cpu_s` and `peak_mb`."""

    ended: str  # "exit 3", "signal 11", or the limit passed: timeout, memory, output, threads, disk
    answers: tuple[dict, ...]  # one {"value": wire JSON} or {"error": [type, message]} a call, in order; may be short
    error: tuple[str, str] | None  # why the program did not load or its script failed
    stdout: str
    stderr: str
    wall_s: float
    cpu_s: float
    peak_mb: float


def parse_answers(text: bytes) -> list[dict]:
    """The answers up to the first that is not well formed. The text is hostile; `json` builds plain values only."""
    answers = []
    for line in text.split(b"\n")[:-1]:
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):  # ValueError: no JSON, or an integer of more than 4300 digits
            break
        if type(answer) is not dict or len(answer) != 1 or not answer.keys() <= {"value", "error", "failed"}:
            break
        told = answer.get("error", answer.get("failed", ["", ""]))
        if type(told) is not list or [type(part) for part in told] != [str, str]:
            break
        answers.append(answer)
    return answers


def how_it_ended(report: dict, limits: Limits) -> str:
    """The report's exit status in words."""
    status = report["exit"]
    if report["passed"]:
        return report["passed"]
    if status >= 0:
        return f"exit {status}"
    if -status == signal.SIGXCPU or (-status == signal.SIGKILL and report["cpu_s"] >= limits.cpu_s):
        return "timeout"
    # Nobody else may signal the program, so a kill is the kernel's, short of memory.
    return "memory" if -status == signal.SIGKILL else f"signal {-status}"


def outputs(report: dict, limits: Limits, inputs: Inputs, answers: list[dict], stdout: bytes, stderr: bytes) -> Outputs:
    """The outcome of one run, from the server's report and what the program wrote."""
    error = next((tuple(answer["failed"]) for answer in answers if "failed" in answer), None)
    answers = [] if error else answers[: len(inputs.calls)]
    return Outputs(
        how_it_ended(report, limits), tuple(answers), error,
        stdout.decode(errors="replace"), stderr.decode(errors="replace"),
        report["wall_s"], report["cpu_s"], report["peak_mb"],
    )  # fmt: skip
