r"""Whether the words around a box take its answer back: "not \boxed{5}", "\boxed{5}. Wait, that is wrong".

The policy: a denial or a supposition just before the box; behind it, a word of self-correction, error or disbelief
anywhere, a negation or a hedge in the box's own sentence or said of the answer ("it is not …"), or a sentence that
concludes with another value ("so it is 43"). A remark about anything else takes nothing back: of MATH-500's 500 worked
solutions 112 go on behind the box, and 110 of these must stay right. No list of words reads prose: an answer that is
denied in other words counts, for to be rewarded it must still be the right one, and the only one boxed.
"""

import re

MAX_TEXT, MAX_SENTENCE = 4_000, 600  # characters read: of the text's beginning and its end, and of each sentence


def _any(listed: str) -> str:
    """A pattern for any of the phrases between the commas, as whole words; * stands for any ending."""
    return rf"\b(?:{'|'.join(' '.join(listed.split()).replace('*', '[a-z]*').split(', '))})\b"


_CORRECTION = re.compile(
    _any(r"""
        wait, hold on, hang on, oops, whoops, sorry, apolog*, nope, nah, actually, hm*, scratch th*, strike th*,
        scrap th*, on second, on reflection, my bad, edit, update, correction, wrong*, incorrect*, errors?, erron*,
        false*, absurd, bogus, nonsens*, mistake*, mistook, misre*, misco*, misca*, blunder*, typo, flaw*, bug,
        invalid, untrue, implausible, inadmissible, unsure, uncertain, unable, unclear, unlikely, unfortunately,
        doubt*, dubious*, guess*, suspect*, speculat*, placeholder, joking, kidding, jk, salt, trap, naive*,
        tempting, careless*, overcount*, undercount*, double[- ]count*, overlook*, overshoot*, forgot*, disregard*,
        retract*, withdr*, redo, redoing, revis*, recomput*, recalc*, recount*, reconsider*, rethink*, rework*,
        try again, start over, start again, take (?:it|this|that) back, opposite, swapped, off by,
        made (?:this|that|it) up, thin air, in the dark, first thought,
        (?:another|different|previous) (?:question|problem), it remains, never ?mind,
        (?:ignore|reject|discard|drop|change|replace) (?:this|that|it|the (?:answer|above|box*|result)), no idea,
        should have, ought to, must have been, either way, your choice, contradiction*, nicht, falsch*, fehler*,
        aber, faux, fausse*, erreur*, mais, désolé*, pero, falso, equivoc*, sbagliat*
    """)
    + r"|\?|不|错|錯|等等|抱歉|应该|其实|間違|すみません"
)
_HARMLESS = re.compile(
    r"\b(?:common|typical|usual) (?:mistake|error)\b[^.!?]*|\b(?:no|without) (?:mistake|error|doubt)s?\b"
    r"|\bnot (?:an? )?(?:extraneous|coincidence|just|only)\b|\b(?:would you like|do you have|any) [^.!?]{,200}\?"
    r"|\bcan(?:not|['\u2019]t) be (?:further )?(?:simplified|reduced|factored|improved|exceeded)\b"
)
_NEGATION = _any(r"""
    not, [a-z]+n['\u2019]t, cannot, never, no longer, hardly, nor, fails?, too, off, just, merely, impossible, excluded,
    extraneous, could, may, might(?! also), violat*, exceed*, breaks, broken, only (?:an?|half|part|when|if|for),
    (?:larg|small|bigg|great|high|low)er(?= than (?:that|this|it)|\W*$)
""")
_HEDGE = _any(r"""
    not, [a-z]+n['\u2019]t, cannot, never, no longer, (?<!\d[ ])(?<!\d,[ ])or, either, if, unless, whether, assuming,
    provided, depend*, maybe, perhaps, possibly, probably, might(?! also), could, would (?:be|have|get|only), but,
    though, although, however, instead, rather, except, yet, plus, minus
""")
_VALUE_HERE = "\ue000"  # stands for the answer itself: a pattern for each would take a millisecond to compile
_OTHER_SUBJECT = (  # "this term does not change" speaks of no answer
    r"(?:term|case|sum|step|identity|formula|function|series|expression|factor|sequence|inequality|method|approach|argument"
    r"|pattern|property|fact|rule|theorem|lemma|process|point|line|root|angle|side)s?\b"
)
_OF_THE_ANSWER = (
    r"(?:^\W*|[,;:]\W*|\b(?:and|but|so|as|however|since|because|then|which|that|hence|thus|therefore)\W+)"
    rf"(?:it|(?:this|that)(?! {_OTHER_SUBJECT})|which|i|{_VALUE_HERE}|(?:this|that|the|my|our|your|an?) (?:\w+ ){{0,2}}"
    r"(?:answer|result|value|solution|number|box|claim|total|conclusion|calculation|above|condition|equation|constraint"
    rf"|problem|question)\w*)\W+(?:\w+\W+){{0,3}}?{_NEGATION}"
)
_AT_ITS_HEAD = (
    r"^\W*(?:no(?! )|not|but|or(?!\W*$)|maybe|perhaps|instead|rather|almost|nearly|close|however|still|do not|never"
    r"|don['\u2019]t|please (?!do|let|feel)|treat|either|double|(?:(?:now|next|then|finally)\W+)?(?:we )?(?:still )?"
    r"(?:have to |need to )?(?:add|subtract|multiply|divide|halve))\b(?!-| (?:because|hesitate|forget|worry|to))"
)
_SAID_OF_IT = re.compile(f"{_OF_THE_ANSWER}|{_AT_ITS_HEAD}")  # in a later sentence
_CONCLUSION = re.compile(
    r".*(?:\b(?:answers?|ans|results?|totals?|solution|gives?|leaves|becomes?|makes?|gets?|say|says|with|instead"
    r"|(?:it|this|that) is|(?:that|it)['\u2019]s|correct|right|true|real|actual|required|requested|precisely"
    r"|(?:should|must|could|may|might) be|so|thus|hence|therefore|then)\b|->|\u2192|\u21d2|^\W*=)(.+)",
    re.DOTALL,
)
_CONCLUDED = re.compile(
    r".*?(-?\d[\d./]*\W+)(?:(?:is|was) the (?:\w+ )?answer\b|it is\W*$|that is\W*$|instead\W*$)",
    re.DOTALL,
)
_ASIDE = re.compile(
    r"\([^()]*\)|\b(?:because|since|as|if|when|where|for|than|by|of|about|approximately|roughly)\b[^,;:]*|[\u2248].*"
)
_SENTENCE_END = re.compile(r"(?<=[.!?;])(?<!i\.e\.)(?<!e\.g\.)[$)\]\\*]*\s|\n|[\u3002\uff0c]|\u2014|\u2013|\s--+\s")
_DRAWING = re.compile(r"\[asy\].*?\[/asy\]", re.DOTALL)
_MARKUP = re.compile(r"\\(?:begin|end)\{\w+\*?\}|\\[a-z]+|</?[a-z|_]+>|[${}*\\]")
_VALUE = re.compile(r"(?<!\w)-?\d[\d\s.,/^]*(?:[a-z]{2,}\W*)?$")  # ends the sentence, perhaps with its unit
_NO_VALUE = re.compile(r"=.*[a-z]|\b[b-hj-z]\b(?!\s*=)|\b(?:than|least|most|between|to|divisible|more)\b")
_NUMBER = re.compile(r"(?<!\d)-?\d+")
_DENIED = re.compile(  # what may stand between a denial and the box that it denies
    r"(?:\b(?:not|never|cannot|neither|nor|no way|(?:instead|rather|other) (?:of|than)|anything but|unlike|wrong"
    r"|incorrect|false|impossible|unlikely|doubt\w*|mistake|naive|tempting|suppose|assume)|n['\u2019]t|\u2260|\\neq?)"
    r"(?:\s+(?:be|is|was|were|limit|it|it['\u2019]s|this|that|to|a|the|of|answer|result|value|number|final|correct"
    r"|right|equal|exactly|possibly|really|actually|necessarily|think|believe|say|write|give|choose|as))*[\s:$*(\\\[]*$"
    r"|\beither\b[^.!?]{1,40}\bor[\s$(\\]*$",
    re.IGNORECASE,
)


