"""Landlock: which files the model's program may touch, and no others.

Landlock needs no privilege and works inside a default container. A ruleset is made once, in the fork server; every
child restricts itself with it. Whatever right is handled and not granted is refused: a short list of grants is the
policy. Numbers and structures: the kernel's `include/uapi/linux/landlock.h`. Imported by the bare fork server, so
standard library only.
"""

import ctypes
import errno
import os
import struct

libc = ctypes.CDLL(None, use_errno=True)

# These three numbers are the same on every architecture.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446

WRITE_FILE, READ_FILE, READ_DIR = 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, TRUNCATE = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 14
READ = READ_FILE | READ_DIR
# Plain files and folders only: a scratch folder needs no symlink, socket, pipe or device.
SCRATCH = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | TRUNCATE
FILE_RIGHTS = WRITE_FILE | READ_FILE | TRUNCATE

WHY_MISSING = {
    errno.ENOSYS: "the kernel has no Landlock (Linux 5.13 or newer, built with CONFIG_SECURITY_LANDLOCK)",
    errno.EOPNOTSUPP: "Landlock is built into the kernel but off (add landlock to the boot parameter lsm=)",
    errno.EPERM: "a container profile forbids the Landlock system calls",
}


class Unavailable(OSError):
    """A kernel feature that the confinement needs is missing; the message names it."""


def _call(number: int, *arguments) -> int:
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"system call {number}: {os.strerror(code)}")
    return result


def abi() -> int:
    """The Landlock version of this kernel (≥ 1), asked by the system call, since a version string proves nothing.

    Raises `Unavailable`, naming what is missing.
    """
    try:
        return _call(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    except OSError as failure:
        raise Unavailable(failure.errno, WHY_MISSING.get(failure.errno, f"Landlock: {failure.strerror}")) from None


def handled(version: int) -> tuple[int, int, int]:
    """All rights (files, network, scopes) that Landlock `version` can refuse."""
    files = (1 << 13) - 1  # version 1
    for since, bit in ((2, 13), (3, 14), (5, 15)):  # refer, truncate, ioctl on devices
        files |= (version >= since) << bit
    network = 0b11 if version >= 4 else 0  # bind and connect of TCP
    scopes = 0b11 if version >= 6 else 0  # abstract Unix sockets, signals to the outside
    return files, network, scopes


def make_ruleset(grants: dict[str, int], version: int) -> int:
    """A ruleset (a descriptor) that refuses all but `grants`: path → rights. A path that is absent is left out."""
    files, network, scopes = handled(version)
    attribute = struct.pack("QQQ", files, network, scopes)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = _call(CREATE_RULESET, attribute, ctypes.c_size_t(len(attribute)), ctypes.c_uint32(0))
    for path, rights in grants.items():
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        rights &= files if os.path.isdir(path) else files & FILE_RIGHTS
        rule = struct.pack("=Qi", rights, descriptor)
        _call(ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint32(0))
        os.close(descriptor)
    return ruleset


def restrict_self(ruleset: int) -> None:
    """Binds the calling thread, and all it will start, for good. Needs no_new_privs."""
    _call(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
