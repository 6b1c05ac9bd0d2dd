"""The pipeline: an experiment's stages one after the other, each from a checkpoint to a checkpoint and its numbers."""

import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.config import Experiment
from lab.data import Data, draw, load_tasks
from lab.distributed import any_rank, is_main, share_object, start_processes, world_size
from lab.errors import LostRankError, UserError
from lab.progress import LiveLine, clock
from lab.pulse import Pulse, is_loss
from lab.runs import Run, changed_versions, provenance, size_in_bytes
from lab.sandbox import UNSAFE, VARIABLE, checked
from lab.scoring import Scorer, check_budget
from lab.stop import Stop, Stopped, stop_on_sigterm
from lab.task import TRAIN, Task
from lab.vllm import check_installed, check_settings

SEEN_WITHIN_SECONDS = 60  # a network disk may show another machine's new folder only after its cache's time


@dataclass
class Bench:
    """What every stage of one run works with."""

    experiment: Experiment
    tasks: dict[str, Task]
    data: Data
    scorer: Scorer
    checkpoint: Path | str  # where the next stage starts
    run: Run
    line: LiveLine
    stop: Stop
    before: list[dict] | None = None  # the samples of the last evaluation, for the paired change


def run_experiment(experiment: Experiment, stages: Sequence[str], label: str = "", resumed: Run | None = None) -> Run:
    """Runs `stages` ("base" evaluates the checkpoint as it is; "sft" and "grpo" train and then evaluate) in order.

    Everything that can be refused is refused before the run folder is made: tasks, rows, golds, checkpoint, template.
    `resumed` is the run to go on with: its finished stages are not done again. Raises Stopped after SIGTERM.
    """
    from lab.checkpoints import resolve
    from lab.evidence.parity import renderer_note

    tasks = load_tasks(experiment)
    check_trainable(experiment, tasks, stages)
    if "grpo" in stages:
        check_settings(experiment, world_size(), max(task.max_tokens for task in tasks.values()))
        check_installed(experiment)
    checkpoint = experiment.model.checkpoint
    resolve(checkpoint, allow_pickle=experiment.model.allow_pickle)
    sandbox = checked(experiment.sandbox) if any(task.runs_code for task in tasks.values()) else None
    with scorer_for(experiment, tasks) as scorer:
        start_processes(process_timeout(experiment, scorer.budget))
        data = draw(experiment, tasks, scorer, stages)
        line = LiveLine()
        renderer = load_renderer(experiment, checkpoint)
        weights = resolve(checkpoint, allow_pickle=experiment.model.allow_pickle)
        if note := renderer_note(checkpoint, renderer, tasks):
            data.notes.append(note)
        trained = sum(stage != "base" for stage in stages)
        facts = provenance(experiment, tasks, weights, renderer.fingerprint) | {"notes": data.notes}
        facts |= {"stages": list(stages), "label": label, "sandbox": sandbox, "decontamination": data.decontamination}
        if resumed:
            check_unchanged(resumed, facts)
            data.notes += versions_noted(resumed, facts["versions"])
        if "grpo" in stages and not resumed:
            facts["audit"] = audited(experiment, tasks, scorer)
        # Each stage leaves its weights; while one trains, two checkpoints with Adam's two moments may lie beside them.
        run = resumed or _shared_run(experiment, facts, (trained + 6 * bool(trained)) * size_in_bytes(weights))
        scorer.samples_file = run.path / "unscorable.jsonl"
        fresh = is_main() and not resumed
        with stop_on_sigterm() as stop, run.removed_if_nothing_was_made() if fresh else contextlib.nullcontext():
            bench = Bench(experiment, tasks, data, scorer, checkpoint, run, line, stop)
            if is_main():
                if sandbox and sandbox["unsafe"]:
                    line.alarm(UNSAFE)
                for note in data.notes:
                    line.done(f"note: {note}")
            try:
                with Pulse(run).lost_ranks_named():
                    for stage in stages:
                        _stage(bench, stage, label)
            except Stopped:
                raise Stopped(f"stopped as asked: `lab resume {run.path}` goes on") from None
            except KeyboardInterrupt:
                if is_main():
                    line.done(f"stopped: `lab resume {run.path}` goes on from its newest checkpoint")
                raise
    return run


