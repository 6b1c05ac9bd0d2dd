"""The command `lab`: one verb, one short function; what is heavy is imported inside."""

import os
import re
import sys
from typing import Annotated

import typer

from lab.errors import UserError
from lab.execute import execute, go_on, show
from lab.outcome import told_in_a_sentence

app = typer.Typer(
    help="The reasoning lab: define a reward task once; train on it, audit it, benchmark it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 120},
)

Config = Annotated[str, typer.Argument(help="An experiment's YAML file, or a bundled name such as smoke.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="section.key=value, for example grpo.max_steps=20")]
TaskName = Annotated[str, typer.Argument(help="A task's name or file.")]
Accelerate = Annotated[str, typer.Option(help="Start under an accelerate preset: cpu2, zero2 … or a file.")]
DryRun = Annotated[bool, typer.Option(help="Print the resolved config and the batch plan; load no model.")]


@app.command()
def run(config: Config, overrides: Overrides = None, dry_run: DryRun = False, accelerate: Accelerate = "") -> None:
    """Run a whole experiment: base → SFT → GRPO, evaluated after each stage, with a report."""
    execute(config, overrides, None, dry_run, accelerate)


@app.command()
def sft(config: Config, overrides: Overrides = None, dry_run: DryRun = False, accelerate: Accelerate = "") -> None:
    """Supervised fine-tuning alone, on the task's demonstrations."""
    execute(config, overrides, ["sft"], dry_run, accelerate)


@app.command()
def grpo(config: Config, overrides: Overrides = None, dry_run: DryRun = False, accelerate: Accelerate = "") -> None:
    """Reinforcement learning alone, against the task's rewards; it starts from `model`."""
    execute(config, overrides, ["grpo"], dry_run, accelerate)


WITH_CONFIG = ("config", "overrides", "dry_run", "accelerate")  # of `lab eval`; all its other options go with --model


@app.command("eval")
def evaluate(
    context: typer.Context,
    config: Annotated[str | None, typer.Argument(help="An experiment's YAML file; or none, with --model.")] = None,
    overrides: Overrides = None,
    dry_run: DryRun = False,
    accelerate: Accelerate = "",
    model: Annotated[str, typer.Option(help="A checkpoint, or a run: its start and its end. A URL's model.")] = "",
    tasks: Annotated[str, typer.Option(help="Ours and lm-eval's, by commas: gsm8k,lm-eval:gsm8k,mine.py,my.yaml")] = "",
    samples: Annotated[int, typer.Option(min=1, help="Answers a row; above 1 at temperature 1, with pass@k.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="The first rows of each task alone.")] = None,
    baseline: Annotated[str, typer.Option(help="Another checkpoint or run, from which changes are told.")] = "",
    backend: Annotated[
        str, typer.Option(help="lab-hf, hf, vllm, or an OpenAI-compatible URL ending in /v1.")
    ] = "lab-hf",
    batch_size: Annotated[int, typer.Option(min=1, help="Answers at once; requests at once to a URL.")] = 32,
    output: Annotated[str, typer.Option(help="The folder of run folders.")] = "runs",
    small: Annotated[bool, typer.Option(help="Show a task of under 100 rows from one sample a row, too.")] = False,
) -> None:
    """Evaluate checkpoints on benchmarks (--model, --tasks), or an experiment's `model` on its held-out rows."""
    if bool(config) == bool(model):
        raise UserError("lab eval takes an experiment's CONFIG, or --model with --tasks: give one of the two")
    for name in context.params:
        if context.get_parameter_source(name).name == "COMMANDLINE" and (name in WITH_CONFIG) != bool(config):
            one, other = ("--model", "CONFIG") if config else ("CONFIG", "--model")
            raise UserError(f"--{name.replace('_', '-')} goes with {one}, and not with {other}: leave it out")
    if config:
        execute(config, overrides, ["base"], dry_run, accelerate)
        return
    from lab.benchmark import benchmark

    options = {"samples": samples, "limit": limit, "baseline": baseline, "backend": backend, "small": small}
    folder, shown = benchmark(model, tasks.split(","), batch_size=batch_size, output=output, **options)
    print(f"\n{shown}\n\nresults: {folder}")


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
    name: TaskName,
    rows: Annotated[int, typer.Option(min=1, help="Rows to answer.")] = 5,
    seed: Annotated[int | None, typer.Option(help="Which rows; others each time unless told.")] = None,
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
    data: Annotated[str, typer.Option(help="With --reward: its rows, one JSON object a line.")] = "",
    answer: Annotated[str, typer.Option(help="With --data: where the answer stands.")] = "everything",
    rows: Annotated[int, typer.Option(min=1, help="How many rows to attack.")] = 20,
    quick: Annotated[bool, typer.Option(help="Only the probes that must hold, on fewer rows.")] = False,
    model: Annotated[str, typer.Option(help="A checkpoint: do its own answers differ in reward?")] = "",
    json: Annotated[bool, typer.Option(help="Print JSON.")] = False,
) -> None:
    """Attack a task's reward with 26 probes; exit 1 when one that must hold does not."""
    from lab.evidence.audit import audit, task_for
    from lab.evidence.probes.context import totals_of
    from lab.registry import load_reward, load_task

    if (name is None) == (not reward):
        raise UserError("lab audit takes a task, or --reward NAME: give one of the two")
    if (data and not reward) or (answer != "everything" and not data):
        raise UserError("--data goes with --reward, and --answer with --data: a task has rows and an answer region")
    task = task_for(load_reward(reward), data or None, answer) if reward else load_task(name)
    found = audit(task, rows=rows, quick=quick, totals=totals_of(model, task) if model else ())
    print(found.json() if json else found.table())
    raise typer.Exit(1 if found.failed else 0)


@app.command()
def score(
    path: Annotated[str, typer.Argument(help="A JSONL file of answers ('-' reads standard input), or a run folder.")],
    reward: Annotated[str, typer.Option(help="A module of rewards/, module:function, or a file.")],
    answer: Annotated[str, typer.Option(help="Where the answer stands: everything, boxed, '<answer>', …")] = "",
    json: Annotated[bool, typer.Option(help="Of a run, too, a JSON line an answer, with its advantages.")] = False,
) -> None:
    """Score saved answers anew; for a run, also what its group advantages would have been."""
    from pathlib import Path

    from lab.registry import load_reward
    from lab.rescore import lines_of, rescore_stream
    from lab.rescore_run import rescore_run, table

    chosen = load_reward(reward)
    if Path(path).is_dir():
        changes = rescore_run(path, chosen, sys.stdout if json else None, region=answer or None)
        print(table(changes), file=sys.stderr if json else sys.stdout)
        return
    if path != "-" and not Path(path).is_file():
        raise UserError(f"there is no file {path!r}: give a JSONL file of answers, '-', or a run folder")
    with sys.stdin.buffer if path == "-" else open(path, "rb") as file:
        tally = rescore_stream(lines_of(file), chosen, sys.stdout, region=answer or "everything", complain=_warn)
    _warn(str(tally))
    if not tally.scored + tally.unscorable:
        raise UserError(f'{path!r} holds no answer: write one JSON object a line, {{"response": …, "answer": …}}')


@app.command()
def parity(
    name: TaskName,
    model: Annotated[str, typer.Option(help="The checkpoint whose tokenizer renders the prompts.")] = "tiny",
    rows: Annotated[int, typer.Option(min=1, help="How many rows to compare.")] = 32,
) -> None:
    """Compare a task's prompts and scores in SFT, GRPO, evaluation and lm-eval; exit 1 where they part."""
    from lab.benchmark.columns import columns_of
    from lab.evidence.parity import parity

    found = parity(name, columns_of(model)[-1].model, rows)
    print(found)
    raise typer.Exit(0 if found.same else 1)


@app.command("lm-eval-path")
def lm_eval_path(
    names: Annotated[
        list[str] | None, typer.Argument(help="Tasks or task files; all bundled ones unless told.")
    ] = None,
) -> None:
    """Print the folder that makes the tasks known to lm_eval: lm_eval run --include_path $(lab lm-eval-path) …"""
    from lab.lm_eval_path import write_yamls

    print(write_yamls(names or ()))


@app.command()
def decontaminate(
    name: TaskName,
    against: Annotated[str, typer.Option(help="Benchmarks, separated by commas.")] = "gsm8k,math500",
) -> None:
    """Look for a benchmark's questions, word for word or with other numbers, among a task's training rows."""
    from lab.evidence.decontaminate import check

    shown, _ = check(name, [benchmark.strip() for benchmark in against.split(",")])
    print(shown)


@app.command()
def sandbox() -> None:
    """Say how model-written code is confined here, what that promises and what not, and try it."""
    from lab import look

    shown, held = look.sandbox_report()
    print(shown)
    raise typer.Exit(0 if held else 1)


@app.command()
def config(section: Annotated[str, typer.Argument(help="sft, grpo, lora, model, eval or report")] = "grpo") -> None:
    """List every field that a section takes, with its type, our default and what it is or why."""
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
def resume(
    run: Annotated[str, typer.Argument(help="The folder of a run that was killed or stopped.")],
    accelerate: Accelerate = "",
    vllm_server: Annotated[str, typer.Option(help="The machine that serves vLLM now, where it is another.")] = "",
) -> None:
    """Go on with a run from its newest whole checkpoint, to the numbers it would have had."""
    go_on(run, vllm_server, accelerate)


@app.command()
def export(
    run: Annotated[str, typer.Argument(help="A run folder.")],
    to: Annotated[str, typer.Option(help="The new folder.")],
    checkpoint: Annotated[str, typer.Option(help="One of the run's checkpoints, such as grpo/checkpoint-40.")] = "",
    push: Annotated[str, typer.Option(help="A hub id to upload the folder to.")] = "",
) -> None:
    """Write a run's model as a folder that plain transformers loads, with a model card of its numbers."""
    from lab.export import export as exported

    print(f"wrote {exported(run, to, checkpoint, push)}")


@app.command()
def launch(
    config: Config,
    overrides: Overrides = None,
    nodes: Annotated[int, typer.Option(help="Machines, one more where vLLM serves from its own.")] = 1,
    gpus: Annotated[int, typer.Option(help="GPUs on each machine.")] = 8,
    preset: Annotated[str, typer.Option(help="The accelerate preset.")] = "zero3",
    host: Annotated[str, typer.Option(help="The first machine's address.")] = "",
    slurm: Annotated[bool, typer.Option(help="Write an sbatch file instead of printing commands.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Print the sbatch file; write nothing.")] = False,
) -> None:
    """Plan a run on many machines: batches, memory, and the command for each machine or an sbatch file."""
    from lab.cluster import plan
    from lab.config import load_experiment

    job = plan(load_experiment(config, overrides or ()), config, overrides or [], preset, nodes, gpus, host)
    print(job.describe())
    print(job.commands() if not slurm else job.sbatch() if dry_run else job.write_sbatch())


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(help="A run folder; or several of one experiment, one a seed.")],
) -> None:
    """Write a run's report.html anew and print its table; of several seeds, one table over all."""
    from lab.evidence import seeds
    from lab.runs import Run

    opened = [Run.open(run) for run in runs]
    if len(opened) > 1:
        print(seeds.table(opened))
    else:
        show(opened[0])


def _warn(text: str) -> None:
    print(f"lab: {text}", file=sys.stderr)


def main() -> None:
    """The console script: a user's mistake is one sentence on stderr and exit code 2. Typer ends Ctrl-C with 130."""
    # Waiting OpenMP threads sleep instead of spinning: beside any other busy program, spinning costs a factor of three.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with told_in_a_sentence():
        if slip := next((given for given in sys.argv[1:] if re.match(r"--\w+\.\w", given)), ""):
            said = slip[2:] if "=" in slip else f"{slip[2:]}=VALUE"
            raise UserError(f"there is no option {slip}: settings are given without dashes, as {said}")
        app()
