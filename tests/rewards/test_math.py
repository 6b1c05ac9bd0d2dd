import json
import random
import threading
from pathlib import Path

import pytest

from lab import Response
from rewards.math import math_answer

CASES = [
    json.loads(line) for line in (Path(__file__).parents[1] / "data" / "math_cases.jsonl").read_text().splitlines()
]
REWARD = math_answer()


def score(text, gold="42", **response):
    return REWARD.checked(REWARD.score(Response(text, **response), {"answer": gold})).value


def name(case):
    return f"{case['why']}-{case['gold'][:20]}"


@pytest.mark.parametrize("case", [case for case in CASES if not case["right"]], ids=name)
def test_no_wrong_answer_is_accepted(case):
    assert score(case["response"], case["gold"]) == 0


def test_hardly_a_right_answer_is_refused():
    right = [case for case in CASES if case["right"]]
    refused = [case["why"] for case in right if score(case["response"], case["gold"]) != 1]
    assert len(right) >= 150 and len(refused) <= 0.02 * len(right), refused


def test_every_gold_accepts_itself():
    refused = [case["gold"] for case in CASES if score(f"\\boxed{{{case['gold']}}}", case["gold"]) != 1]
    assert refused == []


BOMBS = [
    "9^{9^{8}}", "9^{9^{9^{9^9}}}", "2^{10^9}", "1000000!", r"\log(10^{10^8})", r"\gcd(10^{10^6},3^{10^6})",
    "(" * 3000 + "42" + ")" * 3000, "{" * 3000 + "42" + "}" * 3000, "1," * 50_000, "1" * 1_000_000, r"\frac{" * 1000,
    "-" * 5000, "(|" * 400, r"\sin" * 500 + "1", r"\binom{10^9}{5\cdot 10^8}", r"\sin(10^{40000})", "2^" * 500 + "2",
    "1/" * 700 + "1", "+".join(f"{i}x" for i in range(300)), "+".join(rf"\sqrt{{{i}}}" for i in range(150)),
    r"e^{e^{e^{e^{e}}}}", r"\cup".join(["(1,2)"] * 150), "(1+10^{-60})^{10^{64}}", r"\tan 90^\circ", "1e999999999",
    "\\" * 5000, "$" * 5001, "####" * 50_000, "answer is " * 20_000, "not " * 50_000 + r"\boxed{43}",
    r"\boxed{" * 50_000 + "43", "+".join(["(1/3)!"] * 200), "+".join([r"\sin(e^{11000})"] * 100), r"{1 \over " * 300,
    "+".join([r"e^{900}"] * 150) + "-149e^{900}", "5 hours and " * 150, "x=1," * 400 + "x=2", "0." + "12" * 500 + "...",
    "\x00", "\ud800", "nan", "inf", "0^0", "2" + "!" * 900, r"\begin{pmatrix}" * 300,
]  # fmt: skip


@pytest.mark.parametrize(
    "gold", ["42", r"\sqrt{2}", "x^2+1", r"\{1,2,3\}", "(1,2)", r"[0,\infty)", r"10 \text{ km}", "e^{900}", "100!"]
)
def test_bombs_and_odd_input_are_wrong(gold):
    for bomb in BOMBS:
        assert score(bomb, gold) == 0, bomb[:40]
        assert score(f"\\boxed{{{bomb}}}", gold) == 0, bomb[:40]


FRAGMENTS = r"\frac{ \sqrt{ } { ( ) [ ] ^ _ ! | \{ \} , = \le \cup & \\ \begin{pmatrix} \end{pmatrix} \pi \pm \infty \%"


def test_mangled_answers_are_judged_without_an_error():
    rng = random.Random(0)
    golds = sorted({case["gold"] for case in CASES if len(case["gold"]) < 100})
    for _ in range(3_000):
        answer = rng.choice(golds)
        for _ in range(rng.randint(1, 4)):
            at = rng.randint(0, len(answer))
            answer = (
                answer[:at] + rng.choice([*FRAGMENTS.split(), rng.choice(golds), ""]) + answer[at + rng.randint(0, 2) :]
            )
        assert score(f"\\boxed{{{answer}}}", rng.choice(golds)) in (0, 1)
        assert score(answer, answer or "1") in (0, 1)


