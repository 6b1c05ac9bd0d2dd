"""Parity: the same rows through SFT, GRPO, evaluation and lm-eval, compared token for token and score for score."""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from lab import records
from lab.config import Experiment, Model
from lab.data import gold_response
from lab.registry import load_task
from lab.render import Renderer, wording
from lab.scoring import Scorer
from lab.task import Row, Task

REFERENCE = "evaluation"


@dataclass
class Parity:
    """What was compared, in words, and the first difference found; `same` when there is none."""

    lines: list[str]
    difference: str = ""

    @property
    def same(self) -> bool:
        return not self.difference

    def __str__(self) -> str:
        return "\n".join([*self.lines, self.difference or "parity holds"])


def parity(spec: str, model: Model, count: int = 32) -> Parity:
    """Compares the four lives of a task on `count` held-out rows under one checkpoint's tokenizer.

    Only the tokenizer is loaded, never the weights. Each prompt goes through the very code that each stage runs: our
    SFT rows, TRL's GRPOTrainer, our evaluation, and lm-eval's hf backend with the tokenizer it would load itself.
    """
    from lab.checkpoints import load_tokenizer
    from lab.stages.pipeline import load_renderer
    from lab.stages.training import quiet_libraries

    task = load_task(spec)
    tokenizer = load_tokenizer(model.checkpoint, trust_remote_code=model.trust_remote_code, completion_mode=True)
    if tokenizer.chat_template is None:  # as lab eval has it
        model = replace(model, mode="completion")
    renderer = load_renderer(Experiment("parity", model, {spec: 1.0}), model.checkpoint)
    with quiet_libraries():
        lm = LmEval(spec, renderer, model, count)
    with Scorer({task.name: task}) as scorer, closing(lm.task.scorer), quiet_libraries():
        rows = lm.task.rows
        prompts = {
            REFERENCE: [renderer.prompt_ids(task.messages(row)) for row in rows],
            **({"SFT": [_sft_prompt(task, row, renderer) for row in rows]} if _demonstrates(task) else {}),
            "GRPO": _grpo_prompts(task, rows, renderer),
            "lm-eval": lm.prompt_ids(),
        }
        plain = ", plain text" if model.mode == "completion" else ""
        lines = [f"{task.name}: {len(rows)} held-out rows, renderer {renderer.fingerprint}{plain}"]
        if difference := first_difference(prompts, renderer.tokenizer):
            return Parity(lines, difference)
        lines.append(f"prompts: {sum(map(len, prompts[REFERENCE]))} tokens, the same in {', '.join(prompts)}")
        responses = [(index, ids) for index, row in enumerate(rows) for ids in _responses(task, row, rows[0], renderer)]
        scores = {
            REFERENCE: _evaluation_scores(task, rows, responses, renderer, scorer),
            "GRPO": _grpo_scores(task, rows, responses, renderer, scorer),
            "lm-eval": lm.scores(responses),
        }
        difference = _score_difference(scores, rows, responses, renderer)
        if not difference:
            right = sum(score["accuracy"] or 0 for score in scores[REFERENCE])
            longer = 5 * len(rows) - len(responses)
            left = f" ({longer} more exceed the task's {task.max_tokens} tokens)" if longer else ""
            told = f"{right:.0f} of them right, scored the same in {', '.join(scores)}"
            lines.append(f"responses: {len(responses)}{left}, {told}")
        return Parity(lines, difference)


def renderer_note(checkpoint: str | Path, renderer: Renderer, tasks: Mapping[str, Task]) -> str | None:
    """A sentence where a run's checkpoint, or one exported, was trained on other prompts than are made now."""
    from lab.runs import run_of, sha256

    run = run_of(checkpoint)
    kept = run / "provenance.json" if run else Path(checkpoint).expanduser() / "lab_provenance.json"
    if not kept.is_file():
        return None
    trained = records.read(kept, records.Provenance)
    if (was := trained.get("renderer")) and was != renderer.fingerprint:
        return (
            f"{checkpoint} was trained with the renderer {was}, this is {renderer.fingerprint}: the chat template, its "
            "arguments or the mode differ, so the prompts are others than in training"
        )
    for name, facts in trained.get("tasks", {}).items():
        if name not in tasks:
            continue
        if facts.get("sha256") != sha256(Path(tasks[name].source)):
            return f"the task file {name} has changed since {checkpoint} was trained on it"
        if "wording" in facts and facts["wording"] != wording(tasks[name]):
            return f"the prompt of the task {name} reads otherwise than when {checkpoint} was trained on it"
    return None


def first_difference(prompts: Mapping[str, Sequence[list[int]]], tokenizer) -> str:
    """Where the first stage parts from evaluation: row, position and the tokens around; "" where none does.

    prompts: stage → one list of token ids per row, the rows in one order.
    """
    for stage, theirs in prompts.items():
        for row, (ours, other) in enumerate(zip(prompts[REFERENCE], theirs, strict=True)):
            if ours != other:
                pairs = zip([*ours, None], [*other, None], strict=False)
                at = next(i for i, (a, b) in enumerate(pairs) if a != b)
                shown = [repr(tokenizer.decode(ids[max(0, at - 3) : at + 5])) for ids in (ours, other)]
                return (
                    f"row {row}, token {at}: {REFERENCE} has {ours[at : at + 1] or 'the end'} in {shown[0]}, "
                    f"{stage} has {other[at : at + 1] or 'the end'} in {shown[1]} "
                    f"({len(ours)} and {len(other)} tokens)"
                )
    return ""


# ---- one stage each


