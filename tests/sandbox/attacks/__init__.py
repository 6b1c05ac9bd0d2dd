# ruff: noqa: E501 - a hostile program may be one long line
"""Hostile programs with the verdicts we expect. Run them inside the sandbox only: `drive.py` is the one that does.

A *deed* is a few statements that must raise: if they get through, the program goes on to print HARM. A *bomb* must end in
the way that is written beside it. Beside what a program admits, the driver looks at the world: a canary file, a victim
process, listeners of every family, survivors.

The programs may use: the modules and helpers of `PRELUDE`, and the facts `canary`, `folder`, `victim`, `parent`, `ports`.
None of them does lasting damage when it succeeds: every target belongs to the driver.
"""

PRELUDE = """
import array, asyncio, ctypes, errno, fcntl, mmap, os, resource, select, signal, socket, struct, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def raw(name, *arguments):
    result = libc.syscall(ctypes.c_long(numbers[name]), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, name + ': ' + os.strerror(code))
    return result
"""
