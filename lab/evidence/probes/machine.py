"""machine: probes 15 to 21, 23 and 24: is the reward a function, does it survive odd input and keep its contract?"""

import asyncio
import random
import statistics
import sys
import threading
from collections.abc import Iterator

from lab.errors import ContractError
from lab.evidence.probes.probe import Outcome, Probe, one_a_label
from lab.evidence.probes.subject import BROKEN_CONTRACT, THOUGHT, Case, Subject
from lab.reward import Reward, Row, reward
from lab.scoring import Scorer
from lab.workers import Job, Verdict

PORTABLE, CONTRACT = 18, 21  # the probes' numbers
FEW_ROWS = 4
STEP = 64  # responses of the step whose cost is told
SLOW_STEP_SECONDS = 10
CHANCE = ("deadline", "budget")  # faults that a busy machine brings about: no sign of an unsteady reward
ODD = {
    "nothing": "",
    "a NUL": "4\0 2",
    "a lone surrogate": "4\ud800",
    "5,000 digits": "7" * 5_000,
    "5,000 decimals": "0." + "3" * 5_000,
    "a byte-order mark": "\ufeff42",
    "closing tags alone": "</think></answer></think>",
    "opening tags alone": "<think><answer><think>",
    "braces": "}}}{{{\\boxed",
    "a lone backslash": "\\",
    "a division by zero": "1/0",
    "a superscript": "\u00b2",  # a digit to str.isdigit, none to int
    "not a number": "nan",
    "infinity": "-inf",
    "another script": "٤٢ 四十二 ４２",
    "control characters": "".join(map(chr, range(32))),
    "10,000 lines": "x\n" * 10_000,
}
BOMBS = {
    "a tower of powers": "9^{9^{9^{9}}}",
    "a tower in Python": "9**9**9**9",
    "a large power": "2^{10^9}",
    "a factorial": "1000000!",
    "factorials of factorials": "10!!!!!!!!",
    "a binomial": "\\binom{10^8}{5 \\cdot 10^7}",
    "a huge exponent": "1e999999999",
    "a deep fraction": "\\frac{1}{" * 400 + "987654321" + "}" * 400,
    "3,000 brackets": "(" * 3_000 + "987654321" + ")" * 3_000,
    "unclosed brackets": "(" * 3_000,
    "50,000 lists": "[" * 50_000 + "]" * 50_000,
    "50,000 boxes": "\\boxed{" * 50_000,
    "50,000 closed boxes": "\\boxed{987654321}" * 50_000,
    "50,000 tags": "<answer>" * 50_000,
    "1 MB of digits": "7" * 1_000_000,
    "1 MB of commas": "1," * 500_000,
    "1 MB of blanks": " " * 1_000_000,
    "1 MB of letters": "a" * 1_000_000 + "!",
    "a sum of 20,000 terms": "1+" * 20_000 + "1",
}


def ordinary(subject: Subject) -> list[Case]:
    """Some twenty responses of every usual kind, on a few rows."""
    cases = []
    for index in range(min(FEW_ROWS, len(subject.rows))):
        texts = {"nothing": "", "a sentence": "I do not know.", "a thought": f"{THOUGHT}4", "words": "so it goes " * 40}
        cases += [
            Case(label, index, subject.response(text, token_ids=range(len(text.split()))))
            for label, text in texts.items()
        ]
        if not subject.cannot_judge:
            cases += [
                subject.gold_case(index),
                subject.wrong_case(index),
                subject.answer("spaced", index, f" {subject.golds[index]} "),
            ]
    return cases


def differences(subject: Subject, scorer: Scorer, cases: list[Case]) -> list[dict]:
    """Where `scorer`, asked in this order, tells something else than the audit's own scorer did."""
    subject.score(cases)
    asked = [(case, name) for case in cases for name in subject.task.rewards]
    jobs = [Job(subject.task.rewards[name], case.response, subject.rows[case.index]) for case, name in asked]
    again = scorer.verdicts(jobs, lenient=True)
    return [
        {**subject.shown(case), "kind": f"{name}: {case.label}", "again": second.score.value}
        for (case, name), second in zip(asked, again, strict=True)
        if differs(subject.of(case)[name], second)
    ]