def test_off_the_main_thread():
    verdicts = []
    thread = threading.Thread(
        target=lambda: verdicts.extend(score(rf"\boxed{{{a}}}", r"\sqrt{12}") for a in (r"2\sqrt3", "9^{9^9}"))
    )
    thread.start()
    thread.join()
    assert verdicts == [1, 0]


@pytest.mark.parametrize("region", ["boxed", "<answer>", "last line", "everything"])
def test_regions(region):
    text = {
        "boxed": r"I get \boxed{1/2}.",
        "<answer>": r"I get <answer>\boxed{1/2}</answer>",
        "last line": "I get\n1/2",
    }
    assert score(text.get(region, "1/2"), "0.5", region=region) == 1
    assert score("0.5, I think", "0.5", region=region) == 0
    assert score("<answer>1/2</answer> <answer>1/3</answer>", "0.5", region=region) == 0
    assert score(text.get(region, "1/2"), "0.5", region=region, finished=False) == 0


COMMITTED = [
    r"\boxed{42}. I hope this helps!", r"My guess was 41, but it is \boxed{42}.", r"$x=\boxed{42}$", r"$\boxed{42}$ cm",
    r"\boxed{42}\n\nThe answer is 42.", r"**\boxed{42}**", r"- \boxed{42}", r"(\boxed{42})", r"\boxed{42}</answer>",
    r"In either case we get \boxed{42}.", r"x = 3 is impossible, which leaves \boxed{42}.", r"\boxed{42}^\circ",
    "The answer is 42.", "**Answer: 42**", "So, $x = 42$.", "#### 42", r"<think>\boxed{43}</think>\boxed{42}",
]  # fmt: skip
NOT_COMMITTED = [
    r"The answer is not \boxed{42}.", r"It isn't \boxed{42}", r"\boxed{42}? No.", r"\boxed{42} would be wrong.",
    r"I doubt that it is \boxed{42}.", r"It is impossible that it is \boxed{42}", r"The wrong answer is \boxed{42}.",
    r"\boxed{42} Actually, scratch that: 43.", r"\boxed{42}. Wait, the answer is 43.", r"\boxed{42}. The answer is 43.",
    r"\boxed{42}^2", r"-\boxed{42}", r"2\cdot\boxed{42}", r"\sqrt{\boxed{42}}", r"\frac{\boxed{42}}{2}", r"1\boxed{42}",
    r"\boxed{42}+1", r"\boxed{42}7", r"\boxed{42}.5", r"\boxed{42},000", r"x<\boxed{42}", r"x \geq \boxed{42}",
    r"\boxed{42} < x", r"\boxed{42}i", r"\boxed{42}\pi", r"\boxed{42} \text{ or } 43", r"either 41 or \boxed{42}",
    r"x=\pm \boxed{42}", r"\boxed{42}/5", r"\boxed{42} : 5", r"(\boxed{42}, 3)", r"\boxed{42} or \boxed{43}",
    r"First \boxed{43}. Wait, no. \boxed{42}", r"<think>\boxed{42}</think>\boxed{43}", r"<think>\boxed{42}",
    r"\boxed{42", r"\boxed{42} It is \boxed{",
    r"\boxed{4}\boxed{2}", r"\boxed{\text{not }42}", "The answer is 41 or 42.", "The answer could be 42.",
    "Let x = 42.", "He said the answer is 42.", "The answer is 43.\nThe answer is 42.",
    "If n is even, the answer is 42.", "#### 41\n#### 42",
]  # fmt: skip


@pytest.mark.parametrize("text", COMMITTED)
def test_the_words_around_a_committed_answer(text):
    assert score(text) == 1


@pytest.mark.parametrize("text", NOT_COMMITTED)
def test_what_takes_an_answer_back_or_makes_it_a_part(text):
    assert score(text) == 0


PHRASES = json.loads((Path(__file__).parents[1] / "data" / "math_retractions.json").read_text())


