"""scoring_worker: the child process that runs rewards; its parent watches it and kills it when it hangs.

It reads pickled requests from standard input and writes one JSON line a verdict. A line is written before the next
call starts, so that the parent always knows which response is being scored.
"""

import asyncio
import fcntl
import importlib
import json
import os
import pickle
import resource
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from lab.errors import ContractError, UserError
from lab.registry import load_file
from lab.reward import Score

BACKOFF_SECONDS = 0.5  # before the first retry of an async reward, doubled each time
REASON_CHARACTERS = 300
MOST_THREADS = 256  # they start as they are needed


def serve(lifeline: int, memory_bytes: int) -> None:
    """Answers requests until the parent closes the pipe. `lifeline` is a pipe whose other end the parent holds."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.dup(1)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # a reward may print
    # A cluster sends SIGTERM to every process of a job: the trainer finishes its step first, and needs its scores.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # The kernel ends this process when the parent dies, even in the middle of a call that holds the GIL for hours.
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    worker = _Worker(answers)
    worker.say("ready")
    while True:
        try:
            request = pickle.load(requests)
        except EOFError:
            return
        worker.answer(request)


class _Worker:
    def __init__(self, answers: int):
        self.answers = answers
        self.rewards = {}
        self.loop = asyncio.new_event_loop()  # one for all requests: a judge's client may keep its connections
        # asyncio's own pool has the cores' number and four, fewer than a judge's requests at once: some would wait for
        # a thread while their deadline runs.
        self.loop.set_default_executor(ThreadPoolExecutor(MOST_THREADS))

    def say(self, *message) -> None:
        os.write(self.answers, (json.dumps(message) + "\n").encode())

    def answer(self, request: dict) -> None:
        try:
            for path in request["files"]:
                load_file(path)
            for identity, pickled in request["rewards"].items():
                reward = pickle.loads(pickled)
                for name in reward.recipe.imports:
                    importlib.import_module(name)
                self.rewards[identity] = reward
            jobs = pickle.loads(request["jobs"])
        except Exception as error:
            self.say("failed", describe(error))
            return
        self.say("loaded")
        if any(self.rewards[identity].is_async for _, identity, *_ in jobs):
            self.loop.run_until_complete(self._gather(jobs, request["seconds"]))
        else:
            for index, identity, response, row in jobs:
                self._score(index, self.rewards[identity], response, row)

    def _score(self, index, reward, response, row) -> None:
        started = time.perf_counter()
        try:
            score, fault = checked(reward, reward.score(response, row), row), ""
        except UserError as error:
            score, fault = Score(None, str(error)), "contract"
        except BaseException as error:  # a reward's timeout may well be a BaseException, and sys.exit() must not pass
            score, fault = Score(None, f"exception: {describe(error)}"), "exception"
        self._verdict(index, score, started, fault)

    def _verdict(self, index, score, started, fault) -> None:
        seconds = time.perf_counter() - started
        reason = str(score.reason)[: None if fault == "contract" else REASON_CHARACTERS]
        self.say("scored", index, score.value, reason, seconds, fault)

    async def _gather(self, jobs, seconds: float) -> None:
        gates = {identity: asyncio.Semaphore(self.rewards[identity].recipe.concurrency) for _, identity, *_ in jobs}

        async def one(index, identity, response, row):
            async with gates[identity]:
                started = time.perf_counter()
                score, fault = await self._persist(self.rewards[identity], response, row, seconds)
                self._verdict(index, score, started, fault)

        await asyncio.gather(*(one(*job) for job in jobs))

    async def _persist(self, reward, response, row, seconds: float) -> tuple[Score, str]:
        limit = reward.recipe.seconds or seconds
        for attempt in range(reward.recipe.retries + 1):
            if attempt:
                await asyncio.sleep(BACKOFF_SECONDS * 2 ** (attempt - 1))
            try:
                return checked(reward, await asyncio.wait_for(reward.score(response, row), limit), row), ""
            except UserError as error:
                return Score(None, str(error)), "contract"
            except TimeoutError:
                failed = Score(None, f"deadline: over {limit:g} s"), "deadline"
            except BaseException as error:
                failed = Score(None, f"exception: {describe(error)}"), "exception"
        return failed


def checked(reward, verdict, row) -> Score:
    """The verdict as a Score; a value that breaks the reward's contract raises ContractError with task and row."""
    try:
        return reward.checked(verdict)
    except ContractError:  # once more, with what takes longer to say than many a verdict to find
        shown = {key: value for key, value in row.items() if key != "task"}
        return reward.checked(verdict, f" for the row {shown!r:.200} of task {row.get('task', '(none)')}")


def describe(error: BaseException) -> str:
    """`ValueError: text`, cut short, whatever the error's own __str__ does."""
    try:
        text = str(error)
    except Exception:
        text = "(its message cannot be shown)"
    return f"{type(error).__name__}: {text}"[:REASON_CHARACTERS] if text else type(error).__name__
