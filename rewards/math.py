"""math: the answer is mathematically the gold: number, formula, set, interval, equation, matrix, unit or words."""

import re
from functools import lru_cache
from itertools import accumulate

from lab import Score, reward
from rewards._math_committed import MAX_INTEGER, bare, committed, conclusion
from rewards._math_quantities import same_quantity
from rewards._math_tokens import Unreadable, tokens
from rewards._math_units import DENIALS
from rewards._math_words import in_words_too, labelled, meaning, point_in_time, same_time, sentence, words

LETTERS = ("name", "word", "text")
MAX_CHARACTERS = 2_000

_NUMBER = re.compile(r"([+-]?)(\d+|\d{1,3}(?:,\d{3})+)(?:\.(\d*))?", re.ASCII)
_SOMETHING = re.compile(r"([^=<>\d,;]{1,60})=(.+)", re.DOTALL)
_EVENT = re.compile(
    r"(?:P|\\Pr|\\mathbb\s?\{?P\}?|\\mathrm\{P\}|E|\\mathbb\{E\})\s?(?:\\left)?\((?:[^()]|\([^()]*\)){1,80}\)\s?=([^=]+)"
)
_VECTOR = r"\\(?:vec|mathbf|boldsymbol|bm|overrightarrow|hat)\b"
_CROSS_PRODUCT = re.compile(rf"{_VECTOR}.*\\times\s*{_VECTOR}")
_OPERATION = re.compile(
    r"\\(?:(?:lim|limsup|liminf|i{0,2}int|oint|sum|prod|det|sup|inf|max|min|gcd|lcm|dim|Pr)(?![A-Za-z])"
    r"|(?:operatorname|mathrm|text)\{(?:gcd|lcm|max|min)\})"
)


@reward(reads=["answer"], range=(0, 1), version="6", sees=conclusion, imports=["mpmath"])
def math_answer(response, row):
    r"""1 when the response commits to exactly one evaluated answer that equals row["answer"]; else 0.

    Reads the answer region; in the region "everything" it looks for the one `\boxed{…}` after the thinking, or a whole
    text that is nothing but the answer, or a last line that states it. Compares numbers exactly (1/3 is not 0.333),
    formulas to 45 digits at several values of their symbols, and like with like: {1,2}, (1,2) and [1,2] differ, 10 km
    is 10000 m, not 10 m.
    Wrong: several different answers, a chain of equalities, hedges, and what is not evaluated as far as the gold is
    (`123 \times 456`, `\sqrt{16}`, 84/2). Right: 42., 1\,234, 1e6, 0.\overline{3}, x = 42, 45°, 2 \le x < 5 for [2,5),
    x = 3, y = 4 for (3,4), "no solution" for \emptyset, an option's letter with its text, for either. A name is taken
    off (x = 5, P(A) = 1/3, \lim … = 5), also where the gold has none; but x^2 = 25 says that x is something else.
    A box that the words around it take back ("not \boxed{5}", "… Wait, that is wrong") is no answer (the policy stands
    in `_math_retracted.py`; a denial in words that no list holds passes). Nor is one that is a part of a formula
    (-\boxed{5}) or hidden (\phantom, white text). A gold without a unit accepts any unit, and percent, since only the
    question tells.
    Edge cases: `\log` without a base equals neither ln nor log10; a/bc is ambiguous, so it only equals itself; a text
    that cannot be read only equals itself; over 2,000 characters is wrong (50,000 for a plain integer); powers and
    factorials too large to be worked out are wrong at once; A^{-1}B is not BA^{-1} (capitals, one inverted or
    transposed, are matrices). Unscorable where the gold is blank, or neither text nor number.
    Source: the identity test by random points (Schwartz 1980, Zippel 1979), in place of a simplifier that can hang; the
    list of traps comes from the public issues of math-verify and of trainers that use it.
    """
    if not isinstance(row["answer"], str | int | float):
        return Score(None, f"the gold answer is a {type(row['answer']).__name__}, and one text or number is due")
    gold = bare(str(row["answer"]))
    if not gold:
        return Score(None, "the gold answer is blank")
    answers, reason = committed(response)
    if not answers:
        return Score(0.0, reason)
    for answer in answers:
        if not same(gold, answer):
            return Score(0.0, "not equal" if len(answers) == 1 else "several answers")
    return Score(1.0)


