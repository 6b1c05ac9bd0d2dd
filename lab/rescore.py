"""rescore: `lab score` of a JSONL stream: saved answers scored anew, in bounded memory."""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TextIO

from lab.errors import UserError
from lab.response import Response, check_region
from lab.reward import Reward
from lab.scoring import Scorer
from lab.workers import Job, Verdict

BATCH_LINES = 256
BATCH_CHARACTERS = 8_000_000
LONGEST_LINE = 64_000_000  # bytes; a longer one is malformed
PATIENCE_SECONDS = 1_000_000  # a batch's budget: no rank waits for it, and each response has its own deadline


class Answer(NamedTuple):
    """One saved answer: the response, its row, and what goes along with it to the output."""

    response: Response
    row: Mapping[str, Any]
    kept: Mapping[str, Any]
    size: int = 0  # of the line that it came from


@dataclass
class Tally:
    """What became of a stream. scored + unscorable + malformed = the lines that were not blank."""

    scored: int = 0
    unscorable: int = 0
    malformed: int = 0
    total: float = 0.0
    unread_boxes: int = 0  # answers in a box or tag that earned the least while the region was "everything"

    @property
    def mean(self) -> float | None:
        return self.total / self.scored if self.scored else None

    def __str__(self) -> str:
        mean = "none" if self.mean is None else f"{self.mean:.4g}"
        text = f"{self.scored} scored (mean {mean}), {self.unscorable} unscorable, {self.malformed} malformed lines"
        if self.unread_boxes == self.scored > 0:
            text += "; all answers stand in a \\boxed{…} or a tag: did you mean --answer boxed or --answer '<answer>'?"
        return text


def rescore_stream(
    lines: Iterable[str | bytes],
    reward: Reward,
    out: TextIO,
    *,
    region: str = "everything",
    scorer: Scorer | None = None,
    complain: Callable[[str], None] | None = None,
) -> Tally:
    """Scores each line `{"response": "…", …row fields…}` and writes it to `out` with score, reason and seconds added.

    A line may also say "finished": false (truncated: no answer) and "prefilled". score is null where the reward could
    not score, with the reason. A malformed line is told to `complain`, by its number, and counted; the rest goes on.
    Memory is bounded by one batch. `region` says where the answer stands in a response.
    """
    checked_region(region)
    tally = Tally()

    def answers() -> Iterator[Answer]:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield parsed(line, reward, region)
            except ValueError as error:
                tally.malformed += 1
                if complain:
                    complain(f"line {number}: {error}")

    with patient(scorer) as service:
        for answer, verdict in scored(answers(), reward, service):
            _count(tally, answer, verdict, reward)
            fields = {
                "score": verdict.score.value,
                "reason": verdict.score.reason,
                "seconds": round(verdict.seconds, 6),
            }
            out.write(json.dumps({**answer.kept, **fields}) + "\n")
    return tally


def checked_region(region: str) -> str:
    """The region as it is; UserError where there is no such region."""
    try:
        check_region(region)
    except ValueError as error:
        raise UserError(str(error)) from None
    return region


def lines_of(file) -> Iterator[bytes]:
    """The lines of a binary file; one that is too long comes cut, and so malformed, and is never held whole."""
    while line := file.readline(LONGEST_LINE):
        yield line
        while len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE)


def parsed(line: str | bytes, reward: Reward, region: str) -> Answer:
    """One line as an Answer; ValueError says what is wrong with it."""
    if len(line) >= LONGEST_LINE:
        raise ValueError(f"longer than {LONGEST_LINE} bytes")
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON ({error})") from None
    if not isinstance(fields, dict):
        raise ValueError(f"a JSON {type(fields).__name__}, expected an object with the field 'response'")
    row = {key: value for key, value in fields.items() if key not in ("response", "finished", "prefilled")}
    if not isinstance(fields.get("response"), str):
        raise ValueError("no field 'response' with a text")
    for wanted in reward.reads:
        if wanted not in row:
            raise ValueError(f"no field {wanted!r}, which {reward.recipe!r} reads")
    finished, prefilled = fields.get("finished", True), fields.get("prefilled", "")
    if not isinstance(finished, bool) or not isinstance(prefilled, str):
        raise ValueError("'finished' is true or false, and 'prefilled' a text")
    response = Response(fields["response"], finished=finished, region=region, prefilled=prefilled)
    return Answer(response, row, fields, len(line))


def scored(answers: Iterable[Answer], reward: Reward, scorer: Scorer) -> Iterator[tuple[Answer, Verdict]]:
    """The answers with their verdicts, in order, a batch at a time."""
    for batch in batches(answers):
        jobs = [Job(reward, answer.response, answer.row) for answer in batch]
        yield from zip(batch, scorer.verdicts(jobs), strict=True)


def batches(answers: Iterable[Answer]) -> Iterator[list[Answer]]:
    batch, size = [], 0
    for answer in answers:
        batch.append(answer)
        size += answer.size or len(answer.response.text)
        if len(batch) == BATCH_LINES or size > BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _count(tally: Tally, answer: Answer, verdict: Verdict, reward: Reward) -> None:
    value, text = verdict.score.value, answer.response.text
    tally.scored += value is not None
    tally.unscorable += value is None
    tally.total += value or 0.0
    boxed = answer.response.region == "everything" and ("\\boxed{" in text or "</answer>" in text)
    tally.unread_boxes += boxed and value == reward.range[0]


def patient(scorer: Scorer | None) -> contextlib.AbstractContextManager[Scorer]:
    """The scorer given, which stays open, or a new one whose batches take the time they need."""
    return contextlib.nullcontext(scorer) if scorer else Scorer({}, budget=PATIENCE_SECONDS)
