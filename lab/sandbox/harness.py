"""The last trusted lines before the program: they run confined, load it, call it and write down what it returns.

Everything written here can be forged by the program. That is no weakness: it was told the inputs and nothing else, so a
forged answer is only another wrong answer. Standard library only.
"""

import json
import os
import sys
import types

import wire

MESSAGE = 300  # characters of an exception's message that are passed on


def describe(failure: BaseException) -> list[str]:
    """[the exception's type, its message]."""
    return [type(failure).__name__, str(failure)[:MESSAGE]]


def read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def resolve(namespace: dict, entry_point: str):
    first, *attributes = entry_point.split(".")
    if first not in namespace:
        raise NameError(f"the program defines no {first!r}")
    found = namespace[first]
    for attribute in attributes:
        found = getattr(found() if isinstance(found, type) else found, attribute)
    return found


def serve(request_descriptor: int, answer_descriptor: int) -> int:
    """`run` with the request and the answers in descriptors."""
    request = json.loads(read_all(request_descriptor))
    answers = os.fdopen(answer_descriptor, "w", encoding="ascii")

    def write(line: str) -> None:
        answers.write(line)
        answers.flush()  # at once: a later call may hang, and this one keeps its answer

    return run(request, write)


def run(request: dict, write) -> int:
    """Runs the request ({"program", "entry_point", "calls"}) and returns the exit status.

    Answers by `write`, one JSON text a line: {"failed": …} where the program did not load, else one {"value": …} or
    {"error": …} a call. Without an entry point the program runs as a script and answers nothing unless it failed.
    """
    entry_point = request["entry_point"]

    def answer(**what) -> None:
        write(json.dumps(what) + "\n")

    # A script's `if __name__ == "__main__"` runs; that of a module whose function is called does not.
    name = "program" if entry_point else "__main__"
    module = sys.modules[name] = types.ModuleType(name)
    sys.argv = ["program.py"]
    try:
        code = compile(request["program"], "program.py", "exec")
        exec(code, module.__dict__)
        function = resolve(module.__dict__, entry_point) if entry_point else None
    except SystemExit as leaving:
        if entry_point:
            answer(failed=describe(leaving))
        return finish(leaving.code)
    except BaseException as failure:
        # Without our own frame, which says nothing to whoever wrote the program.
        failure = failure.with_traceback(failure.__traceback__.tb_next)
        sys.excepthook(type(failure), failure, failure.__traceback__)
        answer(failed=describe(failure))
        return finish(1)
    for call in request["calls"]:
        try:
            answer(value=wire.encode(function(*wire.decode(call["args"]), **wire.decode(call["kwargs"]))))
        except BaseException as failure:
            answer(error=describe(failure))
    return finish(0)


def finish(status) -> int:
    """What the interpreter would do at a script's end: wait for its threads, call its exit functions, flush."""
    import atexit

    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return status if isinstance(status, int) else int(status is not None)
