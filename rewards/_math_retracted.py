r"""Whether the text behind a box takes its answer back: "So 588 is not the right answer", "Hmm, it fails. Let me redo".

A sentence counts where it passes a negative verdict on the answer itself (it, this, the answer, the boxed value), where
its writer owns up to a mistake or does not know, or where another answer is named. A verdict on anything else does not:
"The wrong choice would be 7", "it is wrong to assume that …", "41 fails".
"""

# ruff: noqa: E501  (one alternative after another: wrapped, they are no easier to read)
import re

MAX_TEXT = 4_000  # characters read behind the box, of its beginning and of its end

_SENTENCES = re.compile(r"(?<=[.!?;])\s+|\n+|\s+(?:\u2014|\u2013|--+)\s+|\s*\u2014\s*")
_BE = (
    r"(?:is|was|are|were|['\u2019]s|be|been|being|seems?|looks?|feels?|sounds?|appears?|turns? out|proves?|comes? out)"
)
_ADVERBS = (
    r"(?:\s+(?:to be|to|be|only|merely|have been|has been|also|actually|clearly|just|obviously|probably|likely|quite|really|simply|still|then|"
    r"therefore|thus|in fact|of course|completely|totally|definitely|certainly|must|may|might|could|would|will|should|can|"
    r"a bit|a little|somewhat|rather|very|way|far|now|both|plainly|indeed|unfortunately|slightly|all|most)\b)*"
)
_WRONG = (
    r"(?:wrong|incorrect|false|invalid|mistaken|erroneous|bogus|off|impossible|absurd|inconsistent|unsound|unjustified|flawed"
    r"|nonsens\w*|unreliable|suspicious|fishy|doubtful|questionable|dubious|implausible|unlikely|untrue|inaccurate|bad|ruled out"
    r"|contradictory|broken|fake|garbage|rubbish|too (?:large|small|big|high|low|many|few|much|good)"
    r"|(?:an?|my|the)\s+(?:\w+\s+){0,2}(?:mistake|error|guess|placeholder|typo|contradiction|joke|slip|blunder|decoy|lie)"
    r"|in error|contradict\w*|fail\w*|violat\w*|out of range|outside the|excluded|extraneous)\b"
)
_RIGHT = (
    r"(?:(?:the|a|an|my|our|any)\s+)?(?:(?:final|actual|real|true|desired|requested|required|whole)\s+)*"
    r"(?:right|correct|answers?|valid|true|possible|what|it|acceptable|solutions?|consistent|good|allowed|accurate|so|the case|sound|"
    r"plausible|reasonable|feasible|permitted|reliable|justified|one\b|quite|adding up|working|satisf\w+|certain|sure)\b"
)
_HOLDS = (
    r"(?:satisfy|work|hold|fit|match|check|add up|make (?:any )?sense|agree|meet|obey|seem|look|appear|answer|solve|stand|count|"
    r"feel|sound|respect|comply|survive|pass|come out)\b(?! (?:at|like an? ))"
)
_NOT = r"(?:\s*not\b|n?['\u2019]t\b|\s+never\b|\s+no longer\b)"
_VERDICT = (
    rf"(?:{_ADVERBS}\s*{_BE}{_ADVERBS}\s+{_WRONG}"
    rf"|{_ADVERBS}\s*(?:is|was|are|were|['\u2019]s|seem|look|can|could|may|might|must|would|will|should|do|does|did){_NOT}{_ADVERBS}\s+"
    rf"(?:(?:be|have been|seem|look|appear)\s+)?(?:to be\s+)?(?:{_RIGHT}|{_HOLDS})"
    rf"|{_ADVERBS}\s*(?:cannot|can['\u2019]t|could(?:n['\u2019]t| not)|must(?:n['\u2019]t| not))\s+(?:\w+ly\s+)?be\s*[,.;!]*$"
    rf"|{_ADVERBS}\s*cannot{_ADVERBS}\s+(?:be\s+)?(?:{_RIGHT}|{_HOLDS})"
    rf"|{_ADVERBS}\s*is(?:n['\u2019]t| not)\s*[,.;!]*$"
    rf"|{_ADVERBS}\s+(?:fails?|failed|contradicts?|violates?|breaks|broke|conflicts|clashes|disagrees|overcounts?|undercounts?|"
    rf"double[- ]counts?|misses|ignores|overlooks|neglects)\b"
    rf"|{_ADVERBS}\s+(?:has|have|had|contains?)\s+(?:an?|some|the)\s+(?:\w+\s+){{0,2}}(?:mistake|error|flaw|problem|slip|bug)s?\b"
    rf"|{_ADVERBS}\s+(?:should|ought to|must|needs? to|has to)\s+(?:be|have been)\s+(?:\w+\s+)?"
    rf"(?:larger|smaller|bigger|less|greater|higher|lower|positive|negative|halved|doubled|divided|multiplied|rejected|discarded"
    rf"|ignored|disregarded|corrected|revised|withdrawn|different|changed|replaced|fixed)\b)"
)
_NOUN = r"(?:answer|result|value|solution|number|box|boxed \w+|calculation|computation|reasoning|argument|work|derivation|above|conclusion)"
_PRONOUN = re.compile(
    rf"(?<![\w'\u2019])(?:it|this|that|which|these|everything)\b(?:\s+(?:one|last \w+|(?:\w+\s+)?{_NOUN}))?{_VERDICT}",
    re.IGNORECASE,
)
_NAMED = re.compile(
    rf"(?:^|\b(?:the|this|that|my|our|your|so|but|above|boxed|final|previous)\s+)(?:(?:above|boxed|final|previous|last|first|given)\s+)*"
    rf"{_NOUN}(?P<between>(?:\s+(?!is\b|was\b|of\b)\S+){{0,5}}?){_VERDICT}",
    re.IGNORECASE,
)
_OF_OTHERS = re.compile(  # whose mistake it would be, or that of a case which is not this one
    r"\b(?:tempt\w*|common(?:ly)?|students?|people|many|some|naive(?:ly)?|careless|smaller|larger|greater|other|any|every|each|"
    r"otherwise|suppose|had (?:we|it)|if (?:we|you|one|it|there)|any(?:one|body|thing)|trap|distractor|choices?|options?)\b",
    re.IGNORECASE,
)
_TO = re.compile(r"\s+(?:to|for \w+ to|if|that)\b", re.IGNORECASE)  # it is wrong to assume that …
_OWNED = re.compile(
    r"\b(?:(?:I|we)(?:['\u2019]ve| have| must have| may have| might have| had)?(?:\s+(?:just|also|clearly|accidentally|actually|"
    r"probably|simply|mistakenly|now|perhaps|apparently|seem to have))*\s+"
    r"(?:forg[oe]t(?:ten)?|overlook\w*|(?:over|under)count\w*|mis(?!s\b)[a-z]+|missed|neglected|dropped|messed|screwed|confused|goofed|"
    r"err(?:ed)?|blundered|lied|slipped|swapped|mixed up|mixed|botched|retract|withdraw|take (?:it|that|this) back|"
    r"(?:was|am|were|are|got (?:it|this|that|something)|went) (?:wrong|mistaken|incorrect|lost|stuck|confused|off|in error)"
    r"|(?:made|make|see|found|find|spot\w*|notice\w*|have) (?:an?|my|the|some|another) (?:\w+\s+){0,2}(?:mistake|error|slip|flaw|typo)s?"
    r"|should(?:n['\u2019]t| not)? have|change my mind|changed my mind|double[- ]counted|was careless)"
    r"|(?:I|we) (?:used|took|had|wrote|put|applied|copied|counted|added|computed|assumed|read|solved|answered|subtracted|multiplied|"
    r"divided|treated|included|calculated|plugged)\b.{0,80}\b(?:wrong\w*|incorrect\w*|mistaken\w*|by mistake|in error|instead|twice|"
    r"accidentally|erroneously|too many|too few)"
    r"|my (?:bad|mistake|error|fault|apologies)|(?:I )?apologi[sz]e|sorry|oops|whoops|oh no|never ?mind|scratch that|strike that"
    r"|on second thoughts?|correction(?=\s*:)|just kidding|(?:only|just) joking|take that back|that said, no|let['\u2019]?s? (?:me )?(?:re(?:-?do|-?try|-?consider|-?think|"
    r"-?work|-?calculate|-?compute|-?vise|-?start|-?count|-?evaluate|-?examine|-?solve)\b|try (?:again|another|once more|that again)|"
    r"fix|correct|start (?:over|again)|go back|think again)"
    r"|(?:need|have|going|want|ought) to (?:redo|retry|reconsider|rethink|rework|recalculate|recompute|revise|recount|start over|try again|"
    r"fix (?:this|that|it)|correct (?:this|that|it|my|the))"
    r"|back to the drawing board|(?:something|somewhere)\b.{0,30}\bwrong|must be (?:an?|some) (?:\w+\s+)?(?:mistake|error)"
    r"|there(?:['\u2019]s| is| was| are| were| may be| might be| seems to be) (?:an?|some) (?:\w+\s+){0,2}(?:mistake|error|flaw|slip|bug)s?\b"
    r"|(?:found|spotted|made) an? (?:\w+\s+){0,2}(?:mistake|error))\b",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"\b(?:(?:I(?:['\u2019]m| am)|we(?:['\u2019]re| are)|am|is|are) (?:\w+ly )?(?:not|n['\u2019]t|un)\s?(?:\w+ly |so |at all |very |too |that |\w+ )?"
    r"(?:sure|certain|convinced|confident|able to)|I(?:['\u2019]m| am) (?:\w+ly )?(?:unsure|uncertain|guessing|lost|stuck)"
    r"|(?:I|we) (?:do(?:n['\u2019]t| not)|did(?:n['\u2019]t| not)|no longer) (?:\w+ly )?(?:know|trust|believe|think|stand|have (?:an?|any|the) (?:answer|idea))"
    r"|(?:I|we) (?:can(?:no|['\u2019])t|could(?: not|n['\u2019]t)|can not|am unable to) (?:find|determine|tell|decide|figure|verify|confirm|be (?:sure|certain)|solve|say|justify|prove (?:it|this|that))"
    r"|I (?:doubt|guess(?:ed)?|suspect (?:it|this|that|the answer|I)\b.{0,20}\b(?:wrong|not|off|incorrect))|I think not|I give up|(?:just|only|merely|purely|wild|pure) a?\s?(?:wild )?guess(?:ing)?"
    r"|no idea|probably not|(?:don['\u2019]t|do not) (?:use|accept|trust|count|take|grade|submit|rely)\b"
    r"|take (?:it|this|that) with a grain of salt)\b",
    re.IGNORECASE,
)
_DISMISSED = re.compile(
    r"\b(?:disregard|ignore|discard|retract|withdraw|rescind|delete|cross out|throw (?:out|away)|forget|reject|change|revise|update|amend|"
    r"replace)(?:\s+(?:the|my|all|of|about))*\s+(?:(?:this|that)(?=\W*$|\s+(?:and|to|box\w*|answer|result|value|last|first|line|response|one)\b)"
    r"|it\b|above|previous|last|answer|box\w*|everything|final)",
    re.IGNORECASE,
)
_NO = re.compile(
    r"(?:(?:hm+|but|oh|ah|uh|um|well|ok(?:ay)?|however|and|so|then|yet|hold on|actually|check(?:ing)?)[\s,.:\u2026]*)*"
    r"(?:(?:no|nope|nah|wrong|incorrect|false|fails?|contradiction|impossible|mistake|error|rejected|(?:this|that|it) is not|"
    r"not (?:right|correct|true|quite(?: right)?|so|really|it|valid|ok(?:ay)?|possible|the (?:right |correct )?answer))(?=\s*(?:[,.!;:\u2026\u2014)]|$))"
    r"|actually\b(?!.*\b(?:also|same|holds?|confirms?|true|works?|equality)\b)|hold on\b|wait\b)",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"\b(?:(?:answer|(?:right|correct|true|real|actual|proper|intended) (?:\w+ )?(?:answer|value|result|one|number|solution|total|count))"
    r"\s*(?:is|should be|must be|would be|was|=|:|becomes|ought to be|should have been|has to be)"
    r"|(?:it|this|that|which|value|result|total) (?:(?:is|['\u2019]s) (?:actually|really|in fact)|(?:should|ought to|must|has to|needs to) (?:really |actually |rather |instead )*(?:be|have been))"
    r"|(?:go(?:ing)?|went) with|make (?:it|that)|I(?:['\u2019]d| would)? (?:\w+ )?(?:say|choose|pick|answer|change (?:it|this|my answer) to))"
    r"[\s:*,]*(?:actually |really |in fact |instead |rather |probably )*(?=[-\\$\d])(?P<other>[^\n]{1,200})",
    re.IGNORECASE,
)
_AS_WELL = re.compile(r"\d.*\binstead\s*[.!]?$", re.IGNORECASE)  # I would say 43 instead


