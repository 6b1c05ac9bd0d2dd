"""format: the response has the asked-for shape: thinking opened and closed once, then exactly one answer."""

from lab import Score, reward
from lab.response import check_region, region_contents

THINKING = ("required", "optional", "forbidden")


@reward(reads=[], range=(0, 1), version="1")
def well_formed(response, row, *, thinking: str = "required"):
    """1 when the response thinks as `thinking` asks and then gives exactly one non-empty answer region; else 0.

    Reads the text, no row field. `thinking` is "required" (`<think>…</think>` exactly once and nothing before it),
    "optional" (that, or no such tag at all) or "forbidden" (no thought; empty tags are no thought). The tags count
    wherever they were written: an opening `<think>` or a closed empty pair that the chat template has prefilled is as
    good as the model's own, so such templates do not make the reward 0 for ever. A truncated response, a thought left
    open, text before the thought, an empty or a repeated answer region: 0. Says nothing about being right.
    Source: the format reward of DeepSeek-R1 (arXiv:2501.12948), and the prefilled-tag trap that public trainers'
    issue lists record.
    """
    if thinking not in THINKING:
        raise ValueError(f"thinking={thinking!r}: use one of {', '.join(THINKING)}")
    if not response.finished:
        return Score(0.0, "truncated")
    if problem := thought_problem(response, thinking):
        return Score(0.0, problem)
    found = answer_regions(response.final, response.region)
    return Score(float(found == 1), "" if found == 1 else f"{found} answer regions")


def thought_problem(response, thinking: str) -> str:
    """What is wrong with the thinking tags; "" when nothing is."""
    whole = response.prefilled + response.text
    opened, closed = whole.count("<think>"), whole.count("</think>")
    if opened == closed == 0:
        return "no thinking" if thinking == "required" else ""
    if (opened, closed) != (1, 1):
        return f"<think> {opened} times, </think> {closed} times"
    before, _, rest = whole.partition("<think>")
    thought, closing, _ = rest.partition("</think>")
    if not closing:
        return "closed before it was opened"
    if before.strip():
        return "text before the thinking"
    if thinking == "required" and not thought.strip():
        return "no thinking"
    return "thinking" if thinking == "forbidden" and thought.strip() else ""


def answer_regions(final: str, region: str) -> int:
    """How many answer regions stand in `final`; an empty or an unclosed one spoils the count: 0."""
    contents = region_contents(final, region)
    tag = check_region(region)
    if tag != region and final.count(f"<{tag}>") != final.count(f"</{tag}>"):
        return 0
    return len(contents) if all(contents) else 0
