"""Outcome: how a command ends: in one sentence on stderr, and an exit code that launchers and schedulers understand."""

import contextlib
import errno
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from lab.distributed import is_main, rank
from lab.errors import UserError
from lab.stop import Stopped

OUTCOME = "LAB_OUTCOME"  # names a folder in which the ranks leave what they end with: torchrun passes nothing on
# What a disk refuses is nobody's bug: no permission, read-only, full, over a quota.
DISK = (errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def told_in_a_sentence() -> Iterator[None]:
    """Exits with 2 for a user's mistake and a disk's refusal, and goes on after a stop; a bug keeps its traceback."""
    try:
        yield
    except Stopped as stopped:
        say(0, str(stopped))
    except UserError as error:
        say(error.exit_code, str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in DISK:
            raise
        where, why = error.filename or "the disk", error.strerror
        say(2, f"{where} cannot be read or written ({why}): mend its permissions, or free some space")
        sys.exit(2)


def say(code: int, sentence: str) -> None:
    """Tells the user how this rank ends. Where `lab.launch.start` waits for it, the ranks say the same but once."""
    folder = os.environ.get(OUTCOME)
    if folder:
        outcome = {"rank": rank(), "code": code, "sentence": sentence}
        half = Path(folder) / f".{rank()}"  # this rank may be killed while it writes
        half.write_text(json.dumps(outcome))
        half.rename(Path(folder) / str(rank()))
    if is_main() or not folder:
        print(f"lab{'' if is_main() else f' (rank {rank()})'}: {sentence}", file=sys.stderr)
