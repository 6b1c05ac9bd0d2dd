"""execute: an experiment's stages, asked for on the command line: looked at, run here, or started under a preset."""

import sys
from collections.abc import Sequence

from lab.distributed import is_main


def execute(
    config: str,
    overrides: Sequence[str] | None,
    stages: Sequence[str] | None = None,
    dry_run: bool = False,
    accelerate: str = "",
) -> None:
    """Runs the stages, all of the experiment's unless told, and shows what came of them.

    dry_run: only says what would be done. accelerate: the preset to start under.
    """
    from lab.config import load_experiment

    experiment = load_experiment(config, overrides or ())
    stages = stages or experiment.stages
    if dry_run:
        from lab.look import dry_run as shown

        print(shown(experiment, stages, accelerate))
        return
    if accelerate:
        _start_under(accelerate, experiment)
    from lab.stages.pipeline import run_experiment

    show(run_experiment(experiment, stages))


def go_on(run: str, vllm_server: str = "", accelerate: str = "") -> None:
    """Resumes a run and shows what came of it."""
    if accelerate:
        _start_under(accelerate)
    from lab.resume import resume

    show(resume(run, vllm_server))


def show(run) -> None:
    """The table of a run, and its report, written anew; one process of several does it."""
    from lab.evidence.report import table, write_report

    if is_main():
        print("\n" + table(run.summary))
        print(f"\nrun: {run.path}\nreport: {write_report(run.path)}")


def _start_under(preset: str, experiment=None) -> None:
    """This very command under `accelerate launch`, in as many processes as the preset says; ends this process."""
    from lab.launch import start

    arguments = sys.argv[1:]
    at = next(i for i, argument in enumerate(arguments) if argument.startswith("--accelerate"))
    del arguments[at : at + (1 if "=" in arguments[at] else 2)]
    sys.exit(start(preset, experiment, arguments))
