"""abstention: right answers gain, wrong ones lose, and "I don't know" lies between: honest doubt pays."""

from lab import Reward, Score, reward
from rewards.exact import normal
from rewards.math import math_answer

PHRASES = (
    "i don't know", "i do not know", "i dont know", "i am not sure", "i'm not sure", "unknown", "unsure", "idk",
    "not sure", "i cannot tell", "i can't tell", "cannot be determined", "no answer",
)  # fmt: skip

MATH = math_answer()


@reward(reads=["answer"], range=(-1, 1), version="2")
def calibrated_answer(response, row, *, abstained: float = 0.0, wrong: float = -1.0, right: Reward = MATH):
    """+1 for a right answer, `abstained` for one that says "I don't know", `wrong` for a wrong one.

    Reads row["answer"] and what `right` reads, the reward that tells right from wrong. Answering pays when the
    model's chance of being right is above (abstained - wrong) / (1 - wrong): one half for 0 and -1, three quarters for
    0.5 and -1. -1 <= wrong <= abstained < 1. Only a region that is nothing but a phrase of doubt abstains; doubt beside
    an answer is wrong, and so are no answer, several, and a truncated response: silence earns no more than an error.
    Where the gold itself is such a phrase, abstaining is right. Unscorable where `right` finds the row unscorable.
    Source: the confidence targets of "Why Language Models Hallucinate" (Kalai et al. 2025, arXiv:2509.04664).
    """
    if not -1 <= wrong <= abstained < 1:
        raise ValueError(f"abstained={abstained}, wrong={wrong}: use -1 <= wrong <= abstained < 1")
    doubted = response.answer is not None and is_doubt(response.answer)
    if is_doubt(str(row["answer"])):
        return Score(1.0 if doubted else wrong, "the question has no answer")
    verdict = right.checked(right.score(response, row))
    if verdict.value is None:
        return verdict
    if verdict.value >= right.range[1]:
        return Score(1.0, "right")
    return Score(abstained, "abstained") if doubted else Score(wrong, verdict.reason)


def is_doubt(answer: str) -> bool:
    """Whether an answer is nothing but an admission that one does not know."""
    if len(answer) > 200:
        return False
    text = normal(answer.replace("\\text{", "").replace("\u2019", "'"), ignore_case=True).strip(' .!?*$}{"')
    return text in PHRASES
