"""answers: probes 1 to 8: is the right answer accepted, and is what looks like it refused?"""

import re
from collections.abc import Iterator
from fractions import Fraction

from lab.evidence.probes.probe import Outcome, Probe, attack, one_a_label
from lab.evidence.probes.subject import Case, Subject, written
from lab.response import in_region

_LAST_NUMBER = re.compile(r"(?<!\d)\d{1,9}(?=\D*$)", re.ASCII)
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{4,}")  # no command of LaTeX, no variable
_SUM = re.compile(r"-?\d+(?:\.\d+)?(?:\s*[-+*/×÷^]\s*-?\d+(?:\.\d+)?)+")


def gold_accepted(subject: Subject) -> Outcome:
    if reason := subject.cannot_judge:
        return Outcome(None, reason)
    cases = [subject.gold_case(index) for index in range(len(subject.rows))]
    refused = [case for case in cases if not subject.golds[case.index] or not subject.accepts(case)]
    detail = f"{len(cases) - len(refused)} of {len(cases)} accepted as {subject.format.label}"
    if blank := subject.golds.count(""):
        detail += f"; {blank} golds are blank, so that an answer that says nothing is right or none is"
    if subject.unscorable:
        detail += f"; none can be scored: {subject.unscorable}"
    return Outcome(not refused, detail, tuple(map(subject.shown, refused)))


def gold_forms(subject: Subject) -> Outcome:
    """White space should be forgiven, and a full stop after a number; the rest is told, for the author to judge."""
    if reason := subject.cannot_judge:
        return Outcome(None, reason)
    cases = [case for index in range(len(subject.rows)) for case in _forms(subject, index)]
    subject.score(cases)
    refused = one_a_label([case for case in cases if not subject.accepts(case)])
    labels = [case.label for case in refused]
    detail = "refused: " + ", ".join(_spelling(subject, case) for case in refused) if refused else "all accepted"
    forgiven = {"white space"} if None in subject.numbers else {"white space", "a full stop"}
    return Outcome(not forgiven & set(labels), detail, tuple(map(subject.shown, refused)))


def _spelling(subject: Subject, case: Case) -> str:
    """What the case says in the accepted format, in quotes; of a long text both ends."""
    text = case.response.text.removeprefix(subject.format.before).removesuffix(subject.format.after)
    text = text if len(text) <= 80 else f"{text[:50]} … {text[-25:]}"
    return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text) + '"'


def _forms(subject: Subject, index: int) -> Iterator[Case]:
    gold, number = subject.golds[index], subject.numbers[index]
    forms = {"white space": f"  {gold} \n", "a full stop": f"{gold}.", "dollar signs": f"${gold}$"}
    if number is not None:
        forms["x ="] = f"x = {gold}"
        if number.denominator == 1:
            forms |= {"a decimal zero": f"{gold}.0", "thousands commas": f"{int(number):,}"}
    for label, form in forms.items():
        if form != gold:
            yield subject.answer(label, index, form)


def empty(subject: Subject, index: int) -> Iterator[Case]:
    region, gold = subject.task.answer, subject.golds[index]
    texts = {
        "nothing": "",
        "white space": " \n\t ",
        "an empty region": in_region("", region),
        "a closed thought": "<think>\n</think>",
    }
    for label, text in texts.items():
        if gold:
            yield Case(label, index, subject.response(text))
    yield subject.answer("an empty answer", index, " ")


def prompt_echo(subject: Subject, index: int) -> Iterator[Case]:
    asked = [m["content"] for m in subject.task.messages(subject.rows[index]) if m["role"] == "user"]
    for label, text in {
        "the prompt": "\n".join(asked),
        "its first sentence": asked[-1].partition("?")[0] + "?",
    }.items():
        if text.strip(" ?.") != subject.golds[index].strip(" ?."):
            yield Case(label, index, subject.response(text))
            yield subject.answer(f"{label} as the answer", index, text)


def unevaluated(subject: Subject, index: int) -> Iterator[Case]:
    number, gold = subject.numbers[index], subject.golds[index]
    if number is None:
        return
    less, part = written(number - 1), f"({gold})" if gold.startswith("-") else gold
    for form in (f"{gold} + 0", f"0 + {part}", f"{gold} * 1", f"1 \\times {part}", f"{less} + 1", f"({gold})^1"):
        yield subject.answer("the gold unevaluated", index, form)
    operators = [f"\\frac{{{written(2 * number)}}}{{2}}", f"\\max({gold}, {less})", f"\\sum_{{i=1}}^{{1}} {part}"]
    operators += [f"\\sqrt{{{written(number**2)}}}", f"\u221a{written(number**2)}"] if number > 1 else []
    for form in operators:
        yield subject.answer("an operator unevaluated", index, form)
    asked = subject.task.messages(subject.rows[index])[-1]["content"]
    for found in _SUM.findall(asked):
        if _looks_like(found, gold):
            continue
        for form in (found, found.replace("*", "\\times "), found.replace("*", "\\cdot "), f"${found}$"):
            yield subject.answer("the question unevaluated", index, form)


