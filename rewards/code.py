"""code: the response is a program; it runs in the sandbox on inputs alone, and what it returns is compared out here."""

import ast
import functools
import secrets

from lab import Score, reward
from lab.sandbox import Call, Inputs, Limits, Outputs, SandboxError, open_sandbox
from lab.sandbox.grading import TOLERANCE, same

FENCE = "```"
LANGUAGES = ("", "python", "py", "python3")
MAX_CHARACTERS = 100_000  # below the length to which a response's answer region is cut
# Exceptions that say more than "wrong" about why a program failed.
REASONS = {"MemoryError": "memory", "PermissionError": "refused", "SyntaxError": "syntax error"}
REASONS |= dict.fromkeys(("IndentationError", "TabError"), "syntax error")
LIMITS = {"timeout": "timeout", "memory": "memory", "output": "too much output", "threads": "too many threads"}


@functools.cache
def sandbox(seconds: float, memory_mb: int):
    """This process's own sandbox with these limits; its server starts with the first program."""
    return open_sandbox(limits=Limits(wall_s=2 * seconds + 3, cpu_s=seconds, memory_mb=memory_mb))


# The deadline is far off: the sandbox ends every run itself, and says why.
@reward(reads=["entry_point", "tests"], range=(0, 1), version="1", seconds=30, runs_code=True)
def python_function(response, row, *, partial: bool = False, tolerance: float = TOLERANCE, seconds=2, memory_mb=512):
    """1 when the program's function returns what every test expects, of exactly the expected type; else 0.

    The response is the program, or holds it in a fenced block (the last one of Python). row["entry_point"] names the
    function; row["tests"] is a list of {"args": […], "expected": value}, or that list as the text of a Python literal;
    a test may have "kwargs", a "tolerance", and "exact": False, which compares numbers and dicts as `==` does.
    [{"asserts": source}] is for tests that cannot be turned into calls: they share the program's interpreter, so a
    program that looks for them can fool them; for evaluation alone.
    partial: the share of tests passed instead. tolerance: relative and absolute, of floats. seconds: of the processor,
    for all tests together; memory_mb: above the interpreter's own. A truncated response, none or no whole block: 0.
    Unscorable (None) where the row has no tests or the sandbox could not run.
    Source: the functional correctness of HumanEval (Chen et al. 2021, arXiv:2107.03374), graded outside of the program.
    """
    program, why = program_of(response)
    if program is None:
        return Score(0.0, why)
    tests, entry_point = literal(row["tests"]), row["entry_point"]
    if not tests:
        return Score(None, "the row has no tests")
    if "asserts" in tests[0]:
        program, entry_point, tests = sharing(program, tests[0]["asserts"])
    calls = [Call(test["args"], test.get("kwargs", {})) for test in tests]
    try:
        outputs = sandbox(seconds, memory_mb).run(program, Inputs(entry_point, calls))
    except SandboxError as failure:
        return Score(None, str(failure))
    passed = [
        "value" in answer
        and same(test["expected"], answer["value"], test.get("tolerance", tolerance), test.get("exact", True))
        for test, answer in zip(tests, outputs.answers)
    ]
    passed += [False] * (len(tests) - len(passed))
    return verdict(passed, partial, lambda: why_not(outputs, passed))


@reward(reads=["tests"], range=(0, 1), version="1", seconds=120, runs_code=True)
def python_stdio(response, row, *, partial: bool = False, seconds=2, memory_mb=512):
    """1 when the program, run as a script, writes what every test expects; else 0.

    row["tests"] is a list of {"stdin": text, "stdout": text}. Every line is compared, without spaces at its end; empty
    lines at the very end do not count. A script that fails is wrong, whatever it wrote. Parameters and what is
    unscorable as in `python_function`, `seconds` for each test.
    Source: the judging of programming contests; the comparison is of the whole output.
    """
    program, why = program_of(response)
    if program is None:
        return Score(0.0, why)
    tests = literal(row["tests"])
    if not tests:
        return Score(None, "the row has no tests")
    passed, reason = [], ""
    for test in tests:
        try:
            outputs = sandbox(seconds, memory_mb).run(program, Inputs(stdin=test["stdin"]))
        except SandboxError as failure:
            return Score(None, str(failure))
        succeeded = outputs.ended == "exit 0" and not outputs.error
        passed.append(succeeded and lines(outputs.stdout) == lines(test["stdout"]))
        if not passed[-1]:
            reason = reason or why_not(outputs, passed)
            if not partial:  # the others cannot change the verdict any more
                break
    return verdict(passed, partial, lambda: reason)


def sharing(program: str, asserts: str) -> tuple[str, str, list[dict]]:
    """(program with its asserts behind it, entry point, tests): a secret is returned only where the asserts held."""
    name, word = f"_{secrets.token_hex(8)}", secrets.token_hex(8)
    return f"{program}\n\n{asserts}\n\ndef {name}():\n    return {word!r}\n", name, [{"args": [], "expected": word}]


def verdict(passed: list[bool], partial: bool, reason) -> Score:
    """The score of tests that were `passed` or not; `reason` is asked only for a program that is not right."""
    if all(passed):
        return Score(1.0)
    return Score(sum(passed) / len(passed) if partial else 0.0, reason())


def program_of(response) -> tuple[str | None, str]:
    """(the program in the response, "") or (None, why there is none)."""
    text = response.answer
    if text is None:
        return None, "truncated or no answer"
    if len(text) > MAX_CHARACTERS:
        return None, "too long"
    if FENCE not in text:
        return (text, "") if text.strip() else (None, "empty")
    parts = text.split(FENCE)
    if len(parts) % 2 == 0:
        return None, "a code block that never ends"
    blocks = [block.partition("\n") for block in parts[1::2]]
    programs = [code for language, _, code in blocks if language.strip().lower() in LANGUAGES]
    return (programs[-1], "") if programs else (None, "no code block of Python")


def why_not(outputs: Outputs, passed: list[bool]) -> str:
    """One short reason for the first test that failed."""
    if outputs.error:
        return REASONS.get(outputs.error[0], f"{outputs.error[0]}: {outputs.error[1]}"[:200])
    first = passed.index(False)
    answer = outputs.answers[first] if first < len(outputs.answers) else {}
    if "error" in answer:
        kind, message = answer["error"]
        return REASONS.get(kind, f"{kind}: {message}"[:200])
    if "value" in answer or outputs.ended == "exit 0" and not outputs.answers:
        return "wrong"
    return LIMITS.get(outputs.ended, f"ended by {outputs.ended} after {len(outputs.answers)} tests")


def lines(text: str) -> list[str]:
    """Lines without what cannot be seen at their ends."""
    return [line.rstrip() for line in text.rstrip().split("\n")]


def literal(tests):
    """Tests as they are, or read from the Python literal that keeps tuples and sets through a file or a data set."""
    return ast.literal_eval(tests) if isinstance(tests, str) else tests
