"""Runs the attacks in a sandbox and tells which of them did harm. Standard library and `lab.sandbox` only, so that an
unprivileged user can run it from a copy: `python -m attacks.drive`.
"""

import contextlib
import dataclasses
import json
import os
import platform
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from attacks import PRELUDE, files, kernel, network, processes, resources
from lab.sandbox import ForkServer, Inputs, Limits, SandboxError, seccomp

LIMITS = Limits(wall_s=5.0, cpu_s=3.0, memory_mb=256)
BOMB_LIMITS = Limits(wall_s=0.7, cpu_s=2.0, memory_mb=256)
PRELOAD = ("bystander", "asyncio", "ctypes", "mmap", "resource", "subprocess")  # imported once, not for every attack
DEEDS = {**files.DEEDS, **processes.DEEDS, **network.DEEDS}


def numbers(names: Iterable[str]) -> dict[str, int]:
    """name → number on this machine, of those calls that exist here."""
    table = {**seccomp.DENIED, **seccomp.ABSENT, **{name: both for name, both, *_ in seccomp.RULES}}
    column = seccomp.COLUMN[platform.machine()]
    return {name: table[name][column] for name in names if table[name][column] is not None}


class World:
    """Everything an attack may aim at, all of it ours, and the means to see whether it was hit."""

    def __enter__(self) -> "World":
        with contextlib.ExitStack() as self.stack:
            self._build()
            self.stack = self.stack.pop_all()  # all is well: closed in __exit__ instead
        return self

    def _build(self) -> None:
        self.base = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="lab-world-")))
        self.folder, packages = self.base / "folder", self.base / "site-packages"
        for made in (self.folder, packages, self.folder / "empty"):
            made.mkdir()
        self.canary, self.bystander = self.folder / "canary", packages / "bystander.py"
        self.canary.write_text("SECRET")
        (self.folder / "secret_module.py").write_text("SECRET = 1\n")
        with open("/proc/self/maps") as maps:
            library = next(line.split()[-1] for line in maps if ".so" in line)
        shutil.copy(library, self.folder / "library.so")
        self.bystander.write_text("HELLO = 'readable, not writable'\n")
        (packages / "hidden_tests.py").write_text("EXPECTED = 42\n")
        self.victim = subprocess.Popen(
            [sys.executable, "-S", "-c", "import time; time.sleep(3600)"], start_new_session=True
        )
        self.stack.callback(self.victim.wait)
        self.stack.callback(self.victim.kill)
        self.received: list[str] = []
        ports = self._listen()
        sys.path.append(str(packages))
        self.stack.callback(sys.path.remove, str(packages))
        self.facts = {
            "canary": str(self.canary), "folder": str(self.folder), "packages": str(packages),
            "victim": self.victim.pid, "parent": os.getpid(), "ports": ports,
            "numbers": numbers([*kernel.REFUSED, *kernel.RULED, *kernel.ABSENT]) | {"timer_create": 222},
        }  # fmt: skip
        self.before = self.state()

    def __exit__(self, *exception) -> None:
        self.stack.close()

    def _listen(self) -> dict:
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        stream, datagram, abstract = (
            socket.socket(socket.AF_UNIX, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_STREAM)
        )
        stream.bind(str(self.folder / "stream"))
        datagram.bind(str(self.folder / "datagram"))
        abstract.bind(f"\0{self.base.name}")
        for listener in (stream, abstract):
            listener.listen()
        named = {"tcp": tcp, "udp": udp, "stream": stream, "datagram": datagram, "abstract": abstract}
        for name, listener in named.items():
            self.stack.enter_context(listener)
            self.stack.callback(_shut, listener)
            threading.Thread(target=self._hear, args=(name, listener), daemon=True).start()
        return {"tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1], "abstract": self.base.name}

    def _hear(self, name: str, listener: socket.socket) -> None:
        while listener.fileno() >= 0:
            try:
                if listener.type == socket.SOCK_DGRAM:
                    if not listener.recv(10):
                        return
                else:
                    listener.accept()[0].close()
            except OSError:  # shut: the world ends
                return
            self.received.append(name)

    def program(self, attack: str) -> str:
        facts = "".join(f"{name} = {value!r}\n" for name, value in self.facts.items())
        return PRELUDE + facts + attack

    def state(self) -> dict:
        """What an attack could have changed, as plain values."""
        victim = self.victim.pid

        def files_of(folder: Path) -> dict:
            entries = sorted(folder.rglob("*"))
            return {
                str(e): (e.lstat().st_mode, e.lstat().st_uid, e.lstat().st_size, e.lstat().st_mtime) for e in entries
            }

        return {
            "files": files_of(self.base),
            "canary": self.canary.read_text(),
            "attributes": os.listxattr(self.canary),
            "victim": self.victim.poll(),
            "victim's state": "stopped" if Path(f"/proc/{victim}/stat").read_text().split()[2] in "Tt" else "",
            "victim's priority": os.getpriority(os.PRIO_PROCESS, victim),
            "victim's scheduling": (os.sched_getscheduler(victim), os.sched_getaffinity(victim)),
            "victim's limits": [resource.prlimit(victim, what) for what in range(16)],
            "trainer's limits": [resource.getrlimit(what) for what in range(16)],
            "heard": list(self.received),
            "shared memory": [Path(f"/proc/sysvipc/{kind}").read_text().count("\n") for kind in ("shm", "sem", "msg")],
        }

    def damage(self) -> list[str]:
        now = self.state()
        return [what for what, before in self.before.items() if now[what] != before]


def _shut(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)


def survivors(sandbox: ForkServer) -> list[str]:
    """The processes below the sandbox's server."""
    server = sandbox._process.pid
    return Path(f"/proc/{server}/task/{server}/children").read_text().split()


def run(names: Iterable[str] | None = None) -> dict[str, str]:
    """Runs the attacks (all, or those of `names`); returns the harmful ones: name → what it did."""
    wanted = None if names is None else set(names)
    harmful = {}
    with World() as world:
        # A server for each kind: bombs are given little time, and only those that write get a folder.
        for kind, limits, attacks in (
            ("deeds", LIMITS, {name: (program + "\nprint('HARM', flush=True)", "") for name, program in DEEDS.items()}),
            ("bombs", BOMB_LIMITS, resources.BOMBS),
            ("scratch", dataclasses.replace(BOMB_LIMITS, scratch=True), files.SCRATCH_BOMBS),
        ):
            with ForkServer(limits, preload=PRELOAD) as sandbox:
                for name, (program, expected) in attacks.items():
                    if wanted is not None and name not in wanted:
                        continue
                    if what := attack(world, sandbox, program, expected):
                        harmful[f"{kind}: {name}"] = what
        if wanted is None or "calls" in wanted:
            with ForkServer(LIMITS) as sandbox:
                harmful |= calls(world, sandbox)
    return harmful


def attack(world: World, sandbox: ForkServer, program: str, expected: str) -> str:
    """What harm the attack did, "" for none."""
    began = time.monotonic()
    try:
        outputs = sandbox.run(world.program(program), Inputs())
    except SandboxError as failure:
        return str(failure)
    took = time.monotonic() - began
    harm = world.damage()
    if "HARM" in outputs.stdout:
        harm.append("it got through")
    if expected and not re.fullmatch(expected, outputs.ended):
        harm.append(f"ended by {outputs.ended} instead of {expected}: {outputs.stderr[-300:]}")
    if (
        not expected
        and outputs.error
        and outputs.error[0] in ("NameError", "SyntaxError", "AttributeError", "TypeError", "ImportError")
    ):
        harm.append(f"is no attack: {outputs.error}")
    if survivors(sandbox):
        harm.append("survivors")
    if len(outputs.stdout) + len(outputs.stderr) > 3 * sandbox.limits.output_bytes:
        harm.append("too much output")
    if outputs.peak_mb > sandbox.limits.memory_mb + 100:
        harm.append(f"{outputs.peak_mb:.0f} MB of memory")
    if took > sandbox.limits.wall_s + 10:  # the machine may be busy; a run that is not ended takes for ever
        harm.append(f"{took:.0f} s")
    if sandbox.run("print(6 * 7)", Inputs()).stdout != "42\n":
        harm.append("the next program did not run")
    return "; ".join(harm)


def calls(world: World, sandbox: ForkServer) -> dict[str, str]:
    """The system calls that were not refused: name → the answer."""
    outputs = sandbox.run(world.program(kernel.PROGRAM), Inputs())
    answers = json.loads(outputs.stdout) if outputs.error is None and outputs.stdout else {"nothing": str(outputs)}
    answers.pop("timer_create", None)
    missing = {*kernel.ABSENT, *(name for name in answers if name.startswith("number "))}
    wrong = {name: got for name, got in answers.items() if got != ("ENOSYS" if name in missing else "EPERM")}
    return {f"call: {name}": got for name, got in wrong.items()}


if __name__ == "__main__":
    found = run(sys.argv[1:] or None)
    print(json.dumps(found, indent=1))
    sys.exit(bool(found))
