"""The filter and the rules themselves, for both architectures, without a kernel's help."""

import struct

import pytest

from lab.sandbox import landlock, seccomp

ALLOWED, REFUSED, ABSENT, KILLED = "allowed", "refused", "absent", "killed"
NAMES = {seccomp.ALLOW: ALLOWED, seccomp.REFUSE: REFUSED, seccomp.MISSING: ABSENT, seccomp.KILL: KILLED}
READ = {"x86_64": 0, "aarch64": 63}


def verdict(machine: str, number: int, *arguments: int, architecture: int | None = None) -> str:
    """What the kernel would answer: runs the filter's instructions on one system call."""
    architecture = seccomp.AUDIT_ARCH[machine] if architecture is None else architecture
    data = struct.pack("<IIQ6Q", number, architecture, 0, *(arguments + (0,) * 6)[:6])
    code = list(struct.iter_unpack("HBBI", seccomp.build(machine)))
    accumulator, at = 0, 0
    while True:
        operation, yes, no, value = code[at]
        at += 1
        if operation == seccomp.LOAD:
            [accumulator] = struct.unpack_from("<I", data, value)
        elif operation == seccomp.AND:
            accumulator &= value
        elif operation == seccomp.EQUAL:
            at += yes if accumulator == value else no
        elif operation == seccomp.AT_LEAST:
            at += yes if accumulator >= value else no
        else:
            return NAMES[value]


@pytest.mark.parametrize("machine", seccomp.COLUMN)
def test_every_denied_call_is_refused_and_no_other(machine):
    column = seccomp.COLUMN[machine]
    denied = {numbers[column] for numbers in seccomp.DENIED.values()} - {None}
    ruled = {numbers[column] for _, numbers, *_ in seccomp.RULES} - {None}
    absent = {numbers[column] for numbers in seccomp.ABSENT.values()}
    for number in set(range(seccomp.NEWEST + 1)) - ruled:
        expected = REFUSED if number in denied else ABSENT if number in absent else ALLOWED
        assert verdict(machine, number) == expected, number
    assert verdict(machine, READ[machine]) == ALLOWED
    assert verdict(machine, seccomp.NEWEST + 1) == ABSENT
    assert verdict(machine, 0x40000000 | 59) == ABSENT  # x32's execve
    assert verdict(machine, READ[machine], architecture=0x40000003) == KILLED  # i386 through int 0x80


@pytest.mark.parametrize("machine", seccomp.COLUMN)
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("clone", (0x3D0F00,), ALLOWED),  # what libc passes for a thread
        ("clone", (17,), REFUSED),
        ("clone", (0x10000000 | 0x10000,), REFUSED),  # a thread in a user namespace
        ("clone", (0xFFFFFFFF00000000 | 17,), REFUSED),
        ("openat", (0, 0, 0), ALLOWED),
        ("openat", (0, 0, 0o1000), REFUSED),
        ("openat", (0, 0, 3), REFUSED),
        ("openat", (0, 0, 0o1003), REFUSED),
        ("openat", (0, 0, 0o1001), ALLOWED),  # truncates while writing: Landlock's to refuse
        ("prlimit64", (0,), ALLOWED),
        ("prlimit64", (1,), REFUSED),
        ("fcntl", (0, 3), ALLOWED),
        ("fcntl", (0, 8), REFUSED),
        ("fcntl", (0, 10), REFUSED),
        ("ioctl", (0, 0x5401), ALLOWED),
        ("ioctl", (0, 0x5412), REFUSED),
        ("ioctl", (0, 0x100005412), REFUSED),  # the kernel looks at the low half alone
        ("socketpair", (1, 1), ALLOWED),
        ("socketpair", (1, 0o2000001), ALLOWED),  # close on exec
        ("socketpair", (1, 2), REFUSED),
        ("socketpair", (2, 1), REFUSED),
    ],
)
def test_rules_look_at_arguments(machine, name, arguments, expected):
    column = seccomp.COLUMN[machine]
    [number] = {numbers[column] for rule, numbers, *_ in seccomp.RULES if rule == name}
    assert verdict(machine, number, *arguments) == expected


def test_an_unknown_machine_is_refused():
    with pytest.raises(OSError, match="no system call table for riscv64"):
        seccomp.build("riscv64")


@pytest.mark.parametrize(("version", "files"), [(1, 13), (2, 14), (3, 15), (4, 15), (5, 16), (7, 16)])
def test_every_right_that_a_version_knows_is_handled(version, files):
    assert landlock.handled(version) == ((1 << files) - 1, 3 * (version >= 4), 3 * (version >= 6))