_VALUE = "\ue000"  # stands for the boxed value: a pattern for each value would take a millisecond to compile
_ABOUT_VALUE = re.compile(
    rf"{_VALUE}{_VERDICT}|(?:\bnot|n['\u2019]t|rather than|instead of|\\neq?|\u2260)\s+(?:equal to )?{_VALUE}(?=\W*$)",
    re.IGNORECASE,
)


def taken_back(value: str, after: str) -> bool:
    """Whether the text `after` a box with the bare `value` takes it back; linear in the text's length."""
    if after.strip("$.)]*} \n\\") == "":  # nearly always
        return False
    after = after if len(after) <= 2 * MAX_TEXT else f"{after[:MAX_TEXT]}\n{after[-MAX_TEXT:]}"
    return any(_is_negative(sentence[:600].strip("$*_ \\)]}"), value) for sentence in _SENTENCES.split(after))


def _about_value(sentence: str, value: str) -> bool:
    """Whether the value itself is passed a verdict on, or `not 42` is said."""
    if not 0 < len(value) <= 80 or value.lower() not in sentence.lower():
        return False
    own = rf"(?<![\w.\\])\$?(?:[A-Za-z]\s*=\s*)?{re.escape(value)}\s*\$?(?![\w^])"
    return bool(_ABOUT_VALUE.search(re.sub(own, _VALUE, sentence, flags=re.IGNORECASE)))


def _is_negative(sentence: str, value: str) -> bool:
    if not sentence:
        return False
    if _NO.match(sentence) or _OWNED.search(sentence) or _UNSURE.search(sentence) or _DISMISSED.search(sentence):
        return True
    if _about_value(sentence, value) or _names_another(sentence, value):
        return True
    named = value in sentence
    for pattern in (_PRONOUN, _NAMED):
        for match in pattern.finditer(sentence):
            between = match.groupdict().get("between") or ""
            of_another = re.search(r"\d", between) and value not in between
            excused = _TO.match(sentence, match.end()) or _OF_OTHERS.search(sentence[: match.start()])
            if not of_another and (named or not excused):
                return True
    return False


def _names_another(sentence: str, value: str) -> bool:
    others = [match["other"] for match in _OTHER.finditer(sentence)]
    return any(value not in other for other in others) or (bool(_AS_WELL.search(sentence)) and value not in sentence)
