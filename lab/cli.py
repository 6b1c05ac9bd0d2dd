"""The command `lab`: one verb, one short function; what is heavy is imported inside."""

import os
import sys
from typing import Annotated

import typer

from lab.distributed import is_main
from lab.errors import UserError
from lab.stop import Stopped

app = typer.Typer(
    help="The reasoning lab: define a reward task once; train on it, audit it, benchmark it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Config = Annotated[str, typer.Argument(help="An experiment's YAML file, or a bundled name such as smoke.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="section.key=value, for example grpo.max_steps=20")]
DryRun = Annotated[bool, typer.Option(help="Print the resolved config and the batch plan; load no model.")]


@app.command()
def run(config: Config, overrides: Overrides = None, dry_run: DryRun = False) -> None:
    """Run a whole experiment: base → SFT → GRPO, evaluated after each stage, with a report."""
    experiment = _experiment(config, overrides)
    trained = [stage for stage in ("sft", "grpo") if getattr(experiment, stage) is not None]
    _execute(experiment, (["base"] if experiment.eval.base or not trained else []) + trained, dry_run)


@app.command()
def sft(config: Config, overrides: Overrides = None, dry_run: DryRun = False) -> None:
    """Supervised fine-tuning alone, on the task's demonstrations."""
    _execute(_experiment(config, overrides), ["sft"], dry_run)


@app.command()
def grpo(config: Config, overrides: Overrides = None, dry_run: DryRun = False) -> None:
    """Reinforcement learning alone, against the task's rewards; it starts from `model`."""
    _execute(_experiment(config, overrides), ["grpo"], dry_run)


@app.command("eval")
def evaluate(config: Config, overrides: Overrides = None, dry_run: DryRun = False) -> None:
    """Evaluate the experiment's `model` on held-out rows."""
    _execute(_experiment(config, overrides), ["base"], dry_run)


@app.command()
def tasks(
    name: Annotated[str | None, typer.Argument(help="A task's name or file; none lists them all.")] = None,
    model: Annotated[str, typer.Option(help="The checkpoint whose tokens are shown.")] = "tiny",
) -> None:
    """List the tasks, or look closely at one: rows, the rendered prompt, its tokens, the gold and its score."""
    from lab import look

    print(look.at_task(name, model) if name else look.task_table())


@app.command()
def play(
    name: Annotated[str, typer.Argument(help="A task's name or file.")],
    rows: Annotated[int, typer.Option(help="Rows to answer.")] = 5,
    seed: Annotated[int, typer.Option(help="Which rows.")] = 0,
) -> None:
    """Answer a task's rows yourself and be scored as the model is."""
    from lab import look

    look.play(name, rows, seed)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The new task's name: letters, digits and underscores.")],
    folder: Annotated[str, typer.Option(help="Where the two files go.")] = ".",
) -> None:
    """Write a task file that trains as it stands, and its test."""
    from lab.scaffold import write_task

    for path in write_task(name, folder):
        print(f"wrote {path}")
    print(f"look at it: lab tasks {path.parent / name}.py   train on it: lab run smoke task={path.parent / name}.py")


@app.command()
def audit(
    name: Annotated[str | None, typer.Argument(help="A task's name or file.")] = None,
    reward: Annotated[
        str, typer.Option(help="Audit one reward instead: a module of rewards/, module:function, file.")
    ] = "",
    rows: Annotated[int, typer.Option(help="How many rows to attack.")] = 20,
    quick: Annotated[bool, typer.Option(help="Only the probes that must hold, on fewer rows.")] = False,
    json: Annotated[bool, typer.Option(help="Print JSON.")] = False,
) -> None:
    """Attack a task's reward with 26 probes; exit 1 when one that must hold does not."""
    from lab.evidence.audit import audit, task_for
    from lab.registry import load_reward, load_task

    if (name is None) == (not reward):
        raise UserError("lab audit takes a task, or --reward NAME: give one of the two")
    found = audit(task_for(load_reward(reward)) if reward else load_task(name), rows=rows, quick=quick)
    print(found.json() if json else found.table())
    raise typer.Exit(1 if found.failed else 0)


@app.command()
def config(section: Annotated[str, typer.Argument(help="sft, grpo or lora")] = "grpo") -> None:
    """List every field that a section takes, with its type and our default."""
    from lab import look

    print(look.fields(section))


@app.command()
def checkpoints() -> None:
    """List the packaged checkpoints and what is cached."""
    from lab import look

    print(look.checkpoint_table())


@app.command()
def runs(output: Annotated[str, typer.Argument(help="The folder of run folders.")] = "runs") -> None:
    """List the runs with their accuracies."""
    from lab import look

    print(look.run_table(output))


@app.command()
def resume(run: Annotated[str, typer.Argument(help="The folder of a run that was killed or stopped.")]) -> None:
    """Go on with a run from its newest whole checkpoint, to the numbers it would have had."""
    from lab.resume import resume as resumed

    _show(resumed(run))


@app.command()
def report(run: Annotated[str, typer.Argument(help="A run folder.")]) -> None:
    """Write a run's report.html anew and print its table."""
    from lab.evidence.report import table, write_report
    from lab.runs import Run

    opened = Run.open(run)
    print(table(opened.summary))
    print(f"\nreport: {write_report(opened.path)}")


def _experiment(config: str, overrides: list[str] | None):
    from lab.config import load_experiment

    return load_experiment(config, overrides or [])


def _execute(experiment, stages: list[str], dry_run: bool) -> None:
    if dry_run:
        from lab.look import dry_run as shown

        print(shown(experiment, stages))
        return
    from lab.stages.pipeline import run_experiment

    _show(run_experiment(experiment, stages))


def _show(finished) -> None:
    """The table of a finished run, and its report; one process of several does it."""
    from lab.evidence.report import table, write_report

    if is_main():
        print("\n" + table(finished.summary))
        print(f"\nrun: {finished.path}\nreport: {write_report(finished.path)}")


def main() -> None:
    """The console script: a user's mistake is one sentence on stderr and exit code 2."""
    # Waiting OpenMP threads sleep instead of spinning: beside any other busy program, spinning costs a factor of three.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except Stopped as stopped:
        if is_main():
            print(f"lab: {stopped}", file=sys.stderr)
    except UserError as error:
        print(f"lab: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nlab: stopped", file=sys.stderr)
        sys.exit(130)
