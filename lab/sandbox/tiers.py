"""Which sandbox runs here, what it promises, and the test by which it proves itself.

A (default): a fork server under rlimits, Landlock and seccomp. B: CPython in wasmtime, an extra for where A cannot run.
C: a service of the user's own. D: "unsafe", rlimits only, never chosen by itself. Where A and B are missing the lab
refuses and names what is missing.
"""

import contextlib
import importlib
import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lab.errors import UserError
from lab.sandbox import landlock, seccomp
from lab.sandbox.client import ForkServer
from lab.sandbox.exchange import Call, Inputs, Outputs, SandboxError
from lab.sandbox.limits import Limits
from lab.sandbox.wasm import WasmWorker, missing_packages

VARIABLE = "LAB_SANDBOX"  # an environment variable, because rewards run in worker processes that inherit it
UNSAFE = (
    "UNSAFE: the programs that the model writes run without a sandbox. They can read and write your files, use the "
    "network, and start and kill processes."
)
WORDS = ("auto", "landlock", "wasm", "unsafe")


class Sandbox(Protocol):
    """The one interface of every tier. An adapter to a service of your own has these and nothing else."""

    tier: str  # one letter; an adapter says "C"

    def run(self, program: str, inputs: Inputs) -> Outputs:
        """Raises SandboxError when the program could not be tried; whatever the program does is in the outputs."""

    def close(self) -> None:
        """Ends what the sandbox started."""


@dataclass(frozen=True)
class Tier:
    """What `lab sandbox` prints and a run's provenance stores."""

    letter: str
    name: str
    mechanism: str
    promises: tuple[str, ...]
    does_not_promise: tuple[str, ...]


SPLIT = "The program is given the inputs alone and the trainer compares: no expected answer can be read or faked."
SHARED_KERNEL = "It shares the host's kernel: a bug of the kernel is not covered."
SIDE_CHANNELS = "Side channels (timing, caches) are not covered."

TIERS = {
    "A": Tier(
        "A",
        "landlock",
        "a fork server under rlimits, Landlock and seccomp, without any privilege",
        (
            "No file is read but the standard library, the shared libraries and the packages that you preload.",
            "No file is written, outside a scratch folder where the task asks for one.",
            "No socket, no program, no process, no signal, no tracing, nobody else's limits, memory or environment.",
            "Processor time, clock, memory, output, threads and scratch are limited; nothing survives the run.",
            SPLIT,
        ),
        (
            SHARED_KERNEL,
            SIDE_CHANNELS,
            "Metadata stays visible: whether a path exists, its size and dates, the names in the library's folder.",
            "Against a determined adversary use a virtual machine behind an adapter.",
        ),
    ),
    "B": Tier(
        "B",
        "wasm",
        "CPython as a WebAssembly component in wasmtime, in a worker process that can be killed",
        (
            "No file, socket, process or variable of the host exists in there.",
            "Time, memory and output are limited.",
            SPLIT,
        ),
        (
            "A bug of the runtime is not covered.",
            SIDE_CHANNELS,
            "It is another Python without threads, files and compiled packages: a program that needs them fails.",
        ),
    ),
    "C": Tier(
        "C",
        "adapter",
        "a service of your own behind `run(program, inputs) -> outputs`",
        (SPLIT,),
        ("All else is the service's promise.",),
    ),
    "D": Tier(
        "D",
        "unsafe",
        "rlimits only",
        ("Time, memory and output of one process are limited.", SPLIT),
        ("THE PROGRAM CAN READ AND WRITE YOUR FILES, USE THE NETWORK, START AND KILL PROCESSES.", SHARED_KERNEL),
    ),
}


def missing() -> list[str]:
    """What tier A needs and this machine lacks, in words. Asked by the system calls themselves."""
    if sys.platform != "linux":
        return [f"Linux (this is {sys.platform})"]
    machine = os.uname().machine
    if machine not in seccomp.COLUMN:
        return [f"a system call table for {machine} (there are: {', '.join(seccomp.COLUMN)})"]
    lacks = []
    try:
        landlock.abi()
    except landlock.Unavailable as reason:
        lacks.append(reason.strerror)
    if not seccomp.available():
        lacks.append("seccomp filters (CONFIG_SECCOMP_FILTER, or a container profile that allows `seccomp`)")
    return lacks


def check_name(name: str) -> None:
    """Raises UserError where no sandbox can be meant by `name`."""
    module, colon, factory = name.partition(":")
    if name not in WORDS and not (colon and factory.isidentifier() and all(map(str.isidentifier, module.split(".")))):
        raise UserError(f"there is no sandbox {name!r}; allowed: {', '.join(WORDS)}, or an adapter as module:factory.")


