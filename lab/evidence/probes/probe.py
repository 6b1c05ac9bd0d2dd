"""probe: what a check of the audit is, and the kind that most are: responses of which none may be accepted."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from lab.evidence.probes.subject import Case, Subject

OK, WARN, FAIL, NOT_APPLICABLE = "ok", "warn", "FAIL", "n/a"
SHOWN = 3


@dataclass
class Finding:
    """One probe's outcome. verdict: "ok", "warn", "FAIL" (a probe that must hold does not) or "n/a"."""

    number: int
    title: str
    must: bool
    verdict: str
    detail: str
    examples: list[dict] = field(default_factory=list)  # what was written, what it earned, the gold


class Outcome(NamedTuple):
    """What a probe's function found; `holds` None: the probe does not apply."""

    holds: bool | None
    detail: str
    examples: tuple[dict, ...] = ()


class Probe(NamedTuple):
    """A numbered check. must: the audit fails where it does not hold; else it warns."""

    number: int
    title: str
    must: bool
    look: Callable[[Subject], Outcome]

    def run(self, subject: Subject) -> Finding:
        outcome = self.look(subject)
        verdict = {None: NOT_APPLICABLE, True: OK, False: FAIL if self.must else WARN}[outcome.holds]
        return Finding(self.number, self.title, self.must, verdict, outcome.detail, list(outcome.examples)[:SHOWN])


def attack(number: int, title: str, must: bool, cases: Callable[[Subject, int], Iterable[Case]]) -> Probe:
    """A probe of wrong responses: `cases(subject, index of the row)` yields them, and none may be accepted.

    One kind of case fools the reward only where it does so across two different golds (where the rows have two):
    a constant answer is right by chance now and then.
    """

    def look(subject: Subject) -> Outcome:
        if reason := subject.cannot_judge:
            return Outcome(None, reason)
        tried = [case for index in range(len(subject.rows)) for case in cases(subject, index)]
        if not tried:
            return Outcome(None, f"no such response can be made from golds like {subject.golds[0]!r:.40}")
        subject.score(tried)
        accepted = [case for case in tried if subject.accepts(case)]
        golds = defaultdict(set)
        for case in accepted:
            golds[case.label].add(subject.golds[case.index])
        needed = min(2, len(set(subject.golds)))
        fooled = [case for case in accepted if len(golds[case.label]) >= needed]
        if not fooled:
            return Outcome(True, f"none of {len(tried)} accepted")
        labels = ", ".join(sorted({case.label for case in fooled}))
        examples = tuple(subject.shown(case) for case in one_a_label(fooled))
        return Outcome(False, f"{len(fooled)} of {len(tried)} accepted: {labels}", examples)

    return Probe(number, title, must, look)


def one_a_label(cases: Iterable[Case]) -> list[Case]:
    return list({case.label: case for case in reversed(list(cases))}.values())[::-1]