def differs(one: Verdict, other: Verdict) -> bool:
    return one.score.value != other.score.value and not {one.fault, other.fault} & set(CHANCE)


def fresh(subject: Subject, hash_seed: int) -> Scorer:
    """A scorer that remembers nothing, with one new worker process and another seed for Python's hashes."""
    environment = subject.scorer.environment | {"PYTHONHASHSEED": str(hash_seed)}
    return Scorer({subject.task.name: subject.task}, workers=1, cached=0, environment=environment)


def same(found: list[dict], cases: list[Case], how: str) -> Outcome:
    if found:  # one may differ more than once
        count = len({(example.get("kind"), example.get("response"), example.get("gold")) for example in found})
        return Outcome(False, f"{count} of {len(cases)} responses score differently {how}", tuple(found))
    return Outcome(True, f"{len(cases)} responses score the same {how}")


def deterministic(subject: Subject) -> Outcome:
    cases, found = ordinary(subject), []
    for hash_seed in (1,) if subject.quick else (1, 2):
        with fresh(subject, hash_seed) as scorer:
            found += differences(subject, scorer, cases) + differences(subject, scorer, cases)
    return same(found, cases, "again, in a fresh process, under another hash seed")


def order_independent(subject: Subject) -> Outcome:
    cases = ordinary(subject)
    subject.score(cases)
    shuffled = random.Random(subject.seed).sample(cases, len(cases))
    with fresh(subject, 3) as scorer:
        found = differences(subject, scorer, cases[::-1]) + differences(subject, scorer, shuffled)
    return same(found, cases, "in another order")


def batch_independent(subject: Subject) -> Outcome:
    cases = ordinary(subject)
    subject.score(cases)
    with fresh(subject, 4) as scorer:  # the audit's own workers may be so many that each saw but one of them
        found = differences(subject, scorer, cases)
    for case in cases[-1:] if subject.quick else cases[-3:]:
        with fresh(subject, 4) as scorer:
            if scorer.verdicts([]):
                found.append({"kind": "an empty batch has scores"})
            found += differences(subject, scorer, [case])
    return same(found, cases, "alone and together")


@reward(reads=[], range=(-sys.float_info.max, sys.float_info.max), seconds=30)
def off_main_thread(response, row, *, inner: Reward):
    """What `inner` tells when a thread calls it, as asynchronous trainers do."""
    outcome = []

    def call():
        try:
            verdict = inner.score(response, row)
            outcome.append(inner.checked(asyncio.run(verdict) if inner.is_async else verdict))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def portable(subject: Subject) -> Outcome:
    """Off the main thread a signal's alarm raises; and what cannot be pickled cannot reach a worker."""
    if subject.unpicklable:
        return Outcome(False, subject.unpicklable)
    cases = ordinary(subject)
    subject.score(cases)
    asked = [(case, name, inner) for case in cases for name, inner in subject.task.rewards.items()]
    jobs = [Job(off_main_thread(inner=inner), case.response, subject.rows[case.index]) for case, _, inner in asked]
    verdicts = subject.scorer.verdicts(jobs, lenient=True)
    found = [
        {**subject.shown(case), "kind": f"{name}: {case.label}", "off the main thread": verdict.score}
        for (case, name, _), verdict in zip(asked, verdicts, strict=True)
        if differs(subject.of(case)[name], verdict)
    ]
    return same(found, cases, "off the main thread")


def bombs(subject: Subject) -> Outcome:
    rows = range(1 if subject.quick else min(2, len(subject.rows)))
    cases = list(_written(subject, BOMBS, rows))
    subject.score(cases)
    judged = "" if subject.cannot_judge else "accepted"
    bad = [case for case in cases if faults(subject, case) or (judged and subject.accepts(case))]
    slowest = max(verdict.seconds for case in cases for verdict in subject.of(case).values())
    detail = f"{len(cases) - len(bad)} of {len(cases)} refused in time, the slowest in {slowest:.2g} s"
    return Outcome(not bad, detail + _labels(bad), tuple(map(subject.shown, one_a_label(bad))))


