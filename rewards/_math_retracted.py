r"""Whether the words around a box take its answer back: "not \boxed{5}", "\boxed{5}. Wait, that is wrong".

The policy: behind the sentence of the last box stand only a closing, a check or the same answer again, and behind the
box no word of denial, error or doubt, whatever it speaks of; before the box, no denial reaches it. "\boxed{5}. It is
not a coincidence" is refused too: a list of excuses can be talked round, and hardly a right answer has such words.
"""

import re


def _vocabulary(listed: str) -> str:
    """A pattern for any of the phrases between the commas; * stands for any ending."""
    return rf"\b(?:{'|'.join(' '.join(listed.split()).replace('*', '[a-z]*').split(', '))})\b"


_NEGATIVE = re.compile(
    _vocabulary("""
        no, not, never, none, nor, neither, cannot, dont, nope, nah, unable, unless, only if, or, plus, minus,
        by one, too *, wait, hold on, on second, actually, hm*, oops, whoops, sorry, oh, i mean, but, however,
        though, although, instead, rather, otherwise, opposite, maybe, perhaps, possibly, probably, might,
        should, ought, would have, needs to be, i need, i think, i suppose, first thought, unsure, trap, naive,
        tempting, placeholder, decoy, scratch, joking, kidding, bogus, absurd, typo, err, break, breaks, broke,
        wrong*, incorrect*, inaccura*, false*, falsi*, invalid*, untrue, error*, erron*, flaw*, fail*, nonsens*,
        extraneous, violat*, exceed*, mista*, mistook, misre*, misco*, misca*, misun*, misus*, misin*, misap*,
        overcount*, undercount*, overlook*, oversho*, forget*, forgot*, neglect*, contradict*, conflict*,
        inconsist*, imposs*, implaus*, improb*, unlik*, unreli*, unjust*, unsound, unver*, unsat*, uncert*,
        unconf*, unconv*, unfort*, doubt*, dubious*, guess*, suspect*, suspicio*, questionabl*, confus*,
        speculat*, tentativ*, apolog*, correction*, disregard*, ignor*, discard*, reject*, retract*, withdr*,
        revis*, amend*, redo*, recompu*, recalc*, recons*, rethink*, rework*, restart*, reexam*, reeval*
    """)
    + r"|n['\u2019]t\b|\?"
)
_HARMLESS = re.compile(
    r"\bno (?:other|smaller|larger|greater)\b|\b(?:do not|don['\u2019]t) hesitate\b|\bwould you like [^.!?\n]{,200}\?"
    r"|\b(?:cannot|can['\u2019]t|can not) be (?:simplified|reduced|factored)\b"
)
_CLOSING = re.compile(
    _vocabulary("""
        hope, help, helps, thank*, let me know, feel free, verif*, check*, confirm*, correct, right, confident,
        sure, certain, final answer, complet*, conclude*, proof, prove*, qed, match*, satisf*, fits, works,
        holds, required, desired, done
    """)
    + r"|^\W*(?:where|here|for|with|since|because)\b"
)
_ANOTHER = re.compile(  # … is 43, \to 43, (43)
    r"\b(?:answer|ans|total|result|value|sum|final|solution|it|gets?|gives?|makes?|becomes?|must|say)\b"
    r"(?:\W|is|['\u2019]s|was|be|of|would|equals?)*\d|(?:^[\s$]*=|->|\u2192|\u21d2)\W*\d"
)
_SENTENCE_END = re.compile(r"(?<=[.!?;])(?<!i\.e\.)(?<!e\.g\.)[\s)]|\n|\u2014|\u2013|--")
_MARKUP = re.compile(r"\\(?:begin|end)\{\w+\*?\}|\\[a-z]+|</?[a-z|_]+>")
_NUMBER = re.compile(r"-?\d+")
_DENIED = re.compile(  # what may stand between a denial and the box that it denies
    r"(?:\b(?:not|never|cannot|neither|nor|no way|(?:instead|rather|other) (?:of|than)|anything but|unlike|wrong"
    r"|incorrect|false|impossible|unlikely|doubt\w*|mistake|naive|tempting)|n['\u2019]t|\u2260|\\neq?)"
    r"(?:\s+(?:be|is|it|it['\u2019]s|this|that|to|a|the|of|answer|result|value|number|final|correct|right|equal|exactly"
    r"|possibly|really|actually|necessarily|think|believe|say|write|give|choose|as))*[\s:$*(\\\[]*$"
    r"|\beither\b[^.!?]{1,40}\bor[\s$(\\]*$",
    re.IGNORECASE,
)


def taken_back(value: str, before: str, after: str) -> bool:
    """Whether the texts `before` and `after` the last box, the bare `value` in it, take it back; linear in `after`."""
    if _DENIED.search(before[-100:]):
        return True
    if not after.strip("$.)]*} \n\\"):  # nearly always
        return False
    value, after = value.lower(), after.lower()
    if any(f"{unequal}{value}" in after.replace(" ", "") for unequal in ("\\neq", "\\ne", "\u2260", "!=")):
        return True
    after = _HARMLESS.sub(" done ", _MARKUP.sub(" ", after))
    own, *others = _SENTENCE_END.split(after)
    return bool(
        _NEGATIVE.search(after)
        or any(_names_another(sentence, value) for sentence in [own, *others])
        or not all(_closes(sentence, value) for sentence in others)
    )


def _names_another(sentence: str, value: str) -> bool:
    return not all(_repeats(sentence[at.start() : at.end() + 200], value) for at in _ANOTHER.finditer(sentence))


def _closes(sentence: str, value: str) -> bool:
    if _repeats(sentence, value) or not re.search(r"\w", sentence):
        return True
    return bool(_CLOSING.search(sentence)) and not re.search(r"\d|\banswer\b(?!\W*$)", sentence)


def _repeats(sentence: str, value: str) -> bool:
    """Whether the numbers of the answer stand in the sentence as well; an answer without one, its own text."""
    if numbers := " ".join(_NUMBER.findall(value)):
        return numbers in " ".join(_NUMBER.findall(sentence))
    return value in sentence
