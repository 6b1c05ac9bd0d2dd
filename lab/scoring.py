"""scoring: every reward of every stage runs here, in killable workers, with deadlines, a cache and counts."""

import hashlib
import json
import os
import pickle
import statistics
import threading
import time
import weakref
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import ContractError, UserError, nearest
from lab.response import Response
from lab.reward import Row, Score
from lab.task import Graded, Task
from lab.workers import Batch, Job, Pool, Verdict, longest_call

CACHED_SCORES = 200_000
TIMED = 10_000  # calls of which the seconds are kept between two readings of the metrics
SAMPLES = 20  # unscorable responses kept to be looked at
SHOWN = 3  # of them in the error that stops a run
WORTH_BEGINNING = 0.05  # seconds that a batch takes to score, below which there is nothing to gain by beginning early
BUDGET_SECONDS = 60
WINDOW = 64  # responses over which the unscorable share is taken, where a step has fewer
MOST_WORKERS = 16


class Scorer:
    """Grades responses against their rows' tasks, in worker processes that are started once and kept.

    tasks             name → Task; each row says by row["task"] which it belongs to
    workers           processes; by default the processor cores of this rank, at most 16
    seconds           the deadline of one call of a reward that declares none of its own
    budget            seconds for one `grade`; what is not scored by then is unscorable; by default 60, or twice the
                      longest call of a reward, its retries included, so that one that had to wait has its whole time
    unscorable_share  above this share of a step (or of the last 64 responses, where a step has fewer) `grade` raises
    cached            scores remembered across calls; 0 also scores equal responses of one batch separately
    environment       variables set for the workers
    """

    def __init__(
        self,
        tasks: Mapping[str, Task],
        *,
        workers: int | None = None,
        seconds: float = 2.5,
        budget: float | None = None,
        unscorable_share: float = 0.05,
        cached: int = CACHED_SCORES,
        environment: Mapping[str, str] | None = None,
    ):
        self.tasks, self.seconds = dict(tasks), seconds
        rewards = [reward for task in self.tasks.values() for reward in task.rewards.values()]
        self.budget = budget or max([BUDGET_SECONDS, *(2 * longest_call(reward, seconds) for reward in rewards)])
        self.unscorable_share, self.cached = unscorable_share, cached
        self.unscorable_samples: list[dict] = []
        self.samples_file: Path | None = None  # gets them, one JSON object a line, when they stop a run
        self._cache: OrderedDict[bytes, Score] = OrderedDict()
        self._recent: list[bool] = []  # of the last responses, whether they were unscorable
        self._lock = threading.RLock()
        self.workers = workers or default_workers()
        self.environment = dict(environment or {})
        self._pool = Pool(self.workers, self.environment)
        self._begun: tuple[Batch, dict[bytes, int]] | None = None  # jobs on their way early, and their places
        self.early = False  # whether it is worth while to `begin`: the last batch took its time
        self._finish = weakref.finalize(self, self._pool.close)  # also runs when the interpreter ends
        self._clear()

    def __enter__(self) -> "Scorer":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Ends the workers; a later call starts new ones."""
        with self._lock:
            self._begun = None
            self._pool.close()

    def begin(self, responses: Sequence[Response], rows: Sequence[Row]) -> None:
        """Lets idle workers score what the next `grade` will ask for, and waits for nothing; call it now and then.

        It changes no verdict: what goes wrong here is tried again by `grade`, with its whole deadline.
        """
        with self._lock:
            batch, places = self._begun = self._begun or (self._pool.batch(self.seconds), {})
            jobs = [
                Job(reward, response, row)
                for response, row in zip(responses, rows, strict=True)
                for reward in self._task(row).rewards.values()
            ]
            keyed = {key: job for key, job in zip(_keys(jobs), jobs, strict=True) if key not in self._cache}
            new = {key: job for key, job in keyed.items() if key not in places}
            places.update(zip(new, batch.add(list(new.values())), strict=True))
            batch.advance()

    def grade(self, responses: Sequence[Response], rows: Sequence[Row], keep_going: bool = False) -> list[Graded]:
        """Each response's scores under its row's task, in order: both sequences have one length N.

        A reward that raises, hangs or takes its process down gives Score(None, reason), is counted and its sample kept.
        Raises ContractError for a value outside a reward's contract or a row without a field it reads, and UserError
        when too large a share is unscorable; where `keep_going` is set, they do not count in it.
        """
        if len(responses) != len(rows):
            raise ValueError(f"got {len(responses)} responses and {len(rows)} rows: give one row a response")
        tasks = [self._task(row) for row in rows]
        labels = [(index, name) for index, task in enumerate(tasks) for name in task.rewards]
        jobs = [Job(tasks[index].rewards[name], responses[index], rows[index]) for index, name in labels]
        verdicts = self.verdicts(jobs, [name for _, name in labels])
        scores: list[dict[str, Score]] = [{} for _ in rows]
        for (index, name), verdict in zip(labels, verdicts, strict=True):
            scores[index][name] = verdict.score
        graded = [task.graded(components) for task, components in zip(tasks, scores, strict=True)]
        if not keep_going:
            with self._lock:
                self._watch_share(graded)
        return graded

    def verdicts(self, jobs: Sequence[Job], names: Sequence[str] | None = None, lenient: bool = False) -> list[Verdict]:
        """Scores with their seconds (0 where remembered), one a job; `names` are the rewards' names in the metrics.

        `lenient` makes a value outside its reward's contract an unscorable verdict instead of raising.
        """
        names = names or [job.reward.recipe.__name__ for job in jobs]
        for job, name in zip(jobs, names, strict=True):
            _check_job(job, name)
        with self._lock:
            started = time.monotonic()
            verdicts = self._deduplicated(jobs, lenient) if self.cached else self._run(jobs, lenient)
            self._seconds += time.monotonic() - started
            self._count(jobs, names, verdicts)
        return verdicts

    def metrics(self) -> dict[str, float]:
        """What happened since the last call: unscorable counts by reward and reason, seconds, the cached share."""
        with self._lock:
            took = sorted(self._took) or [0.0]
            metrics = {f"reward_errors/{name}/{reason}": float(n) for (name, reason), n in self._errors.items()}
            metrics |= {
                "scoring/seconds": self._seconds,
                "scoring/seconds_p50": statistics.median(took),
                "scoring/seconds_p99": took[min(len(took) - 1, int(0.99 * len(took)))],
                "scoring/cached": 1 - self._ran / self._asked if self._asked else 0.0,
                "scoring/refused": float(sum(n for (_, why), n in self._errors.items() if why == "refused")),
            }
            self._clear()
        return metrics

    # ---- one batch

    def _task(self, row: Row) -> Task:
        name = row.get("task")
        if name not in self.tasks:
            hint = nearest(str(name), self.tasks, f"the scorer's tasks are {', '.join(self.tasks)}")
            raise ContractError(f"a row belongs to the task {name!r}, which the scorer does not have: {hint}")
        return self.tasks[name]

    def _deduplicated(self, jobs: Sequence[Job], lenient: bool) -> list[Verdict]:
        keys = _keys(jobs)
        known = {key: self._remembered(key) for key in keys}
        new = {key: job for key, job in zip(keys, jobs, strict=True) if known[key] is None}
        ran = dict(zip(new, self._run(list(new.values()), lenient, list(new)), strict=True))
        for key, verdict in ran.items():
            if not verdict.fault:  # what the machine broke is tried again the next time
                self._cache[key] = verdict.score
        while len(self._cache) > self.cached:
            self._cache.popitem(last=False)
        verdicts = [ran[key] if key in ran else Verdict(known[key]) for key in keys]
        return verdicts

    def _run(self, jobs: Sequence[Job], lenient: bool, keys: Sequence[bytes] = ()) -> list[Verdict]:
        """Every job's verdict; `keys` are the jobs' own, by which those that have begun are known."""
        (batch, begun), self._begun = self._begun or (self._pool.batch(self.seconds), {}), None
        places = [begun.get(key) for key in keys] or [None] * len(jobs)
        added = iter(batch.add([job for job, place in zip(jobs, places, strict=True) if place is None]))
        found = batch.finish(self.budget, lenient)
        verdicts = [found[next(added) if place is None else place] for place in places]
        self._ran += len(jobs)
        took = [verdict.seconds for verdict in verdicts]
        self._took.extend(took)
        self.early = bool(self.cached) and sum(took) > WORTH_BEGINNING * self.workers
        return verdicts

    def _remembered(self, key: bytes) -> Score | None:
        score = self._cache.get(key)
        if score is not None:
            self._cache.move_to_end(key)
        return score

    # ---- what went wrong

    def _clear(self) -> None:
        self._errors: Counter[tuple[str, str]] = Counter()
        self._took: deque[float] = deque(maxlen=TIMED)
        self._asked, self._ran, self._seconds = 0, 0, 0.0

    def _count(self, jobs, names, verdicts) -> None:
        self._asked += len(jobs)
        for job, name, (score, _, fault) in zip(jobs, names, verdicts, strict=True):
            if score.value is None:
                self._errors[name, fault or "refused"] += 1
                self._keep(job, name, score)

    def _keep(self, job: Job, name: str, score: Score) -> None:
        sample = {"task": job.row.get("task", ""), "reward": name, "reason": score.reason}
        sample |= {"response": job.response.text[:2000], "row": dict(job.row)}
        if sample not in self.unscorable_samples:
            self.unscorable_samples = [*self.unscorable_samples, sample][-SAMPLES:]

    def _watch_share(self, graded: Sequence[Graded]) -> None:
        # One lost worker among the eight responses of a small step is no reason to stop: the share is taken over at
        # least WINDOW responses, those before this step filling up, and counted as scored where there were none.
        lost = [one.total is None or one.primary is None for one in graded]
        window = max(WINDOW, len(lost))
        self._recent = (self._recent + lost)[-window:]
        bad = sum(self._recent)
        if any(lost) and bad > self.unscorable_share * window:
            shown = "".join(f"\n  {_shown(sample)}" for sample in self.unscorable_samples[-SHOWN:])
            if self.samples_file:
                lines = [json.dumps(sample, default=str) + "\n" for sample in self.unscorable_samples]
                with self.samples_file.open("a") as file:  # of whichever rank it is
                    file.write("".join(lines))
                shown += f"\n  and others in {self.samples_file}"
            raise UserError(
                f"{bad} of the last {len(self._recent)} responses are unscorable, allowed is "
                f"{self.unscorable_share:.0%} of at least {WINDOW}: mend the reward or the machine, or raise "
                f"unscorable_share; the last ones:{shown}"
            )


def check_budget(budget_seconds: float, process_group_timeout_seconds: float) -> None:
    """Raises UserError where one rank's scoring could outlast the time that the other ranks wait for it."""
    if budget_seconds >= process_group_timeout_seconds:
        raise UserError(
            f"scoring may take {budget_seconds:g} s a step, but the process group waits only "
            f"{process_group_timeout_seconds:g} s for a rank: lower the scoring budget or raise ddp_timeout"
        )


