"""How much a program may use, and how a process gives up everything else. Standard library only."""

import ctypes
import errno
import math
import os
import resource
import struct
from dataclasses import dataclass

libc = ctypes.CDLL(None, use_errno=True)

MB = 1 << 20
DESCRIPTORS = 64
NO_NEW_PRIVS, PARENT_DEATH_SIGNAL, CHILD_SUBREAPER = 38, 1, 36
CAPSET = {"x86_64": 126, "aarch64": 91}


@dataclass(frozen=True)
class Limits:
    """What one run may use. Passing a limit ends the run; the outcome names which one."""

    wall_s: float = 5.0  # seconds on the clock, from the fork on
    cpu_s: float = 2.0  # processor seconds over all threads, rounded up to a whole second by the kernel
    memory_mb: int = 512  # address space on top of the interpreter and its preloaded packages
    output_bytes: int = 1_000_000  # of stdout, of stderr and of the returned values, each
    threads: int = 32  # counted every hundredth of a second
    scratch: bool = False  # whether the program gets a folder to write in, its working directory
    scratch_mb: int = 16
    scratch_files: int = 200


def prctl(option: int, value: int) -> None:
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {option}: {os.strerror(code)}")


def address_space() -> int:
    """Bytes of address space that this process has mapped."""
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[0]) * resource.getpagesize()


def apply(limits: Limits, baseline: int) -> None:
    """Sets the rlimits; `baseline` is the address space (bytes) that the interpreter had before the program."""
    processor = math.ceil(limits.cpu_s)
    memory = baseline + limits.memory_mb * MB
    for what, soft, hard in (
        # One second of grace between the signal that says why and the one that cannot be ignored.
        (resource.RLIMIT_CPU, processor, processor + 1),
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_FSIZE, limits.scratch_mb * MB, limits.scratch_mb * MB),
        (resource.RLIMIT_NOFILE, DESCRIPTORS, DESCRIPTORS),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
        (resource.RLIMIT_SIGPENDING, DESCRIPTORS, DESCRIPTORS),
    ):
        _, ceiling = resource.getrlimit(what)
        if ceiling != resource.RLIM_INFINITY:  # a cluster may have set a lower one already
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(what, (soft, hard))


def drop_privileges() -> None:
    """No capability and no way to gain one: root becomes an ordinary owner of files."""
    prctl(NO_NEW_PRIVS, 1)
    header, nothing = struct.pack("Ii", 0x20080522, 0), struct.pack("6I", *[0] * 6)
    if libc.syscall(ctypes.c_long(CAPSET.get(os.uname().machine, -1)), header, nothing) != 0:
        code = ctypes.get_errno()
        if code != errno.ENOSYS:
            raise OSError(code, f"capset: {os.strerror(code)}")
