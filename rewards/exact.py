"""exact: the answer is one given text, or fully matches one given pattern."""

import re
import unicodedata

from lab import Score, reward
from lab.reward import gold_texts

MAX_CHARACTERS = 10_000  # a pattern is run over no more than this


@reward(reads=["answer"], range=(0, 1), version="2", sees="answer")
def exact_text(response, row, *, ignore_case: bool = False):
    """1 when the answer region's whole text is row["answer"] (a text, or a list of accepted texts); else 0.

    White space is trimmed and its runs count as one blank; Unicode is composed (NFC), but look-alikes (full-width,
    Cyrillic) and zero-width characters stay different. `ignore_case` compares without case. A substring earns nothing.
    No answer, or several: 0. Unscorable where the gold is blank, None or NaN.
    Source: the exact-match metric of SQuAD (Rajpurkar et al. 2016, arXiv:1606.05250), without its dropping of articles
    and punctuation.
    """
    accepted = {normal(gold, ignore_case) for gold in gold_texts(row["answer"])}
    if not accepted:
        return Score(None, "the gold answer is blank")
    if response.answer is None or len(response.answer) > MAX_CHARACTERS:
        return 0.0
    return float(normal(response.answer, ignore_case) in accepted)


@reward(reads=["answer"], range=(0, 1), version="1", sees="answer")
def regex_match(response, row, *, ignore_case: bool = False):
    """1 when row["answer"], a regular expression, matches the answer region's *whole* text; else 0.

    Python's `re` syntax; `ignore_case` compares without case. An answer over 10,000 characters counts as wrong. A
    pattern that does not compile makes the row unscorable. A pattern that backtracks for ever is the row's fault: the
    scoring service's deadline ends it. Hardly a pattern matches itself: a task names an answer that does with `gold`.
    Source: the regular expression match of lm-evaluation-harness' filters, made to cover the whole answer.
    """
    try:
        pattern = re.compile(row["answer"], re.IGNORECASE if ignore_case else 0)
    except (re.error, TypeError) as error:
        return Score(None, f"the gold pattern does not compile: {error}")
    if response.answer is None or len(response.answer) > MAX_CHARACTERS:
        return 0.0
    return float(pattern.fullmatch(response.answer) is not None)


def normal(text: str, ignore_case: bool = False) -> str:
    """`text` composed (NFC), with single blanks and, where asked, without case."""
    text = " ".join(unicodedata.normalize("NFC", text).split())
    return text.casefold() if ignore_case else text
