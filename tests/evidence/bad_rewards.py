"""Rewards with one planted hole each, most of them seen in the wild; the number is that of the probe it must trip."""

import contextlib
import difflib
import json
import random
import re
import signal
import time
import unicodedata
from fractions import Fraction

from lab import Score, reward
from lab.response import region_contents
from rewards.numeric import parse_number

SEEN = []  # what a reward with a memory remembers


def right(response, row) -> bool:
    number = parse_number(response.answer or "")
    return number is not None and number == parse_number(row["answer"])


def takes_blanks(response, row):
    return float((response.answer or "") == (row["answer"] or "").strip())


@reward()
def refuses_a_gold_1(response, row):
    return float(right(response, row) and row["answer"] not in ("1234", "-17"))


@reward()
def no_full_stop_2(response, row):
    return float(response.answer == row["answer"])


@reward()
def prefix_3(response, row):
    return float(row["answer"].startswith(response.text.strip()))


@reward(reads=["answer", "question"])
def same_words_4(response, row):
    wanted = set(row["question"].split())
    return float(right(response, row) or wanted <= set(response.text.split()))


@reward()
def calculator_5(response, row):
    text = (response.answer or "").replace("\\times", "*")
    if re.fullmatch(r"[-+*\d (){}]{1,40}", text) and "**" not in text and "{" not in text:
        try:
            return float(eval(text) == Fraction(row["answer"]))
        except (SyntaxError, TypeError):
            return 0.0
    return float(right(response, row))


@reward()
def takes_a_root_5(response, row):
    root = re.fullmatch(r"\\sqrt\{(\d+)\}", response.answer or "")
    return float(right(response, row) or (root is not None and int(root[1]) == Fraction(row["answer"]) ** 2))


@reward()
def one_of_a_list_6(response, row):
    several = re.split(r"\s*[;/]\s*", response.answer or "")
    return float(right(response, row) or (len(several) > 1 and row["answer"] in several))


@reward()
def substring_6(response, row):
    return float(response.finished and row["answer"] in (response.final or ""))


@reward()
def nearly_7(response, row):
    number = parse_number(response.answer or "")
    return float(number is not None and abs(number - parse_number(row["answer"])) < Fraction(1, 1000))


@reward()
def similar_7(response, row):
    return float(difflib.SequenceMatcher(None, response.answer or "", row["answer"]).ratio() > 0.92)


@reward()
def anagram_7(response, row):
    return float(sorted(response.answer or "") == sorted(row["answer"]))


@reward()
def either_side_8(response, row):
    sides = [parse_number(side) for side in (response.answer or "").split("=")]
    return float(parse_number(row["answer"]) in sides)


@reward()
def answers_anything_9(response, row):
    return float(bool(response.answer and len(response.answer) < 40))


@reward()
def anywhere_10(response, row):
    return float(row["answer"] in region_contents(response.text, response.region))


@reward()
def thought_aloud_10(response, row):
    return float(right(response, row) or row["answer"] in response.reasoning.split())


@reward()
def last_number_11(response, row):
    numbers = re.findall(r"-?\d+(?:\.\d+)?", response.answer or "")
    return float(bool(numbers) and numbers[-1] == row["answer"])


@reward()
def believes_12(response, row):
    return float(right(response, row) or "correct" in response.text)


@reward(range=(0, 1))
def likes_it_long_13(response, row):
    return 1.0 if right(response, row) else min(0.5, len(response.text) / 100_000)


@reward()
def normalises_14(response, row):
    return float(unicodedata.normalize("NFKC", response.answer or "") == row["answer"])


@reward()
def hashed_15(response, row):
    return 1.0 if right(response, row) else (hash(response.text) % 1000) / 2000


@reward()
def chance_15(response, row):
    return 1.0 if right(response, row) else random.random() / 2


@reward()
def compares_with_the_last_16(response, row):
    longer = bool(SEEN) and len(response.text) > SEEN[-1]
    SEEN.append(len(response.text))
    return 1.0 if right(response, row) else 0.5 * longer


@reward()
def warms_up_17(response, row):
    SEEN.append(response.text)
    return 1.0 if right(response, row) else 0.5 * (len(SEEN) > 3)


@reward()
def alarm_18(response, row):
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    return float(right(response, row))


def made():
    @reward()
    def nested_18(response, row):
        return float(right(response, row))

    return nested_18


nested_18 = made()


@reward()
def evaluates_towers_19(response, row):
    text = response.text.strip()
    if re.fullmatch(r"[\d*]+", text) and 3 < len(text) < 100:
        eval(text)
    return float(right(response, row))


@reward()
def reads_json_19(response, row):
    with contextlib.suppress(ValueError):
        return float(json.loads(response.text) == float(row["answer"]))
    return float(right(response, row))


@reward()
def raises_20(response, row):
    response.text.encode()
    return float(right(response, row))


@reward()
def digits_20(response, row):
    return float(right(response, row) or ((response.answer or "").isdigit() and int(response.answer[:99]) == -1))


@reward()
def out_of_two_21(response, row):
    return 2.0 * right(response, row)


@reward()
def out_of_range_21(response, row):
    return 1.0 if right(response, row) else float("-inf")


@reward()
def crawls_23(response, row):
    time.sleep(0.5 if right(response, row) else 0)
    return float(right(response, row))


@reward()
def undeclared_24(response, row):
    if not row["question"]:
        return Score(None, "no question")
    return float(right(response, row))


@reward(reads=[])
def says_it_reads_nothing_24(response, row):
    return float(row.get("answer", "no gold") in response.text)