def _stage(bench: Bench, stage: str, label: str) -> None:
    from lab.checkpoints import load_model
    from lab.stages.evaluate import evaluate, numbers
    from lab.stages.training import free_memory, quiet_libraries, training_dtype

    finished = bench.run.summary["stages"].get(stage, {})
    if "accuracy" in finished:
        bench.before = bench.run.read_samples(stage)
        if stage != "base":
            bench.checkpoint = bench.run.path / stage  # not as it was noted then: the run may have been moved
        return
    settings, started = bench.experiment.model, time.monotonic()
    loading = {"trust_remote_code": settings.trust_remote_code, "allow_pickle": settings.allow_pickle}
    with quiet_libraries():
        renderer = load_renderer(bench.experiment, bench.checkpoint)
        if stage != "base" and (bench.run.path / stage / "config.json").is_file():  # trained before, by a killed run
            bench.checkpoint = bench.run.path / stage
        elif stage != "base":
            model = load_model(bench.checkpoint, dtype=training_dtype(bench.experiment), **loading)
            bench.checkpoint = _train(bench, stage, model, renderer)
            del model
            free_memory()
        # Of a stage that was resumed, the sessions before count, too.
        trained = max([time.monotonic() - started, *(line["seconds"] for line in bench.run.metrics(stage))])
        evaluating = time.monotonic()
        Pulse(bench.run).note("evaluating")
        model = load_model(bench.checkpoint, dtype=settings.dtype, **loading).to(_device())
        samples = evaluate(
            model, renderer, bench.tasks, bench.data.eval, bench.scorer, bench.experiment.eval, bench.line
        )
        del model
        free_memory()
    result = numbers(samples, bench.before)
    result |= {
        "label": label or describe(bench.experiment, stage, bench.data),
        "checkpoint": str(bench.checkpoint),
    }
    seconds = trained + time.monotonic() - evaluating
    result |= {"seconds": seconds, "train_seconds": trained if stage != "base" else 0.0}
    bench.before = samples
    if is_main():
        bench.run.write_samples(stage, samples)
        bench.run.record_stage(stage, **result)
        low, high = (100 * bound for bound in result["ci95"])
        bench.line.done(
            f"{stage:5} accuracy {100 * result['accuracy']:5.1f} %  [{low:.1f}, {high:.1f}]  "
            f"n = {result['n']}  in {clock(result['seconds'])}"
        )


def _train(bench: Bench, stage: str, model, renderer) -> Path:
    if stage == "sft":
        from lab.stages.sft import sft

        return sft(bench.experiment, model, renderer, bench.tasks, bench.data.sft, bench.run, bench.line, bench.stop)
    from lab.stages.grpo import grpo

    rows, where = bench.data.grpo, (bench.run, bench.line, bench.stop)
    return grpo(bench.experiment, model, renderer, bench.tasks, rows, bench.scorer, *where)


def describe(experiment: Experiment, stage: str, data: Data) -> str:
    """A stage in a few words, for the table."""
    if stage == "sft":
        return f"{len(data.sft)} demonstrations"
    if stage == "grpo":
        plan, given = experiment.plan("grpo", processes=world_size()), experiment.grpo.arguments
        if given["max_steps"] > 0:
            return f"{given['max_steps']} steps × {plan.prompts} prompts × {plan.answers} answers"
        return f"{given['num_train_epochs']:g} epochs × {len(data.grpo)} prompts × {plan.answers} answers"
    return Path(experiment.model.checkpoint).name


def scorer_for(experiment: Experiment, tasks: dict[str, Task]) -> Scorer:
    """The scoring service with the experiment's deadlines."""
    environment = {} if experiment.sandbox == "auto" else {VARIABLE: experiment.sandbox}
    if experiment.grpo is None:
        return Scorer(tasks, environment=environment)
    settings = experiment.grpo
    return Scorer(
        tasks,
        environment=environment,
        seconds=settings.reward_seconds,
        budget=settings.reward_budget,
        unscorable_share=settings.unscorable_share,
    )


def load_renderer(experiment: Experiment, checkpoint: Path | str):
    """The one renderer of a run, from a checkpoint's tokenizer."""
    from lab.checkpoints import end_of_turn_ids, generation_config, load_tokenizer, resolve
    from lab.render import Renderer

    model = experiment.model
    tokenizer = load_tokenizer(
        checkpoint, trust_remote_code=model.trust_remote_code, completion_mode=model.mode == "completion"
    )
    source = resolve(checkpoint, allow_pickle=model.allow_pickle)
    ends = end_of_turn_ids(tokenizer, generation_config(source))
    return Renderer(tokenizer, ends, model.mode, model.chat_template_kwargs)


def check_trainable(experiment: Experiment, tasks: dict[str, Task], stages: Sequence[str]) -> None:
    """Refuses what no stage could do: a missing section, or training on a benchmark."""
    for stage in stages:
        if stage == "base":
            continue
        if getattr(experiment, stage) is None:
            raise UserError(f"the experiment has no `{stage}:` section: add one, even an empty `{stage}: {{}}`")
        for task in tasks.values():
            if TRAIN not in task.has:
                raise UserError(
                    f"{task.name} is a benchmark without training rows: it can be evaluated, not trained on"
                )


