"""The lab's two kinds of bad news: the user's mistake, and a broken contract of a reward or a task."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake the user can mend. The message is one sentence: what was got, what is allowed, what to do next.

    The command line prints the message alone, without a traceback, and exits with 2.
    """

    exit_code = 2


class LostRankError(UserError):
    """Another rank died or hangs, which no setting mends: exit code 1."""

    exit_code = 1


class ContractError(UserError):
    """A task or a reward broke its own contract: a value out of range, a field missing, a gold that is wrong."""


def nearest(got: str, allowed: Iterable[str], otherwise: str = "") -> str:
    """The hint "did you mean 'x'?" where a name of `allowed` is close to `got`, else `otherwise`."""
    close = difflib.get_close_matches(got, list(allowed), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else otherwise
