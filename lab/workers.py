"""workers: a pool of child processes that run rewards, each killed the moment its response is over its deadline.

Threads cannot do this: nothing stops a thread that computes 9^9^8 with the interpreter's lock held. Nor does a pool
with a deadline a chunk: it knows not which response hung. Here a child writes one line a verdict, so that the parent
blames the response in hand, and the rest of the chunk goes to another worker. The children run no line of the
caller's script.
"""

import contextlib
import os
import pickle
import selectors
import signal
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from lab.errors import ContractError, UserError
from lab.registry import loaded_files
from lab.response import Response
from lab.reward import Reward, Row, Score
from lab.worker import START_SECONDS, Worker

STARTS = 3  # workers of one batch that may be lost while starting
ASYNC_SECONDS = 30  # the deadline of one call of an async reward that declares none
ASYNC_GRACE_SECONDS = 5  # beyond its own deadlines, for the async worker to say that they passed
LARGEST_CHUNK = 64


class Job(NamedTuple):
    """One call of a reward."""

    reward: Reward
    response: Response
    row: Row

    def visible(self) -> Response:
        """What the reward may see of the response, without anything worked out before."""
        sees = self.reward.recipe.sees
        if callable(sees):
            return sees(self.response)
        return self.response.answer_only() if sees == "answer" else replace(self.response)


class Verdict(NamedTuple):
    """A reward's score, the seconds its call took, and what ended it where that was not the reward's own verdict."""

    score: Score
    seconds: float = 0.0
    fault: str = ""  # "exception", "deadline", "died", "budget"; "contract" where the caller collects those


class Pool:
    """Up to `count` workers for ordinary rewards and one for async rewards, started when needed and then kept."""

    def __init__(self, count: int, environment: Mapping[str, str] | None = None):
        self.count, self.environment = count, dict(environment or {})
        self.owner, self.workers, self.selector = os.getpid(), [], selectors.DefaultSelector()

    def run(self, jobs: Sequence[Job], seconds: float, budget: float, lenient: bool = False) -> list[Verdict]:
        """Every job's verdict, in order. seconds: the deadline of one call; budget: of all of them together.

        A value outside its reward's contract raises ContractError; `lenient` makes it an unscorable verdict.
        """
        batch = self.batch(seconds)
        batch.add(jobs)
        return batch.finish(budget, lenient)

    def batch(self, seconds: float) -> "Batch":
        """An empty batch; a pool works on one at a time."""
        if os.getpid() != self.owner:  # a forked child must not talk to its parent's workers
            self.__init__(self.count, self.environment)
        return Batch(self, seconds)

    def busy(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.jobs or not worker.ready]

    @contextlib.contextmanager
    def cleared_on_error(self) -> Iterator[None]:
        """No worker is left with jobs that nobody waits for."""
        try:
            yield
        except BaseException:
            for worker in self.busy():
                self.discard(worker)
            raise

    def start(self, concurrent: bool) -> Worker:
        worker = Worker.start(concurrent, self.environment)
        self.workers.append(worker)
        self.selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        return worker

    def discard(self, worker: Worker) -> int:
        self.selector.unregister(worker.process.stdout)
        self.workers.remove(worker)
        return worker.kill()

    def close(self) -> None:
        if os.getpid() == self.owner:
            for worker in list(self.workers):
                self.discard(worker)


