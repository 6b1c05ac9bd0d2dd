"""numeric: the answer is one number, equal to the gold, compared exactly."""

import re
from fractions import Fraction

from lab import Score, reward

MAX_CHARACTERS = 1_000
_NUMBER = re.compile(
    r"""(?P<sign>[+-]?)
        (?:(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<decimals>\d*))?|\.(?P<bare>\d+))
        (?:[eE](?P<exponent>[+-]?\d{1,3}))?
        (?:/(?P<denominator>\d+))?""",
    re.VERBOSE | re.ASCII,
)


@reward(reads=["answer"], range=(0, 1), version="2", sees="answer")
def numeric_answer(response, row, *, tolerance: float = 0.0):
    """1 when the answer region holds exactly one number, equal to row["answer"]; else 0.

    Reads the region's whole text: "88", "88.", "$88$", "1,234", "-3/4", "1e6" are numbers; "88 or 63", "the 88" and an
    unevaluated "44 * 2" or "176/2" are not. Exact rational comparison; `tolerance` is an absolute difference
    that still counts. No answer, several ones, over 1,000 characters: 0. Unscorable where the gold is no number.
    Source: the final-answer match of GSM8K (Cobbe et al. 2021, arXiv:2110.14168), over the whole region and exact.
    """
    gold = parse_number(str(row["answer"]))
    if gold is None:
        return Score(None, f"the gold {row['answer']!r:.60} is no number")
    got = parse_number(response.answer or "")
    if gold.denominator == 1 and "/" in (response.answer or ""):
        return Score(0.0, "a quotient that was not worked out")
    return float(got is not None and abs(got - gold) <= Fraction(str(tolerance)))


def parse_number(text: str) -> Fraction | None:
    """The number that `text` is, exactly; None where it is anything else than one number."""
    text = text.strip()[: MAX_CHARACTERS + 1].replace("\u2212", "-")
    if len(text) > MAX_CHARACTERS:
        return None
    if text.endswith("."):
        text = text[:-1].rstrip()
    if len(text) > 2 and text[0] == text[-1] == "$":
        text = text[1:-1].strip()
    match = _NUMBER.fullmatch(text)
    if match is None or (match["denominator"] and not int(match["denominator"])):
        return None
    whole = (match["whole"] or "0").replace(",", "")
    number = Fraction(f"{whole}.{match['decimals'] or match['bare'] or '0'}e{match['exponent'] or 0}")
    number /= int(match["denominator"] or 1)
    return -number if match["sign"] == "-" else number