def taken_back(value: str, before: str, after: str) -> bool:
    """Whether the texts `before` and `after` the last box, the bare `value` in it, take it back; linear in `after`."""
    if _DENIED.search(before):
        return True
    if not after.strip("$.)]*} \n\\"):  # nearly always
        return False
    after = after if len(after) <= 2 * MAX_TEXT else f"{after[:MAX_TEXT]}\n{after[-MAX_TEXT:]}"
    value, after = value.lower(), after.lower()
    if any(f"{unequal}{value}" in after.replace(" ", "") for unequal in ("\\neq", "\\ne", "\u2260", "!=")):
        return True
    sentences = _SENTENCE_END.split(_HARMLESS.sub(" ", _MARKUP.sub(" ", _DRAWING.sub(" ", after))))
    own, *others = [sentence[:MAX_SENTENCE] for sentence in sentences]
    return bool(
        re.search(_HEDGE, re.sub(r"\b(?:since|because|as|where|for)\b[^,;]*", "", own))
        or any(_CORRECTION.search(sentence) or _concludes_another(sentence, value) for sentence in (own, *others))
        or any(_SAID_OF_IT.search(other.replace(value, _VALUE_HERE) if value else other) for other in others)
    )


def _concludes_another(sentence: str, value: str) -> bool:
    if sentence.lstrip().startswith("("):  # a remark
        return False
    for found in filter(None, (_CONCLUSION.match(sentence), _CONCLUDED.match(sentence))):
        other = _ASIDE.sub("", found[1])
        if _VALUE.search(other) and not _repeats(other, value) and not _NO_VALUE.search(other):
            return True
    return False


def _repeats(sentence: str, value: str) -> bool:
    """Whether the numbers of the answer stand in the sentence as well; an answer without one, its own text."""
    if numbers := " ".join(_NUMBER.findall(value)):
        return numbers in " ".join(_NUMBER.findall(sentence))
    return value in sentence