class Batch:
    """Jobs on their way through the pool. Some may begin before all are known: `add`, `advance`, and at last `finish`.

    What begins early may share its processors with others' work, so that it gives verdicts, but no blame: a job that
    was over its deadline, or whose worker was lost, waits for `finish` and is tried there like one that never began.
    Async jobs wait for it, too: their worker takes them all at once.
    """

    def __init__(self, pool: Pool, seconds: float):
        self.pool, self.seconds, self.lenient, self.until = pool, seconds, False, float("inf")
        self.jobs: list[Job] = []
        self.identities: list[str] = []
        self.results: dict[int, Verdict] = {}
        self.finishing, self.stillborn = False, 0
        self.early: set[int] = set()  # jobs that were given to a worker before `finish`
        self.waiting: list[int] = []  # jobs for `finish`
        self.queues = {False: deque(), True: deque()}  # indices of ordinary jobs, and of async ones

    def add(self, jobs: Sequence[Job]) -> list[int]:
        """Returns the jobs' places in what `finish` returns."""
        places = range(len(self.jobs), len(self.jobs) + len(jobs))
        self.jobs += jobs
        self.identities += [job.reward.identity for job in jobs]
        for place, job in zip(places, jobs, strict=True):
            (self.waiting if job.reward.is_async else self.queues[False]).append(place)
        return list(places)

    def advance(self) -> None:
        """Gives idle workers what they can do, and takes what they have done; waits for nothing."""
        with self.pool.cleared_on_error():
            self._step(0.0)

    def finish(self, budget: float, lenient: bool = False) -> list[Verdict]:
        """Every job's verdict, `budget` seconds from now at the latest; see Pool.run."""
        self.finishing, self.lenient, self.until = True, lenient, time.monotonic() + budget
        with self.pool.cleared_on_error():
            while len(self.results) < len(self.jobs):
                for index in self.waiting:
                    self.queues[self.jobs[index].reward.is_async].append(index)
                self.waiting = []
                self._step(float("inf"))
        return [self.results[index] for index in range(len(self.jobs))]

    def _step(self, patience: float) -> None:
        self._feed()
        busy = self.pool.busy()
        soonest = min([self.until, *(worker.since + worker.limit for worker in busy)])
        for key, _ in self.pool.selector.select(max(0.0, min(patience, soonest - time.monotonic()))):
            self._receive(key.data)
        now = time.monotonic()
        if now >= self.until:
            self._give_up()
        for worker in busy:
            if worker in self.pool.workers and now >= worker.since + worker.limit:
                self._expire(worker)

    def _record(self, index: int, verdict: Verdict) -> None:
        if verdict.fault and index in self.early:
            self.early.remove(index)
            self.waiting.append(index)
        elif verdict.fault == "contract" and not self.lenient:
            raise ContractError(verdict.score.reason)
        else:
            self.results[index] = verdict

    # ---- to the workers

    def _feed(self) -> None:
        for concurrent, queue in self.queues.items():
            team = [worker for worker in self.pool.workers if worker.concurrent is concurrent]
            for worker in team:
                if queue and worker.ready and not worker.jobs:
                    self._give(worker, queue)
            team = [worker for worker in team if worker in self.pool.workers]  # those that died idle are gone
            starting = sum(not worker.ready and not worker.jobs for worker in team)
            size = 1 if concurrent else self.pool.count
            for _ in range(min(len(queue) - starting, size - len(team))):
                self.pool.start(concurrent)

    def _give(self, worker: Worker, queue: deque[int]) -> None:
        # Large chunks first, single jobs last: few messages, and no worker idle at the end.
        share = len(queue) if worker.concurrent else max(1, min(LARGEST_CHUNK, len(queue) // (2 * self.pool.count)))
        chunk = [queue.popleft() for _ in range(share)]
        new = {self.identities[i]: self.jobs[i].reward for i in chunk if self.identities[i] not in worker.loaded}
        request = {
            "files": loaded_files() if new else [],
            "rewards": {identity: _pickled(reward) for identity, reward in new.items()},
            "jobs": _pickled([(i, self.identities[i], self.jobs[i].visible(), dict(self.jobs[i].row)) for i in chunk]),
            "seconds": ASYNC_SECONDS,
        }
        worker.jobs.extend(chunk)
        (self.early.difference_update if self.finishing else self.early.update)(chunk)
        worker.loaded |= new.keys()
        worker.ready, worker.since, worker.limit = False, time.monotonic(), START_SECONDS
        try:
            worker.send(request)
        except OSError:  # it died idle, with nothing of this in hand
            queue.extendleft(reversed(chunk))
            self.pool.discard(worker)

    # ---- from the workers

    def _receive(self, worker: Worker) -> None:
        try:
            messages = worker.lines()
        except EOFError:
            self._bury(worker)
            return
        for kind, *content in messages:
            if kind == "failed":
                raise UserError(f"a scoring worker cannot load the rewards: {content[0]}")
            if kind == "scored" and content[0] in worker.jobs:
                index, value, reason, seconds, fault = content
                worker.jobs.remove(index)
                self._record(index, Verdict(Score(value, reason), seconds, fault))
            elif kind in ("ready", "loaded"):
                worker.ready = True
            else:
                self._bury(worker, "it wrote what is no verdict")
                return
            worker.since = time.monotonic()
            worker.limit = self._limit(worker) if worker.jobs else START_SECONDS

    def _limit(self, worker: Worker) -> float:
        """How long this worker may now stay silent."""
        if not worker.concurrent:
            return longest_call(self.jobs[worker.jobs[0]].reward, self.seconds)
        rewards = {self.jobs[index].reward.recipe: self.jobs[index].reward for index in worker.jobs}
        return max(longest_call(reward, self.seconds) for reward in rewards.values())

    def _expire(self, worker: Worker) -> None:
        if not worker.ready:
            raise UserError(
                f"a scoring worker did not start, or import the rewards' modules, in {worker.limit:g} s: "
                "run `python -c 'import lab'`, and try the reward by itself"
            )
        self._blame(worker, "deadline", f"over {worker.limit:g} s")
        self.pool.discard(worker)

    def _bury(self, worker: Worker, how: str = "") -> None:
        code = self.pool.discard(worker)
        how = how or (f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}")
        if not worker.ready:  # nothing is in hand yet: another worker may have better luck
            self.stillborn += 1
            if self.stillborn == STARTS:
                raise UserError(
                    f"{STARTS} scoring workers ended while starting ({how}): mend the error that stands above"
                )
            self.queues[worker.concurrent].extendleft(reversed(worker.jobs))
        elif worker.jobs:
            self._blame(worker, "died", f"the worker was lost ({how})")

    def _blame(self, worker: Worker, fault: str, detail: str) -> None:
        """The response in hand is unscorable; an async worker had all of its own in hand. The others wait again."""
        guilty = len(worker.jobs) if worker.concurrent else 1
        for _ in range(guilty):
            spent = time.monotonic() - worker.since
            self._record(worker.jobs.popleft(), Verdict(Score(None, f"{fault}: {detail}"), spent, fault))
        self.queues[worker.concurrent].extendleft(reversed(worker.jobs))

    def _give_up(self) -> None:
        for worker in self.pool.busy():
            self.pool.discard(worker)
        late = Verdict(Score(None, "budget: the batch's time was over before this response's turn"), 0.0, "budget")
        for index in range(len(self.jobs)):
            self.results.setdefault(index, late)


def longest_call(reward: Reward, seconds: float) -> float:
    """Seconds until one call is given up; `seconds` where an ordinary reward declares none."""
    recipe = reward.recipe
    if not reward.is_async:
        return recipe.seconds or seconds
    # The deadlines and pauses of every try, as the worker itself keeps them.
    return (recipe.retries + 1) * (recipe.seconds or ASYNC_SECONDS) + 2**recipe.retries + ASYNC_GRACE_SECONDS


def _pickled(thing) -> bytes:
    try:
        return pickle.dumps(thing)
    except Exception as error:
        what = f"reward {thing.recipe!r}" if isinstance(thing, Reward) else "a row"
        raise ContractError(
            f"{what} cannot be sent to a scoring worker ({error}): keep rows to plain data, and rewards' parameters too"
        ) from error
