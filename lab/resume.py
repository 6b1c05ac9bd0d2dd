"""Resuming: a run that was killed, stopped or whose disk was full goes on, to the numbers it would have had."""

from pathlib import Path

from lab.config import load_experiment
from lab.errors import UserError
from lab.kept import newest_complete
from lab.runs import Run


def resume(path: str | Path, vllm_server: str = "") -> Run:
    """Goes on with the run in `path`; finished stages are not done again. Returns at once where all are finished.

    vllm_server: the machine that serves vLLM now.
    """
    from lab.stages.pipeline import run_experiment

    run = Run.open(Path(path).absolute())
    began = run.provenance
    if "stages" not in began:
        raise UserError(f"{path} does not say which stages were asked for, so it cannot be resumed: start a new run")
    if not run.unfinished:
        return run
    for stage in ("sft/trainer", "grpo"):
        newest_complete(run.path / stage)  # refuses another number of processes before anything is loaded
    moved = [f"grpo.vllm_server_host={vllm_server}"] if vllm_server else []
    experiment = load_experiment(str(run.path / "config.yaml"), moved)
    return run_experiment(experiment, began["stages"], began["label"], resumed=run)