def default_workers() -> int:
    """The cores that this rank may use, at least 1 and at most 16."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MOST_WORKERS, cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1))))


def _check_job(job: Job, name: str) -> None:
    if job.reward.recipe.__module__ == "__main__":
        raise ContractError(
            f"reward {name!r} stands in the script that is running, where worker processes cannot find it: "
            "put it into a file of its own and import it"
        )
    for wanted in job.reward.reads:
        if wanted not in job.row:
            hint = nearest(wanted, job.row, f"add {wanted!r} to each row")
            raise ContractError(
                f"reward {name!r} reads the row field {wanted!r}, but a row of task {job.row.get('task', '(none)')} "
                f"has {', '.join(job.row)}: {hint}"
            )


def _key(job: Job, row: bytes) -> bytes:
    sees, response = job.reward.recipe.sees, job.response
    if callable(sees):
        response = sees(response)
    if sees == "answer":
        seen = (response.finished, response.region, response.answers)
    else:
        seen = (response.text, response.finished, response.region, response.prefilled, response.token_ids)
    digest = hashlib.blake2b(f"{job.reward.identity}\0{seen!r}\0".encode(errors="surrogatepass"), digest_size=16)
    digest.update(row)
    return digest.digest()


def _keys(jobs: Sequence[Job]) -> list[bytes]:
    rows: dict[int, bytes] = {}  # a group's responses share their row object: it is read once
    for job in jobs:
        if id(job.row) not in rows:
            rows[id(job.row)] = _content(job.row)
    return [_key(job, rows[id(job.row)]) for job in jobs]


def _content(row: Row) -> bytes:
    """The whole row as bytes: a reward may read more of it than it declares."""
    try:
        return json.dumps(row, sort_keys=True).encode()
    except (TypeError, ValueError):
        return _pickled_row(row)


def _pickled_row(row: Row) -> bytes:
    try:
        return pickle.dumps(dict(row))
    except Exception as error:
        raise ContractError(
            f"a row of task {row.get('task', '(none)')} cannot be sent to a scoring worker ({error}): "
            "keep rows to plain data"
        ) from error


def _shown(sample: Mapping) -> str:
    text = sample["response"]
    text = text if len(text) <= 120 else f"{text[:60]} … {text[-60:]}"
    return f"reward {sample['reward']}: {sample['reason']}; response {text!r} to the row {sample['row']!r:.160}"