def odd_input(subject: Subject) -> Outcome:
    cases = list(_written(subject, ODD, range(min(2, len(subject.rows)))))
    subject.score(cases)
    bad = [case for case in cases if faults(subject, case)]
    detail = f"{len(cases) - len(bad)} of {len(cases)} scored without an error"
    return Outcome(not bad, detail + _labels(bad), tuple(map(subject.shown, one_a_label(bad))))


def _written(subject: Subject, texts: dict[str, str], rows) -> Iterator[Case]:
    for index in rows:
        for label, text in texts.items():
            yield Case(label, index, subject.response(text))
            if not subject.cannot_judge:
                yield subject.answer(f"{label}, as the answer", index, text)


def _labels(cases: list[Case]) -> str:
    return f"; not: {', '.join(case.label for case in one_a_label(cases)[:4])}" if cases else ""


def faults(subject: Subject, case: Case) -> list[str]:
    return [verdict.fault for verdict in subject.of(case).values() if verdict.fault]


def in_contract(subject: Subject) -> Outcome:
    subject.score(ordinary(subject))
    broken = [
        {"kind": name, "response": response.text[:80], "reason": verdict.score.reason}
        for (_, response), verdicts in subject.verdicts.items()
        for name, verdict in verdicts.items()
        if verdict.fault == BROKEN_CONTRACT
    ]
    count = sum(len(verdicts) for verdicts in subject.verdicts.values())
    if broken:
        return Outcome(False, f"{len(broken)} of {count} values break it: {broken[0]['reason']}", tuple(broken))
    return Outcome(True, f"{count} values are None or finite and in the declared range")


def throughput(subject: Subject) -> Outcome:
    cases = ordinary(subject)
    subject.score(cases)
    verdicts = [verdict for case in cases for verdict in subject.of(case).values()]
    seconds = sorted(verdict.seconds for verdict in verdicts if verdict.seconds) or [0.0]  # 0 where remembered
    median, slow = statistics.median(seconds), seconds[int(0.99 * (len(seconds) - 1))]
    step = STEP * len(subject.task.rewards) * slow / subject.scorer.workers
    detail = f"p50 {median * 1e3:.2g} ms, p99 {slow * 1e3:.2g} ms: at most {step:.2g} s for a step of {STEP} responses"
    return Outcome(step <= SLOW_STEP_SECONDS, detail)


def missing_field(subject: Subject) -> Outcome:
    """Every declared field is asked for before a call; and what is read is declared, or a probe may not know of it."""
    row: Row = subject.rows[0]
    responses = [case.response for case in ordinary(subject) if case.index == 0]
    responses += [subject.response(gold) for gold in subject.golds[:1]]
    hidden = []
    for name, inner in subject.task.rewards.items():
        for wanted in inner.reads:
            try:
                subject.scorer.verdicts([Job(inner, responses[0], {k: v for k, v in row.items() if k != wanted})])
                return Outcome(False, f"reward {name} is called on a row without {wanted!r}")
            except ContractError:
                continue
        declared = {key: value for key, value in row.items() if key in inner.reads or key == "task"}
        jobs = [Job(inner, response, fields) for fields in (declared, row) for response in responses]
        verdicts = subject.scorer.verdicts(jobs, lenient=True)
        for alone, whole in zip(verdicts[: len(responses)], verdicts[len(responses) :], strict=True):
            if differs(alone, whole):
                hidden.append({"kind": name, "reason": alone.score.reason})
    if hidden:
        return Outcome(False, f"{hidden[0]['kind']} reads a field that it does not declare in `reads`", tuple(hidden))
    return Outcome(True, "refused by name before any call; no field is read that is not declared")


PROBES = [
    Probe(15, "determinism", True, deterministic),
    Probe(16, "order independence", True, order_independent),
    Probe(17, "batch independence", True, batch_independent),
    Probe(PORTABLE, "picklable, and off the main thread", True, portable),
    Probe(19, "bombs", True, bombs),
    Probe(20, "odd input", True, odd_input),
    Probe(CONTRACT, "finite, in range, of the right type", True, in_contract),
    Probe(23, "throughput", False, throughput),
    Probe(24, "missing and undeclared row fields", True, missing_field),
]
