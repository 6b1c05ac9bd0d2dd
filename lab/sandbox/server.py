"""The fork server: a small process of its own that forks one confined child for every program.

It is started as a script by `client.ForkServer` (`python server.py DESCRIPTOR`), so it imports its neighbours by their
bare names and never the trainer. Forking it costs a few milliseconds where a fresh interpreter costs thirty. It never
holds a program, an input or an output, only the descriptors that carry them: no child finds another's work in memory.

Requests come over a SOCK_SEQPACKET socket: the word "run" with five descriptors (stdin, stdout, stderr, request,
answers). The reply says how the run ended. Any word during a run ends that run; the socket's end ends everything.
"""

import contextlib
import fcntl
import gc
import json
import os
import resource
import select
import shutil
import signal
import socket
import sys
import tempfile
import time

import harness
import installation
import landlock
import limits
import scratch
import seccomp

TICK_S = 0.01
CHANNELS = 5


class Server:
    """Everything that is made once: the ruleset, the filter, the scratch folder, the measured baseline."""

    def __init__(self, control: socket.socket, start: dict):
        self.control = control
        self.confined = start["confined"]
        self.limits = limits.Limits(**start["limits"])
        limits.prctl(limits.CHILD_SUBREAPER, 1)  # an unsafe program's orphans come to us, not to init
        preloaded = installation.preload(start["preload"], start["path"])
        sys.path = [place for place in sys.path if os.path.basename(place) not in installation.SITE]
        self.scratch = tempfile.mkdtemp(prefix="lab-sandbox-") if self.limits.scratch else None
        tempfile.tempdir = None  # what it remembers is our folder; a program has its own
        self.landlock_abi, self.ruleset, self.filter = 0, None, b""
        if self.confined:
            self.landlock_abi = landlock.abi()
            grants = installation.readable(preloaded) | ({self.scratch: landlock.SCRATCH} if self.scratch else {})
            self.ruleset = landlock.make_ruleset(grants, self.landlock_abi)
            self.filter = seccomp.build()
        gc.collect()
        gc.freeze()  # children do not copy pages for a collection of what they never free
        self.baseline = limits.address_space()

    def confine(self, ruleset: int) -> None:
        """In the child: gives up everything but the four channels and the program's limits."""
        os.setsid()
        limits.prctl(limits.PARENT_DEATH_SIGNAL, signal.SIGKILL)
        with open("/proc/self/oom_score_adj", "w") as preference:
            preference.write("1000")  # where memory runs out, the program goes before the trainer
        if self.scratch:
            os.chdir(self.scratch)
            os.environ["HOME"] = os.environ["TMPDIR"] = self.scratch
        limits.apply(self.limits, self.baseline)
        limits.drop_privileges()
        if self.confined:
            landlock.restrict_self(ruleset)
            seccomp.install(self.filter)

    def child(self, channels: list[int], started: int) -> None:
        """Never returns. Tells the server, before the program can, that the confinement stands."""
        status = 1
        try:
            wanted = (*channels, started, self.ruleset if self.confined else started)
            # First out of the way, so that no copy lands on a descriptor which is still to be copied.
            high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10) for descriptor in wanted]
            for target, source in enumerate(high):
                os.dup2(source, target, inheritable=target < 3)
            _, _, _, request, answers, started, ruleset = range(len(high))
            os.closerange(len(high), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
            try:
                self.confine(ruleset)
            except BaseException as failure:
                os.write(started, f"{type(failure).__name__}: {failure}".encode()[:500])
                return
            os.write(started, b"+")
            os.close(ruleset)
            os.close(started)
            status = harness.serve(request, answers)
        finally:
            os._exit(status & 0xFF)

    def watch(self, child: int) -> str:
        """Waits for the child's end or for the first limit that it passes; returns that limit's name, or ""."""
        deadline = time.monotonic() + self.limits.wall_s
        ended = os.pidfd_open(child)
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        poll.register(self.control, select.POLLIN)
        try:
            while True:
                ready = {descriptor for descriptor, _ in poll.poll(TICK_S * 1000)}
                if ended in ready:
                    return ""
                if ready:
                    return self.control.recv(100).decode() or "abandoned"
                if time.monotonic() > deadline:
                    return "timeout"
                if len(os.listdir(f"/proc/{child}/task")) > self.limits.threads:
                    return "threads"
                if self.scratch and scratch.too_full(self.scratch, self.limits):
                    return "disk"
        finally:
            os.close(ended)

    def end(self, child: int) -> tuple[int, resource.struct_rusage]:
        """Kills the whole group while the unreaped child still holds its number, then reaps whatever is left."""
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError):
                kill(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
        self.sweep()
        if self.scratch:
            scratch.empty(self.scratch)
        return status, usage

    def sweep(self) -> None:
        """Ends and reaps what an unconfined program left behind; a confined one cannot have started anything."""
        while True:
            try:
                ended, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not ended:
                with open(f"/proc/self/task/{os.getpid()}/children") as children:
                    for survivor in children.read().split():
                        os.kill(int(survivor), signal.SIGKILL)

    def run(self, channels: list[int]) -> dict:
        """One program, from the fork to the last byte of it gone."""
        started, tell = os.pipe()
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            self.child(channels, tell)
        for descriptor in (tell, *channels):
            os.close(descriptor)
        passed = self.watch(child)
        status, usage = self.end(child)
        wall_s = time.monotonic() - began
        word = os.read(started, 500)
        os.close(started)
        return {
            "started": word == b"+",
            "trouble": "" if word == b"+" else word.decode() or passed or f"ended with {status} before it was confined",
            "passed": passed,
            "exit": os.waitstatus_to_exitcode(status),
            "wall_s": wall_s,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "peak_mb": usage.ru_maxrss / 1024,
        }

    def serve(self) -> None:
        while True:
            message, channels, _, _ = socket.recv_fds(self.control, 1 << 16, CHANNELS + 1)
            if not message:
                return
            if not channels:  # the word that should have ended a run which had just ended by itself
                continue
            outcome = self.run(channels)
            self.control.send(json.dumps(outcome).encode())
            if outcome["passed"] == "abandoned":
                return


def main(descriptor: int) -> None:
    control = socket.socket(fileno=descriptor)
    start = json.loads(control.recv(1 << 20))
    sys.path.pop(0)  # a program has no business importing this folder
    try:
        server = Server(control, start)
    except Exception as failure:
        control.send(json.dumps({"refused": f"{type(failure).__name__}: {failure}"}).encode())
        raise
    try:
        control.send(json.dumps({"landlock_abi": server.landlock_abi}).encode())
        server.serve()
    finally:
        if server.scratch:
            scratch.empty(server.scratch)
            shutil.rmtree(server.scratch)


if __name__ == "__main__":
    main(int(sys.argv[1]))
