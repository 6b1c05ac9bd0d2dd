"""`python` as a tool: what a model may call in the middle of its answer, in the same sandbox as everything else."""

import functools

from lab.sandbox.exchange import Inputs
from lab.sandbox.limits import Limits
from lab.sandbox.tiers import open_sandbox

MAX_CHARACTERS = 2_000  # of the result, so that one print does not fill the context


@functools.cache
def _sandbox():
    return open_sandbox(limits=Limits(wall_s=10, cpu_s=5))


def python(code: str) -> str:
    """Runs a Python program in a sandbox and returns what it printed. Nothing is kept from one call to the next.

    Args:
        code: The program. It has the standard library, no files and no network, and 5 seconds.

    Returns:
        What the program printed, and the error that ended it if there was one.
    """
    outputs = _sandbox().run(code, Inputs())
    ending = ": ".join(outputs.error) if outputs.error else "" if outputs.ended == "exit 0" else outputs.ended
    text = "\n".join(part for part in (outputs.stdout.rstrip(), ending) if part)
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + "\n(cut)"