def process_timeout(experiment: Experiment, scoring_budget: float) -> float:
    """Seconds that a rank waits for another, `ddp_timeout` of the experiment's sections, else transformers' 1800."""
    given = [stage.arguments.get("ddp_timeout") for stage in (experiment.sft, experiment.grpo) if stage]
    seconds = min((limit for limit in given if limit), default=1800)
    if experiment.grpo and world_size() > 1:
        check_budget(scoring_budget, seconds)
    return seconds


def audited(experiment: Experiment, tasks: dict[str, Task], scorer: Scorer) -> dict:
    """The quick half of the audit, for the provenance; a red reward is refused unless `grpo.audit` is "warn"."""
    from lab.evidence.audit import audit
    from lab.evidence.probes.context import SANDBOX

    if experiment.grpo.audit == "off":
        return {"failed": {}, "overridden": True, "reason": "it was turned off, so nobody tried to fool the rewards"}
    failed = {}
    for name, task in tasks.items():
        report = audit(task, quick=True, scorer=scorer)
        # That nothing holds the programs back is what the word "unsafe" has accepted.
        found = [f for f in report.failed if f.number != SANDBOX or experiment.sandbox != "unsafe"]
        if found:
            failed[name] = "; ".join(f"{finding.title}: {finding.detail}" for finding in found)
    if failed and experiment.grpo.audit == "stop":
        name, found = next(iter(failed.items()))
        raise UserError(
            f"the reward of task {name} fails its audit ({found}), so a model would learn that instead: see "
            f"`lab audit {tasks[name].source}` and mend it, or set grpo.audit=warn to train all the same"
        )
    return {"failed": failed, "overridden": bool(failed), "reason": "; ".join(f"{n}: {f}" for n, f in failed.items())}


def check_unchanged(run: Run, facts: dict) -> None:
    """Refuses to go on with a run whose task, checkpoint or prompts are no longer those it began with."""
    began = _identities(run.provenance)
    for what, now in _identities(json.loads(json.dumps(facts))).items():
        if began[what] is not None and now != began[what]:
            raise UserError(
                f"{run.path} cannot be resumed: {what} has changed since it began; put it back, or start a new run"
            )


def _identities(facts: dict) -> dict:
    """What a run cannot go on without, known by its hash wherever it lies; None where nothing was noted of it."""
    checkpoint, tasks = facts.get("checkpoint", {}), facts.get("tasks", {})
    hashed = len(checkpoint.get("sha256") or "") == 64  # else a hub id, or too large: sizes are alike in many
    return {
        "the task's file": {name: task.get("sha256") for name, task in tasks.items()},
        "the wording of the task's prompts": {n: t["wording"] for n, t in tasks.items() if "wording" in t} or None,
        "the starting checkpoint": checkpoint["sha256"] if hashed else checkpoint,
        "the chat template": facts.get("renderer"),
        "the sandbox of model-written code": facts.get("sandbox") or {},
    }


def versions_noted(run: Run, versions: dict[str, str]) -> list[str]:
    """A sentence where libraries have changed since the run began, which is noted in its provenance, too."""
    began = run.provenance
    changed, known = changed_versions(began.get("versions", {}), versions), began.get("resumed_with", [])
    if not changed:
        return []
    if is_main() and changed not in known:
        run.add_provenance(resumed_with=[*known, changed])
    return [
        f"libraries have changed since the run began ({changed}): from here its numbers may differ from those it would "
        "have had; install the old versions for the same"
    ]


def _shared_run(experiment: Experiment, facts: dict, needed_bytes: int) -> Run:
    """The run folder: made by the main process, its path told to the others, which must see it too."""
    made = Run.create(experiment, facts, needed_bytes) if is_main() else None
    with made.removed_if_nothing_was_made() if made else contextlib.nullcontext():
        try:
            path = Path(share_object(str(made.path.absolute()) if made else None))
            deadline = time.monotonic() + SEEN_WITHIN_SECONDS
            while not path.is_dir() and time.monotonic() < deadline:
                time.sleep(0.5)
            unseen = any_rank(not path.is_dir())
        except RuntimeError as error:
            if not is_loss(error):
                raise
            raise LostRankError(
                "another rank ended before the run began: mend what it said, or what ended it, and start anew"
            ) from error
        if unseen:
            raise UserError(
                f"the run folder {path} is not visible from every machine: set `output` to a folder on a disk they "
                "share"
            )
    return Run(path)


def _device() -> str:
    import torch

    return str(torch.accelerator.current_accelerator()) if torch.accelerator.is_available() else "cpu"