def _looks_like(found: str, gold: str) -> bool:
    return re.sub(r"\s", "", found) == re.sub(r"\s", "", gold)  # a fraction or a date may be the answer as it stands


def shotgun(subject: Subject, index: int) -> Iterator[Case]:
    gold, wrong = subject.golds[index], subject.others(index)
    if subject.task.runs_code:
        return  # several functions are one program
    if len(wrong) < 2:
        wrong = [*wrong, "nothing", "something"][:2]
    orders = {"first": [gold, *wrong], "middle": [wrong[0], gold, *wrong[1:]], "last": [*wrong, gold]}
    for place, several in orders.items():
        for joint in (", ", "; ", " / ", " or ", " and ", " "):
            yield subject.answer(f"the gold {place} of several", index, joint.join(several))
        for opening, closing in (("[", "]"), ("\\{", "\\}"), ("(", ")")):
            yield subject.answer(f"the gold {place} in a list or set", index, opening + ", ".join(several) + closing)
        regions = [subject.format.write(answer) for answer in several]
        if place != "last" or subject.format.before:  # a last line alone may well be the answer: lines above are work
            for joint in ("\n", "\nOr perhaps it is this:\n"):
                yield Case(f"several answers, the gold {place}", index, subject.response(joint.join(regions)))
    if subject.numbers[index] is not None:
        below, above = written(subject.numbers[index] - 1), written(subject.numbers[index] + 1)
        for form in (f"[{below}, {above}]", f"({gold}, {above})", f"{below} to {above}", f"{gold} \\pm 1"):
            yield subject.answer("an interval", index, form)


def near_misses(subject: Subject, index: int) -> Iterator[Case]:
    number, gold = subject.numbers[index], subject.golds[index]
    if number is None:
        yield from (_near_programs if subject.task.runs_code else _near_texts)(subject, index)
        return
    misses = {"one more": number + 1, "one less": number - 1, "the sign": -number, "ten times": 10 * number}
    misses |= {"1e-4 more": number + Fraction(1, 10**4), "1e-7 more": number + Fraction(1, 10**7)}
    digits = str(abs(int(number)))
    if len(digits) > 1:
        misses["swapped digits"] = Fraction(digits[1] + digits[0] + digits[2:])
        misses["a digit short"] = Fraction(digits[:-1])
    tolerance = Fraction(subject.task.rewards[subject.task.primary].parameters.get("tolerance", 0) or 0)
    for label, miss in misses.items():
        if abs(miss - number) > tolerance:
            yield subject.answer(label, index, written(miss, gold))


def _near_programs(subject: Subject, index: int) -> Iterator[Case]:
    for other in subject.others(index):  # a letter changed in a program may change nothing
        yield subject.answer("another row's program", index, other)


def _near_texts(subject: Subject, index: int) -> Iterator[Case]:
    gold = subject.golds[index].strip()
    for other in subject.others(index):
        if len(other) == len(gold) == 1:  # the letters of a choice
            yield subject.answer("another letter", index, other)
    changed = _LAST_NUMBER.sub(lambda found: str(int(found[0]) + 1), gold)
    if changed != gold:
        yield subject.answer("a number changed", index, changed)
    if word := _WORD.search(gold):
        middle = (word.start() + word.end()) // 2
        letter = "x" if gold[middle] in "qQ" else "q"
        yield subject.answer("a letter changed", index, gold[:middle] + letter + gold[middle + 1 :])
        two = next((at for at in range(word.start(), word.end() - 1) if gold[at] != gold[at + 1]), None)
        if two is not None:
            yield subject.answer("two letters swapped", index, gold[:two] + gold[two + 1] + gold[two] + gold[two + 2 :])
    if len(gold) > 3:
        yield subject.answer("a piece of the gold", index, gold[: len(gold) // 2])
        yield subject.answer("the gold inside a word", index, f"un{gold}ly")
        yield subject.answer("the gold twice", index, f"{gold}{gold}")


def equality_chains(subject: Subject, index: int) -> Iterator[Case]:
    number, gold = subject.numbers[index], subject.golds[index]
    if number is None:
        return
    wrong = written(number + 1)
    for form in (
        f"{wrong} = {gold}",
        f"{gold} = {wrong}",
        f"1 = 2 = {gold}",
        f"x = {wrong} = {gold}",
        f"{wrong} \\approx {gold}",
    ):
        yield subject.answer("an equality chain", index, form)


PROBES = [
    Probe(1, "gold accepted", True, gold_accepted),
    Probe(2, "the gold's surface forms", False, gold_forms),
    attack(3, "nothing, white space, an empty answer", True, empty),
    attack(4, "the prompt echoed", True, prompt_echo),
    attack(5, "the question unevaluated, gold + 0", True, unevaluated),
    attack(6, "several answers at once", True, shotgun),
    attack(7, "near misses", True, near_misses),
    attack(8, "equality chains", False, equality_chains),
]
