"""context: probes 22, 25 and 26: what stands around the reward: the model's answers, the sandbox, the prompt."""

from collections import Counter

from lab.errors import UserError
from lab.evidence.probes.probe import Outcome, Probe
from lab.evidence.probes.subject import Subject
from lab.reward import Score
from lab.scoring import Scorer
from lab.task import Task

SIGNAL, SANDBOX = 22, 25  # the probes' numbers
GROUPS, ANSWERS = 8, 8  # that a checkpoint is asked for
SILENT_SHARE = 0.9
SAME_PLACE_SHARE = 0.8


def signal(subject: Subject) -> Outcome:
    """A group whose answers all score alike teaches nothing."""
    if not subject.totals:
        return Outcome(None, "no model was given")
    groups = [[total for total in totals if total is not None] for totals in subject.totals]
    silent = sum(len(set(group)) < 2 for group in groups) / len(groups)
    scored = [total for group in groups for total in group]
    mean = sum(scored) / len(scored) if scored else float("nan")
    detail = f"mean reward {mean:.3g} over {len(scored)} answers; {silent:.0%} of {len(groups)} groups score all alike"
    return Outcome(silent < SILENT_SHARE, detail)


def totals_of(checkpoint: str, task: Task) -> list[list[float | None]]:
    """What a checkpoint's answers at temperature 1 earn: a group of 8 for each of 8 rows, as GRPO would see them."""
    from accelerate import PartialState

    from lab.checkpoints import load_model
    from lab.config import Eval, Experiment, Model
    from lab.data import first_rows
    from lab.progress import LiveLine
    from lab.stages.evaluate import evaluate
    from lab.stages.pipeline import load_renderer

    rows = first_rows(task, GROUPS)
    renderer = load_renderer(Experiment(task.name, Model(checkpoint), {task.name: 1.0}), checkpoint)
    model = load_model(checkpoint).to(PartialState().device)
    settings = Eval(samples=ANSWERS, temperature=1.0)
    with Scorer({task.name: task}) as scorer:
        samples = evaluate(model, renderer, {task.name: task}, rows, scorer, settings, LiveLine())
    groups = [[] for _ in rows]
    for sample in samples:
        scores = {name: Score(value) for name, value in sample["scores"].items()}
        groups[sample["index"]].append(task.graded(scores).total)
    return groups


def sandbox(subject: Subject) -> Outcome:
    """Where a reward runs model-written code, the sandbox tries on this machine what it promises to prevent."""
    if not subject.task.runs_code:
        return Outcome(None, "no reward declares that it runs model-written code")
    from lab.sandbox import VARIABLE, open_sandbox, self_test

    try:
        box = open_sandbox(subject.scorer.environment.get(VARIABLE))
    except UserError as error:
        return Outcome(False, str(error))
    try:
        results = self_test(box)
    finally:
        box.close()
    broken = [{"kind": name, "reason": problem} for name, problem in results.items() if problem]
    detail = f"{len(results) - len(broken)} of {len(results)} self-tests hold on tier {box.tier}"
    return Outcome(not broken, detail, tuple(broken))


def leak(subject: Subject) -> Outcome:
    """Whether the gold stands in the prompt, always after the same words. Among others, it is a choice to be made."""
    if reason := subject.cannot_judge:
        return Outcome(None, reason)
    if len(set(subject.golds)) < 2:
        return Outcome(None, "all rows have one gold")
    before = Counter()
    inside = 0
    for row, gold in zip(subject.rows, subject.golds, strict=True):
        words = " ".join(message["content"] for message in subject.task.messages(row)).split()
        bare = [word.strip(".,:;!?()[]\"'") for word in words]
        wanted = [word.strip(".,:;!?()[]\"'") for word in gold.split()]
        places = [i for i in range(len(bare) - len(wanted) + 1) if wanted and bare[i : i + len(wanted)] == wanted]
        inside += bool(places)
        before.update({(bare[i - 1] if i else "", len(bare) - i) for i in places})
    share = inside / len(subject.rows)
    if before and before.most_common(1)[0][1] >= SAME_PLACE_SHARE * len(subject.rows):
        word = before.most_common(1)[0][0][0]
        return Outcome(False, f"the gold stands in {share:.0%} of the prompts, always after {word!r}")
    return Outcome(True, f"the gold stands in {share:.0%} of the prompts, and never at a place that tells it")


PROBES = [
    Probe(SIGNAL, "signal in a model's answers", False, signal),
    Probe(SANDBOX, "the sandbox's own attacks", True, sandbox),
    Probe(26, "the answer leaks into the prompt", False, leak),
]
