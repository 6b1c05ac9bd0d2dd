"""choice: the answer is one of several options, named by its letter or written out."""

import re
import string

from lab import Score, reward
from rewards.exact import normal

MAX_CHARACTERS = 2_000
_MARKS = r"[\s*_$\"'.()\[\]:]*"
_LETTER = re.compile(
    rf"(?:(?:the\s+)?(?:final\s+|correct\s+)?(?:answer|option|choice)(?:\s+is)?)?{_MARKS}([A-Za-z]){_MARKS}", re.I
)
_LETTER_AND_TEXT = re.compile(r"[\s*(\[]*([A-Za-z])\s*[).:\]]+[\s*]*(.+)", re.DOTALL)
_WRAPPED = re.compile(r"\\(?:text|textbf|mathrm|mathbf|boxed)\s*\{([^{}]*)\}")


@reward(reads=["choices", "answer"], range=(0, 1), version="3", sees="answer")
def choice_answer(response, row):
    r"""1 when the answer region names exactly the right option, by its letter, its text, or both; else 0.

    Reads row["choices"] (2 to 26 texts) and row["answer"]: the right option's letter, its index from 0, or its text.
    "B", "(b)", "**B.**", "The answer is B", "\text{B}", "B) Paris" and "Paris" are one answer; "A or B", "not B", a
    letter with another option's text, and a sentence that mentions an option are wrong. Where an option's text is
    itself a letter ("A" as the text of option C) a bare letter means the letter. Unscorable where choices and answer
    do not belong together, or two options read the same.
    Source: the multiple-choice format of MMLU (Hendrycks et al. 2021, arXiv:2009.03300), over the whole answer.
    """
    choices = row["choices"]
    if not isinstance(choices, list | tuple) or not 2 <= len(choices) <= 26:
        return Score(None, "choices must be a list of 2 to 26 texts")
    texts = [normal(str(choice), ignore_case=True) for choice in choices]
    right = gold_index(row["answer"], texts)
    if right is None or len(set(texts)) < len(texts):
        return Score(None, f"the gold {row['answer']!r:.40} names no option, or two options read the same")
    if response.answer is None or len(response.answer) > MAX_CHARACTERS:
        return 0.0
    return float(chosen(response.answer, texts) == right)


def gold_index(gold, texts: list[str]) -> int | None:
    """Which option the gold means: its index from 0, its letter, or its text; None where it means none."""
    if isinstance(gold, int) and not isinstance(gold, bool):
        return gold if 0 <= gold < len(texts) else None
    if gold is None:
        return None
    gold = str(gold).strip()
    letter = string.ascii_uppercase.find(gold.strip("().").upper()) if len(gold.strip("().")) == 1 else -1
    if 0 <= letter < len(texts):
        return letter
    gold = normal(gold, ignore_case=True)
    return texts.index(gold) if gold in texts else None


def chosen(answer: str, texts: list[str]) -> int | None:
    """The one option that `answer` names; None where it names none, or a letter and another option's text."""
    answer = _WRAPPED.sub(r"\1", answer).strip()
    if match := _LETTER.fullmatch(answer):
        index = string.ascii_uppercase.find(match[1].upper())
        return index if index < len(texts) else None
    for form in (answer, answer.strip("*$ ").removesuffix(".")):  # never a leading point: .5 is not 5
        if (said := normal(form, ignore_case=True)) in texts:
            return texts.index(said)
    if match := _LETTER_AND_TEXT.fullmatch(answer):
        index = string.ascii_uppercase.find(match[1].upper())
        said = normal(match[2].strip("* ").removesuffix("."), ignore_case=True)
        if index < len(texts) and said == texts[index].removesuffix("."):
            return index
    return None