@lru_cache(maxsize=16_384)
def same(gold: str, answer: str) -> bool:
    """Whether two bare answers say the same, `answer` being evaluated as far as `gold`."""
    if len(answer) > (MAX_INTEGER if answer[-1:].isdigit() else MAX_CHARACTERS):
        return False
    numbers = _NUMBER.fullmatch(gold), _NUMBER.fullmatch(answer)
    if all(numbers):  # compared as text: it is quick, and no number is too long
        return _digits(*numbers[0].groups()) == _digits(*numbers[1].groups())
    if len(answer) > MAX_CHARACTERS:
        return False
    verdict = _same_words(gold, answer)
    if verdict is not None:
        return verdict
    if _CROSS_PRODUCT.search(gold):  # which changes its sign with its order
        return _spelled_alike(gold, answer)
    try:
        return same_quantity(gold, answer)
    except Unreadable:
        inside = _labelled_value(gold, answer) or sentence(answer)
        return _spelled_alike(gold, answer) or (inside not in (None, answer) and same(gold, inside))
    except RecursionError:  # a thousand fractions one in another: nobody's answer
        return False


def _digits(sign: str, whole: str, decimals: str | None) -> tuple[bool, str, str]:
    whole, decimals = whole.replace(",", "").lstrip("0"), (decimals or "").rstrip("0")
    return sign == "-" and bool(whole or decimals), whole, decimals


def _same_words(gold: str, answer: str) -> bool | None:
    """Whether two answers that are words, moments or options say the same; None where they are something else."""
    phrases = words(gold), words(answer)
    if phrases[0] and phrases[0] == phrases[1]:
        return True
    if aside := in_words_too(answer):
        return all(same(gold, spelling) for spelling in aside)
    meant = meaning(gold), meaning(answer)
    if any(meant):
        return same(meant[0] or gold, meant[1] or answer)
    gold_moment, moment = point_in_time(gold), point_in_time(answer)
    if gold_moment and (moment or gold_moment[0] == "date"):  # 2021-03-05 is no 2013
        return bool(moment) and same_time(gold_moment, moment)
    option = labelled(answer)
    if option and not labelled(gold):
        return same(gold, option[0] if len(phrases[0] or "") == 1 else option[1])
    return None


def _labelled_value(gold: str, answer: str) -> str | None:
    r"""The value behind a name that the reader does not know: \det A = 3, x^* = 3, \lim_{x \to 0} f(x) = 3."""
    if "=" in gold:
        return None
    if event := _EVENT.fullmatch(answer):  # P(\text{sum} = 7) = 1/6
        return bare(event[1])
    named = _SOMETHING.fullmatch(answer)
    balanced = named and named[1].count("{") == named[1].count("}")
    if balanced and not DENIALS & set(re.findall("[a-z]+", named[1].lower())):
        return bare(named[2])
    if not _OPERATION.match(answer):
        return None
    depths = accumulate((c in "{(") - (c in "})") for c in answer)
    equals = [i for i, (c, depth) in enumerate(zip(answer, depths, strict=True)) if c == "=" and depth == 0]
    return bare(answer[equals[0] + 1 :]) if len(equals) == 1 else None


def _spelled_alike(gold: str, answer: str) -> bool:
    try:
        return _spelling(gold) == _spelling(answer)
    except Unreadable:
        return gold == answer


def _spelling(text: str) -> list[tuple]:
    r"""The tokens of a text: `\text{March }3` is `March 3`, {x : x^{2} < 1} is {x | x^2 < 1}."""
    found = [("letters" if token.kind in LETTERS else token.kind, token.value) for token in tokens(text)]
    for i in range(len(found) - 4, -1, -1):
        if found[i] in (("op", "^"), ("op", "_")) and found[i + 1 : i + 4 : 2] == [("op", "{"), ("op", "}")]:
            found[i + 1 : i + 4] = [found[i + 2]]
    return [("op", "|") if token == ("op", ":") else token for token in found]
