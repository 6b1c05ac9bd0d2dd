"""LabTask: one of our tasks as a task of lm-eval, with the prompts, rows and verdicts that training sees.

lm-eval imports this file by the name that stands in the YAMLs of `lab lm-eval-path`. It is tried with lm-eval 0.4.13.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from statistics import mean

from datasets import Dataset
from lm_eval.api.task import ConfigurableTask

from lab.data import verified
from lab.errors import UserError
from lab.evidence.statistics import pass_at_k
from lab.registry import load_task
from lab.render import opened_thought
from lab.response import Response
from lab.scoring import Scorer
from lab.task import MOST_HELD_OUT, TEST, Graded, Row, Task

ROWS = 200  # of a task that generates them; one whose source has splits of its own gives all it has
LOWER_IS_BETTER = ("truncated", "no_answer", "unscorable")


class Answer(str):
    """An answer of a backend that knows whether it ended before the token limit; lm-eval takes it for its text."""

    finished: bool

    def __new__(cls, text: str, finished: bool = True):  # lm-eval casts golds to the type of the answer
        answer = super().__new__(cls, text)
        answer.finished = finished
        return answer

    def __getnewargs__(self):
        return str(self), self.finished


class LabTask(ConfigurableTask):
    """A lab task for lm-eval.

    config["metadata"] says which and how: lab_task (name or path), rows, split ("test"), row_seed (0; lm-eval adds the
    --model_args, in which a `seed` is the model's), and mode: "chat", or "completion" for a base model.
    config["repeats"] samples a row that many times at temperature 1 and adds pass@k.
    """

    def __init__(self, data_dir=None, cache_dir=None, download_mode=None, config: Mapping | None = None):
        config = {key: value for key, value in config.items() if key != "class"}
        self.settings = {"split": TEST, "row_seed": 0, "mode": "chat", **(config.get("metadata") or {})}
        self.lab_task = load_task(self.settings["lab_task"])
        self.scorer = Scorer({self.lab_task.name: self.lab_task}, workers=2)
        self.prefilled, self.tokenizer = "", None
        self.notes: list[str] = []  # on the rows
        self.verdicts: dict[int, list[dict]] = {}  # row → what was made of each of its answers
        with ExitStack() as failed:
            failed.callback(self.scorer.close)
            super().__init__(config=_lm_eval_config(config, self.lab_task, remote="base_url" in self.settings))
            failed.pop_all()

    def download(self, *_, **__) -> None:
        """Draws the rows. lm-eval is shown a copy as text, because a round trip through Arrow would change some."""
        count = self.settings.get("rows") or (ROWS if self.lab_task.splits == "hash" else MOST_HELD_OUT)
        rows = self.lab_task.sample(self.settings["split"], count, int(self.settings["row_seed"]))
        self.drawn = len(rows)  # of which those are dropped whose gold does not verify
        self.rows: list[Row] = verified(self.lab_task, rows, self.scorer, self.notes)
        docs = [{"index": i, "row": json.dumps(row, default=str)} for i, row in enumerate(self.rows)]
        self.dataset = {TEST: Dataset.from_list(docs)}

    def doc_to_text(self, doc, doc_to_text=None) -> str:
        return self.lab_task.messages(self.rows[doc["index"]])[-1]["content"]

    def doc_to_target(self, doc, doc_to_target=None) -> str:
        return str(self.rows[doc["index"]].get(self.lab_task.gold, ""))

    def fewshot_context(
        self, doc, num_fewshot=0, system_instruction=None, apply_chat_template=False, chat_template=None, **_
    ):
        """The prompt that SFT and GRPO train on, rendered by the model's own chat template."""
        messages = self.lab_task.messages(self.rows[doc["index"]])
        if system_instruction:
            messages = [
                {"role": "system", "content": system_instruction},
                *(m for m in messages if m["role"] != "system"),
            ]
        self.tokenizer = self.tokenizer or self._find_tokenizer(chat_template)
        self.prefilled = ""
        if apply_chat_template:
            prompt = chat_template(messages)
            others = [message for message in messages if message["role"] != "system"]
            if len(others) < len(messages) and prompt == chat_template(others):  # lm-eval only logs that it left it out
                raise UserError(
                    f"{self.config.task} has a system message, which this model's chat template refuses or leaves out: "
                    "write it into the task's prompt, or choose another checkpoint"
                )
            if isinstance(prompt, str):  # an endpoint's is not rendered yet
                self.prefilled = opened_thought(prompt)
            return prompt
        if self.settings["mode"] != "completion":
            raise UserError(
                f"{self.config.task} would be prompted without a chat template: add --apply_chat_template, or for a "
                """base model say so with --metadata '{"mode": "completion"}'"""
            )
        return "\n\n".join(message["content"] for message in messages) + "\n\n"

    def process_results(self, doc, results: Sequence[Sequence[str]]) -> dict[str, float]:
        """One row's metrics, over its samples. What could not be scored is left out, and counted as unscorable."""
        row = self.rows[doc["index"]]
        responses = [
            self.lab_task.response(text, finished=self._finished(text), prefilled=self.prefilled) for text in results[0]
        ]
        graded = self.scorer.grade(responses, [row] * len(responses), keep_going=True)
        self.verdicts[doc["index"]] = [verdict(self.lab_task, *pair) for pair in zip(responses, graded, strict=True)]
        return row_metrics(self.lab_task, responses, graded)

    def _finished(self, text: str) -> bool:
        """Whether the answer ended before the token limit.

        Where text is all that is known (lm-eval's hf and vllm backends) its tokens are counted. That is an estimate: a
        cut answer counts as ended where the tokenizer writes its text in fewer tokens than the model did.
        """
        if (told := getattr(text, "finished", None)) is not None:
            return told
        if self.tokenizer is None:
            return True
        tokens = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return len(tokens) < self.config.generation_kwargs["max_gen_toks"]

    def _find_tokenizer(self, chat_template):
        """The model's tokenizer: from the model whose method `chat_template` is, else from --model_args pretrained=."""
        tokenizer = getattr(getattr(chat_template, "__self__", None), "tokenizer", None)
        if callable(tokenizer):
            return tokenizer
        if name := self.settings.get("tokenizer") or self.settings.get("pretrained"):
            from lab.checkpoints import load_tokenizer

            return load_tokenizer(name, completion_mode=True)
        return None


def verdict(task: Task, response: Response, grade: Graded) -> dict:
    """One answer as the samples show it; `right` is None where it could not be scored."""
    return {
        "completion": response.text,
        "finished": response.finished,
        "answer": response.answer,
        "right": None if grade.primary is None else task.is_right(grade),
        "reasons": {name: score.reason for name, score in grade.scores.items() if score.reason},
    }


def row_metrics(task: Task, responses: Sequence[Response], graded: Sequence[Graded]) -> dict[str, float]:
    """The metrics of one row's samples by the names lm-eval shows; each is a mean over the samples that have it."""
    right = [task.is_right(grade) for grade in graded if grade.primary is not None]
    metrics = {
        "truncated": mean(not response.finished for response in responses),
        "no_answer": mean(response.finished and response.answer is None for response in responses),
        "unscorable": len(graded) - len(right),
    }
    if right:
        metrics["accuracy"] = sum(right) / len(right)
        metrics |= {f"pass@{k}": pass_at_k(len(right), sum(right), k) for k in _ks(len(graded)) if k <= len(right)}
    for name in task.rewards:
        values = [grade.scores[name].value for grade in graded if grade.scores[name].value is not None]
        if values:
            metrics[f"reward/{name}"] = mean(values)
    return metrics


def _lm_eval_config(config: dict, task: Task, remote: bool) -> dict:
    """What lm-eval has to be told; keys that the YAML holds already stay as they are."""
    repeats = config.get("repeats") or 1
    names = ["accuracy", *(f"pass@{k}" for k in _ks(repeats)), *(f"reward/{name}" for name in task.rewards)]
    metrics = [
        {"metric": name, "aggregation": "mean", "higher_is_better": name not in LOWER_IS_BETTER}
        for name in [*names, *LOWER_IS_BETTER]
    ]
    # lm-eval dumps its config as text, so that it gets no function: the methods above are overridden instead.
    ours = {
        "output_type": "generate_until",
        "test_split": TEST,
        "doc_to_text": "row",
        "doc_to_target": "row",
        "process_results": "by LabTask",  # any text: metric names need no function of their own then
        "num_fewshot": 0,
        "repeats": repeats,
        "metric_list": metrics,
        "filter_list": [{"name": "none", "filter": [{"function": "take_first_k", "k": repeats}]}],
        "generation_kwargs": generation(task, repeats, remote),
    }
    return {**ours, **config}


def generation(task: Task, repeats: int, remote: bool = False) -> dict:
    """lm-eval's generation settings: greedy for one sample a row, else the very distribution that GRPO samples from."""
    # No `until` would mean "\n\n", which cuts every chain of thought.
    settings = {"until": [], "max_gen_toks": task.max_tokens, "do_sample": repeats > 1}
    if repeats > 1:
        settings |= {"temperature": 1.0, "top_p": 1.0}
    if not remote:  # what a checkpoint's generation_config.json might slip in; a server may refuse these two
        settings |= {"repetition_penalty": 1.0, **({"top_k": 0} if repeats > 1 else {})}
    return settings


def _ks(repeats: int) -> list[int]:
    """1, 2, 4 … up to `repeats`; none for a single sample, where pass@1 is the accuracy."""
    return [2**i for i in range(repeats.bit_length()) if 2**i <= repeats] if repeats > 1 else []
