"""`accelerate launch`, as `lab … --accelerate` starts it: python -m lab.launcher launch OPTIONS -m lab ….

The ranks say themselves what went wrong, in a sentence; torchrun's traceback above it, which is about torchrun, stays
away. The exit code is 2 where every rank that ended by itself ended with a user's mistake, 143 where SIGTERM ended
them (or SIGUSR1, which Slurm's srun passes on), else 1.
"""

import logging
import os
import signal
import sys


def main() -> int:
    from accelerate.commands import accelerate_cli, launch
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    from lab.stop import end_with_parent

    end_with_parent()
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    launch.simple_launcher = become_the_only_process
    signal.signal(signal.SIGUSR1, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        accelerate_cli.main()
    except SignalException as stopped:
        return 128 + stopped.sigval
    except ChildFailedError as failed:
        # torchrun ends the ranks that are left once one has failed: they are not to blame, if any other is.
        by_themselves = {rank: f for rank, f in failed.failures.items() if f.exitcode != -signal.SIGTERM}
        failures = by_themselves or failed.failures
        for rank, failure in sorted(failures.items()):
            if failure.exitcode < 0:
                print(f"lab: rank {rank} was ended by {signal.Signals(-failure.exitcode).name}", file=sys.stderr)
            elif failure.exitcode != 2:
                print(f"lab: rank {rank} ended with exit code {failure.exitcode}", file=sys.stderr)
        return 2 if all(failure.exitcode == 2 for failure in failures.values()) else 1
    return 0


def become_the_only_process(arguments) -> None:
    """accelerate would start a child and pass no signal on to it."""
    from accelerate.utils.launch import prepare_simple_launcher_cmd_env

    command, environment = prepare_simple_launcher_cmd_env(arguments)
    os.execvpe(command[0], command, environment)


if __name__ == "__main__":
    sys.exit(main())