BEFORE_TAKEN_BACK = [
    "The answer is not: ", "It can't possibly be ", "I don't think it is ", "I don't believe the answer is $",
    "There is no way the answer is ", "The answer is definitely not equal to ", "The wrong answer: ", r"$x \ne ",
    "The value cannot be equal to ", "An incorrect result is ", "Instead of ", "It's anything but ", "Don't write ",
    "One common mistake is to answer ", "The naive answer is ", "Do not answer ", "It's either 41 or ",
]  # fmt: skip
BEFORE_KEPT = [
    "My guess was 41, so it is ", "The number of integers that are not divisible by 3 is ", "It isn't 41; it's ",
    "Since 7 is not prime, the answer is ", "She does not have 3, so she has ", "The probability that it's not red is ",
    "The number of ways in which no two are adjacent equals $",
]  # fmt: skip


def test_a_denial_before_the_box_that_reaches_it_and_one_that_does_not():
    assert [before for before in BEFORE_TAKEN_BACK if score(rf"{before}\boxed{{42}}.") != 0] == []
    assert [before for before in BEFORE_KEPT if score(rf"{before}\boxed{{42}}.") != 1] == []


@pytest.mark.parametrize("region", ["boxed", "everything"])
def test_a_text_behind_the_box_that_takes_it_back_and_one_that_does_not(region):
    kept = {after: score(rf"So \boxed{{42}}{after}", region=region) for after in sum(PHRASES.values(), [])}
    for refused in ("taken back", "refused all the same"):  # hedges and short remarks of which it cannot be sure
        assert [after for after in PHRASES[refused] if kept[after] != 0] == []
    for right in ("kept", "accepted all the same"):  # the second deny it in words that no list holds
        assert [after for after in PHRASES[right] if kept[after] != 1] == []


AROUND = [r"\color{white} So. ", r"\phantom{a. ", "It is not. ", "either 41! or ", "x < ", "<think> So. ", "\\" * 101]


def test_the_part_that_the_reward_sees_is_judged_as_the_whole():
    pairs = [(case["response"], case["gold"]) for case in CASES]
    pairs += [(rf"So \boxed{{42}}{after}", "42") for after in sum(PHRASES.values(), [])]
    pairs += [(rf"{before}\boxed{{42}}", "42") for before in AROUND]
    for text, gold in pairs:
        for whole in (Response(f"{front}{text}", region="boxed") for front in ("", "Then x > 1. ", "It is not:\n")):
            seen = REWARD.recipe.sees(whole)
            assert REWARD.score(seen, {"answer": gold}) == REWARD.score(whole, {"answer": gold}), whole.text


def test_what_stands_before_the_sentence_of_the_box_is_not_seen():
    sentence = r"The answer is $\boxed{42}$. It is. \boxed{42}"
    assert REWARD.recipe.sees(Response(f"First x = 2. {sentence}", region="boxed")).text == sentence
    assert REWARD.recipe.sees(Response("First x = 2. Then 3.", region="boxed")).text == ""


HIDDEN = [r"\color{white}{42}", r"\textcolor{White}{42}", r"\color[rgb]{1,1,1}42", r"\phantom{a}=42", r"\smash{42}"]
HIDDEN += [r"\rlap{1}42", r"\mathrlap{42}51", r"\cancel{42}", r"\hphantom{4}42", r"\hspace{-1cm}42"]


def test_what_is_hidden_or_struck_out_is_no_answer():
    assert [text for text in HIDDEN if score(rf"\boxed{{{text}}}") != 0] == []
    assert score(r"\phantom{\boxed{42}}") == score(r"\color{white}\boxed{42}") == score(r"\boxed{42}\;51") == 0
    assert score(r"\boxed{\color{red}42}") == score(r"\boxed{\textcolor{blue}{42}}") == 1


@pytest.mark.parametrize("gold", [["42", "43"], {"value": 42}])
def test_a_gold_that_is_no_text_is_unscorable(gold):
    verdict = math_answer().score(Response(r"\boxed{42}", region="boxed"), {"answer": gold})
    assert verdict.value is None and type(gold).__name__ in verdict.reason


def test_a_blank_gold_is_unscorable():
    assert score("42", " ") is None
