"""Response: what the model wrote, cut into its reasoning and its answer."""

import re
from dataclasses import dataclass, replace
from functools import cached_property

TAIL_CHARACTERS = 200_000  # an answer stands at the end: what lies further back is never searched
_BOX_OR_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_TAG = re.compile(r"<([A-Za-z][\w-]*)>")


@dataclass(frozen=True)
class Response:
    r"""One completion as a reward sees it: only what the model wrote, never the prompt nor a tool's output.

    text       decoded completion without special tokens
    finished   False when generation stopped at the token limit: a truncated response has no answer
    region     where the answer stands: "everything", "last line", "boxed" (`\boxed{…}`) or a tag such as "<answer>"
    prefilled  what the chat template had already written of this turn, for example "<think>\n"
    token_ids  the completion's tokens, for rewards that count tokens; None where only the text is known
    """

    text: str
    finished: bool = True
    region: str = "everything"
    prefilled: str = ""
    token_ids: tuple[int, ...] | None = None

    @cached_property
    def _thought_and_final(self) -> tuple[str, str | None]:
        whole = self.prefilled + self.text
        thought, closed, final = whole.rpartition("</think>")
        if closed:
            return thought.replace("<think>", "", 1).strip(), final
        if "<think>" in whole:  # the thought never ended: nothing was committed to
            return whole.replace("<think>", "", 1).strip(), None
        return "", self.text

    @property
    def reasoning(self) -> str:
        """The text up to the last `</think>`; empty where the model did not think in tags."""
        return self._thought_and_final[0]

    @property
    def final(self) -> str | None:
        """The text after the thinking; None while a thought is still open."""
        return self._thought_and_final[1]

    @cached_property
    def answers(self) -> list[str]:
        """Every distinct answer that stands in the region, in order. More than one means: not committed to any."""
        if not self.finished or self.final is None:
            return []
        found = region_contents(self.final[-TAIL_CHARACTERS:], self.region)
        return list(dict.fromkeys(found))

    @property
    def answer(self) -> str | None:
        """The one committed answer, or None: truncated, still thinking, no region, or several different answers."""
        return self.answers[0] if len(self.answers) == 1 else None

    def answer_only(self) -> "Response":
        """The same answers without the text around them: what a reward that sees only the answer is given."""
        text = "\n".join(in_region(answer, self.region) for answer in self.answers)
        bare = Response(text, finished=self.finished, region=self.region)
        return bare if bare.answers == self.answers else replace(self)


def region_contents(text: str, region: str) -> list[str]:
    """What stands in each occurrence of `region` in `text`, stripped; linear in the text's length."""
    if region == "everything":
        return [text.strip()] if text.strip() else []
    if region == "last line":
        lines = text.strip().splitlines()
        return [lines[-1].strip()] if lines else []
    if region == "boxed":
        return _boxed(text)
    tag = check_region(region)
    return [part.partition(f"</{tag}>")[0].strip() for part in text.split(f"<{tag}>")[1:] if f"</{tag}>" in part]


def check_region(region: str) -> str:
    """The tag's name for a tag region, else the region itself. Raises ValueError for anything else."""
    if region in ("everything", "last line", "boxed"):
        return region
    if match := _TAG.fullmatch(region):
        return match[1]
    raise ValueError(f'answer region {region!r}: use "everything", "last line", "boxed" or a tag such as "<answer>"')


def in_region(answer: str, region: str) -> str:
    r"""`answer` written the way `region` asks for: `\boxed{42}`, `<answer>42</answer>`, or as it is."""
    if region == "boxed":
        return f"\\boxed{{{answer}}}"
    if region in ("everything", "last line"):
        return answer
    tag = check_region(region)
    return f"<{tag}>{answer}</{tag}>"


def _boxed(text: str) -> list[str]:
    # One pass with a stack, because 50,000 unclosed boxes must not cost 50,000 scans.
    # It begins at the first box: str.find passes over the reasoning before it many times faster than the pattern.
    start = min((at for at in (text.find("\\boxed"), text.find("\\fbox")) if at >= 0), default=len(text))
    while start and text[start - 1] == "\\":  # of a run of backslashes, two by two are line breaks
        start -= 1
    stack, closed = [], []
    for match in _BOX_OR_BRACE.finditer(text, start):
        token = match[0]
        if token == "{":
            stack.append(None)
        elif token.startswith(("\\boxed", "\\fbox")):
            stack.append(match.end())
        elif token == "}" and stack and (start := stack.pop()) is not None:
            while closed and closed[-1][0] > start:  # a box inside this one is part of its content
                closed.pop()
            closed.append((start, match.start()))
    return [text[start:end].strip() for start, end in closed]