def _sft_prompt(task: Task, row: Row, renderer: Renderer) -> list[int]:
    from lab.stages.sft import training_row

    trained = training_row(task, row, renderer)
    start = next(i for i, label in enumerate(trained["labels"]) if label != -100)
    return trained["input_ids"][:start]


def _grpo_prompts(task: Task, rows: Sequence[Row], renderer: Renderer) -> list[list[int]]:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    prompts = [renderer.prompt(task.messages(row)) for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        arguments = GRPOConfig(
            output_dir=folder,
            report_to="none",
            use_cpu=True,
            bf16=False,
            per_device_train_batch_size=2,
            num_generations=2,
            chat_template_kwargs=renderer.template_kwargs,
        )
        trainer = GRPOTrainer(
            model=_stand_in(renderer.tokenizer),
            args=arguments,
            train_dataset=Dataset.from_dict({"prompt": prompts}),
            processing_class=renderer.tokenizer,
            reward_funcs=_no_reward,
        )
        return [list(ids) for ids in trainer._tokenize_prompts(prompts)[0]]


def _no_reward(completions, **_):
    return [0.0] * len(completions)


class LmEval:
    """The task inside lm-eval, with its hf backend around a stand-in for the model."""

    def __init__(self, spec: str, renderer: Renderer, model: Model, count: int):
        from lm_eval.models.huggingface import HFLM

        from lab.checkpoints import resolve
        from lab.lm_eval_task import LabTask

        place = resolve(model.checkpoint, allow_pickle=model.allow_pickle)
        # A GGUF file is no folder that lm-eval's loader could read: there it is handed ours.
        tokenizer = renderer.tokenizer if str(place).endswith(".gguf") else str(place)
        self.lm = HFLM(
            pretrained=_stand_in(renderer.tokenizer),
            tokenizer=tokenizer,
            backend="causal",
            trust_remote_code=model.trust_remote_code,
            chat_template_args=renderer.template_kwargs,
        )
        settings = {"lab_task": spec, "rows": count, "mode": model.mode, "tokenizer": str(place)}
        self.chat = model.mode == "chat"
        self.task = LabTask(config={"task": "lab_parity", "metadata": settings})

    def prompt_ids(self) -> list[list[int]]:
        """The ids that lm-eval would hand to the model, one list a row."""
        prompts = [
            self.task.fewshot_context(doc, apply_chat_template=self.chat, chat_template=self._template())
            for doc in self.task.test_docs()
        ]
        return [self.lm.tok_batch_encode([prompt])[0][0].tolist() for prompt in prompts]

    def scores(self, responses: Sequence[tuple[int, list[int]]]) -> list[dict]:
        docs = list(self.task.test_docs())
        texts = [(index, self.lm.tok_decode(ids)) for index, ids in responses]
        metrics = [self.task.process_results(docs[index], [[text]]) for index, text in texts]
        rewards = self.task.lab_task.rewards
        return [
            {"accuracy": found.get("accuracy"), **{name: found.get(f"reward/{name}") for name in rewards}}
            for found in metrics
        ]

    def _template(self):
        return self.lm.apply_chat_template if self.chat else None


def _evaluation_scores(task, rows, responses, renderer, scorer) -> list[dict]:
    answers = [
        task.response(
            renderer.completion_text(ids),
            finished=renderer.is_finished(ids),
            token_ids=ids,
            prefilled=renderer.prefilled,
        )
        for _, ids in responses
    ]
    graded = scorer.grade(answers, [rows[index] for index, _ in responses], keep_going=True)
    return [_as_scores(task, grade) for grade in graded]


def _grpo_scores(task, rows, responses, renderer, scorer) -> list[dict]:
    from lab.stages.grpo import RewardTable

    table = RewardTable({task.name: task}, rows, renderer, scorer)
    indices, ids = zip(*responses, strict=True)
    graded = table.grade(list(ids), list(indices), lambda *_: None, lambda *_: None)
    return [_as_scores(task, grade) for grade in graded]


def _as_scores(task: Task, grade) -> dict:
    right = None if grade.primary is None else float(task.is_right(grade))
    return {"accuracy": right, **{name: score.value for name, score in grade.scores.items()}}


def _score_difference(scores, rows, responses, renderer) -> str:
    for stage, theirs in scores.items():
        for (index, ids), ours, other in zip(responses, scores[REFERENCE], theirs, strict=True):
            if ours != other:
                text = renderer.tokenizer.decode(ids)
                return f"row {index}, response {text!r:.200}: {REFERENCE} scores {ours}, {stage} scores {other}"
    return ""


# ---- what is fed to them


def _demonstrates(task: Task) -> bool:
    return task.demonstrate is not None or task.gold is not None


def _responses(task: Task, row: Row, neighbour: Row, renderer: Renderer) -> list[list[int]]:
    """Token ids of five answers to `row`: its gold, a neighbour's, none, both golds, and one cut at the limit.

    The prompts stand in for the golds where a task has none.
    """
    golds = _demonstrates(task)
    gold, other = (gold_response(task, r).text if golds else task.messages(r)[-1]["content"] for r in (row, neighbour))
    whole = [renderer.completion_ids(text) for text in (gold, other, "", f"{gold}\n{other}")]
    long = renderer.completion_ids(f"{gold}\n")[:-1]
    cut = (long * (task.max_tokens // len(long) + 1))[: task.max_tokens]
    return [ids for ids in whole if len(ids) <= task.max_tokens] + [cut]


def _stand_in(tokenizer):
    """A model with this tokenizer's vocabulary and next to no weights, where a library insists on a model."""
    from lab.packaged import small_llama

    return small_llama(tokenizer, hidden=8, intermediate=8, layers=1, heads=1, positions=1_000_000)
