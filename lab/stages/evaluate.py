"""Evaluation: held-out rows, a checkpoint, and an accuracy with its interval."""

import time
from collections.abc import Iterator, Mapping, Sequence

from lab.config import Eval
from lab.errors import UserError
from lab.evidence.statistics import over_rows, paired_change, wilson
from lab.progress import LiveLine, bar
from lab.render import Renderer
from lab.task import Row, Task


def evaluate(
    model, renderer: Renderer, tasks: Mapping[str, Task], rows: Sequence[Row], scorer, settings: Eval, line: LiveLine
) -> list[dict]:
    """Answers every row `settings.samples` times and scores the answers.

    Returns one dict a sample, rows in their order: row, sample, prompt, completion, finished, tokens, answer, scores,
    reasons, right. Under several processes each answers its share of the rows, and all return the whole.
    """
    from accelerate import PartialState
    from accelerate.utils import gather_object

    state = PartialState()
    mine = list(range(state.process_index, len(rows), state.num_processes))
    prompts = [renderer.prompt_ids(tasks[rows[i]["task"]].messages(rows[i])) for i in mine]
    limits = [settings.max_tokens or tasks[rows[i]["task"]].max_tokens for i in mine]
    jobs = [(k, s) for k in range(len(mine)) for s in range(settings.samples)]
    started, samples = time.monotonic(), []
    for done, (job, ids) in enumerate(_completions(model, renderer, prompts, limits, jobs, settings), start=1):
        k, sample = jobs[job]
        row = rows[mine[k]]
        text = renderer.completion_text(ids)
        samples.append(
            {
                "index": mine[k],
                "row": dict(row),
                "sample": sample,
                "prompt": renderer.prompt_text(tasks[row["task"]].messages(row)),
                "completion": text,
                "finished": renderer.is_finished(ids),
                "tokens": len(ids),
                "ids": tuple(ids),
            }
        )
        line.show(bar("eval", done, len(jobs), time.monotonic() - started))
    samples = _scored(samples, tasks, renderer, scorer)
    if state.num_processes > 1:
        samples = gather_object(samples)
    return sorted(samples, key=lambda s: (s["index"], s["sample"]))


def _scored(samples: list[dict], tasks: Mapping[str, Task], renderer: Renderer, scorer) -> list[dict]:
    responses = [
        tasks[s["row"]["task"]].response(
            s["completion"], finished=s["finished"], token_ids=s.pop("ids"), prefilled=renderer.prefilled
        )
        for s in samples
    ]
    graded = scorer.grade(responses, [s["row"] for s in samples], keep_going=True)
    for sample, response, grade in zip(samples, responses, graded, strict=True):
        sample["answer"] = response.answer
        sample["scores"] = {name: score.value for name, score in grade.scores.items()}
        sample["reasons"] = {name: score.reason for name, score in grade.scores.items() if score.reason}
        sample["right"] = None if grade.primary is None else tasks[sample["row"]["task"]].is_right(grade)
    return samples


def _completions(
    model, renderer: Renderer, prompts: list[list[int]], limits: list[int], jobs: list[tuple[int, int]], settings: Eval
) -> Iterator[tuple[int, list[int]]]:
    """Yields (job, completion token ids up to and with the end of turn), longest prompts first, in batches."""
    import torch

    tokenizer, device = renderer.tokenizer, model.device
    sampling = {"do_sample": False}
    if settings.temperature > 0:
        sampling = {"do_sample": True, "temperature": settings.temperature, "top_k": 0, "top_p": 1.0}
    torch.manual_seed(settings.seed)
    model.eval()
    # Sorted by length, so that a batch carries little padding, and the largest batch comes first.
    order = sorted(range(len(jobs)), key=lambda j: (limits[jobs[j][0]], len(prompts[jobs[j][0]])), reverse=True)
    for start in range(0, len(order), settings.batch_size):
        batch = order[start : start + settings.batch_size]
        batch_prompts = [prompts[jobs[j][0]] for j in batch]
        width = max(map(len, batch_prompts))
        padding = [[tokenizer.pad_token_id] * (width - len(p)) for p in batch_prompts]
        ids = torch.tensor([pad + p for pad, p in zip(padding, batch_prompts, strict=True)], device=device)
        mask = torch.tensor(
            [[0] * len(pad) + [1] * len(p) for pad, p in zip(padding, batch_prompts, strict=True)], device=device
        )
        with torch.inference_mode():
            output = model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=max(limits[jobs[j][0]] for j in batch),
                eos_token_id=list(renderer.end_ids),
                pad_token_id=tokenizer.pad_token_id,
                **sampling,
            )
        for job, completion in zip(batch, output[:, width:].tolist(), strict=True):
            yield job, _until_end(completion[: limits[jobs[job][0]]], renderer.end_ids)


def _until_end(ids: list[int], end_ids: Sequence[int]) -> list[int]:
    ends = [position for position, token in enumerate(ids) if token in end_ids]
    return ids[: ends[0] + 1] if ends else ids


def numbers(samples: Sequence[dict], before: Sequence[dict] | None = None) -> dict:
    """The stage's entry in summary.json: accuracy with its 95 % interval, and the paired change from `before`.

    One sample a row: Wilson's interval, Tango's paired change. Several: rows are the clusters of a bootstrap.
    Unscorable samples are counted and left out: the machine's failure is not the model's.
    """
    total = len(samples)
    result = _accuracy(samples) | {
        "samples": total // len({s["index"] for s in samples}),
        "mean_tokens": sum(s["tokens"] for s in samples) / total,
        "truncated": sum(not s["finished"] for s in samples) / total,
        "no_answer": sum(s["finished"] and s["answer"] is None for s in samples) / total,
        "unscorable": sum(s["right"] is None for s in samples),
    }
    names = dict.fromkeys(s["row"]["task"] for s in samples)
    if len(names) > 1:
        result["tasks"] = {name: _accuracy([s for s in samples if s["row"]["task"] == name]) for name in names}
    if before is not None:
        was, now = _share_right(before), _share_right(samples)
        both = [index for index in was if index in now]
        change = paired_change([was[i] for i in both], [now[i] for i in both])
        result |= {"change": change.difference, "change_ci95": [change.low, change.high], "change_p": change.p}
    return result


def _share_right(samples: Sequence[dict]) -> dict[int, float]:
    """Row index → share of its scorable samples that are right; a plain 0 or 1 where there is one sample."""
    by_row: dict[int, list[bool]] = {}
    for sample in samples:
        if sample["right"] is not None:
            by_row.setdefault(sample["index"], []).append(sample["right"])
    return {index: sum(right) / len(right) for index, right in by_row.items()}


def _accuracy(samples: Sequence[dict]) -> dict:
    rows = _share_right(samples)
    if not rows:
        raise UserError("no sample could be scored, so there is no accuracy: see the reasons in samples/*.jsonl")
    one_each = len(rows) == sum(s["right"] is not None for s in samples)
    interval = wilson(sum(rows.values()), len(rows)) if one_each else over_rows(list(rows.values()))[1:3]
    return {"accuracy": sum(rows.values()) / len(rows), "ci95": list(interval), "n": len(rows)}