def open_sandbox(name: str | None = None, limits: Limits | None = None, preload: Sequence[str] = ()) -> Sandbox:
    """The sandbox called `name`, else the one that LAB_SANDBOX names, else "auto": tier A, or B where A cannot run.

    Raises UserError, naming the missing kernel feature, where none does. "unsafe" is only ever taken by that word.
    """
    name = name or os.environ.get(VARIABLE) or "auto"
    if name == "unsafe":
        return ForkServer(limits, preload, confined=False)
    if ":" in name:
        module, factory = name.split(":", 1)
        try:
            return getattr(importlib.import_module(module), factory)(limits or Limits(), preload)
        except (ImportError, AttributeError) as error:
            raise UserError(f"The sandbox adapter {name!r} cannot be loaded ({error}); give module:factory.") from error
    if name == "wasm":
        return WasmWorker(limits, preload)
    check_name(name)
    lacks = missing()
    if not lacks:
        return ForkServer(limits, preload)
    if name == "auto" and not missing_packages():
        return WasmWorker(limits, preload)
    raise UserError(
        f"Model-written code cannot be confined here, what is missing: {'; '.join(lacks)}. "
        "Run on a kernel or container that has it, install the extra with `pip install 'reasoning-lab[wasm]'`, "
        f"set {VARIABLE} to an adapter (module:factory), or accept the risk with {VARIABLE}=unsafe."
    )


def checked(name: str) -> dict:
    """The provenance of the sandbox called `name`, after a first program has run in it.

    Raises UserError where it cannot run here. The first program of tier B also compiles it, outside of any deadline.
    """
    with contextlib.closing(open_sandbox(None if name == "auto" else name)) as sandbox:
        try:
            sandbox.run("pass", Inputs())
        except SandboxError as failure:
            raise UserError(f"{failure}; see `lab sandbox`") from None
        return provenance(sandbox)


def provenance(sandbox: Sandbox) -> dict:
    """What a run's record stores about its sandbox."""
    tier = TIERS[sandbox.tier]
    return {"tier": tier.letter, "name": tier.name, "mechanism": tier.mechanism, "unsafe": tier.letter == "D"}


# name: (program, how the run has to end or be refused). Each tries one thing that the tier promises to prevent.
HONEST = "an honest program"
PROBES = {
    "reads a file of yours": "open({canary!r}).read()",
    "writes a file": "open({folder!r} + '/new', 'w')",
    "reads the trainer's environment": "open('/proc/{parent}/environ').read()",
    "changes a file's mode": "import os; os.chmod({canary!r}, 0o606); assert os.stat({canary!r}).st_mode & 6",
    "opens a socket": "import socket; socket.create_connection(('127.0.0.1', {port}), 2)",
    "starts a process": "import os; os.fork() or os._exit(0)",
    "starts a program": "import os; os.execv('/bin/true', ['true'])",
    "signals the trainer": "import os; os.kill({parent}, 0)",
}
BOMBS = {
    "runs for ever": ("while True: pass", "timeout"),
    "sleeps for ever": ("import time; time.sleep(3600)", "timeout"),
    "floods the output": ("while True: print('x' * 10000)", "output"),
}


def self_test(sandbox: Sandbox) -> dict[str, str]:
    """Tries what the tier promises to prevent; returns name → what went wrong, "" where it held."""
    results = {}
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        canary = Path(folder, "canary")
        canary.write_text("secret")
        facts = {"canary": str(canary), "folder": folder, "parent": os.getpid(), "port": listener.getsockname()[1]}
        adds = sandbox.run("def add(a, b):\n    return a + b", Inputs("add", [Call((1, 2))]))
        results[HONEST] = "" if adds.answers == ({"value": 3},) else f"got {adds}"
        for name, program in PROBES.items():
            outputs = sandbox.run(program.format(**facts) + "\nprint('done')", Inputs())
            results[name] = "it could" if "done" in outputs.stdout else ""
        for name, (program, expected) in BOMBS.items():
            outputs = sandbox.run(program, Inputs())
            results[name] = "" if outputs.ended == expected else f"{outputs.ended} instead of {expected}"
        # In large pieces, which are never touched: a busy machine gets to the limit before the clock runs out, too.
        outputs = sandbox.run("x = []\nwhile True: x.append(bytearray(1 << 30))", Inputs())
        kept = outputs.error and outputs.error[0] == "MemoryError"
        results["takes all memory"] = "" if kept else f"{outputs.ended} instead of a MemoryError"
    return results
