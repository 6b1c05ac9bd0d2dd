"""Seccomp: the system calls that the model's program may not make.

Landlock guards the opening of files; this filter refuses what Landlock does not see: sockets, processes, signals,
tracing, other processes' limits, file metadata, and the doors into rarely used parts of the kernel. It is a deny-list,
because Python and numpy have to run under every libc, but a bounded one: a younger call than the list answers ENOSYS.
Numbers: the kernel's `asm/unistd_64.h` (x86-64) and `asm-generic/unistd.h` (aarch64). Standard library only.
"""

import ctypes
import errno
import os
import struct

libc = ctypes.CDLL(None, use_errno=True)

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
COLUMN = {"x86_64": 0, "aarch64": 1}

# The list was read against Linux 5.13, whose last call has this number. x32 calls (bit 30) lie above it as well.
NEWEST = 446

# name: (x86-64, aarch64); None where the architecture has no such call.
DENIED = {
    # network: no socket of any family can be made; `socketpair` has its own rule below
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242),
    # programs and processes; `clone` has its own rule below
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None),
    "setsid": (112, 157), "setpgid": (109, 154),
    # signals, also to itself: none of them helps to solve a task
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434),
    # the memory and descriptors of others
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "pidfd_getfd": (438, 438), "kcmp": (312, 272),
    # the scheduling and memory placement of others
    "setpriority": (141, 140), "sched_setparam": (142, 118), "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122), "sched_setattr": (314, 274), "ioprio_set": (251, 30),
    "migrate_pages": (256, 238), "move_pages": (279, 239), "mbind": (237, 235), "set_mempolicy": (238, 237),
    # mounts and namespaces
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    # doors into the kernel
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "seccomp": (317, 277), "prctl": (157, 167), "personality": (135, 92),
    "modify_ldt": (154, None), "vmsplice": (278, 75), "splice": (275, 76), "tee": (276, 77),
    "remap_file_pages": (216, 234), "lookup_dcookie": (212, 18), "uselib": (134, None), "sysfs": (139, None),
    "nfsservctl": (180, 42), "ustat": (136, None),
    # file metadata, which Landlock leaves alone; `flock` and `umask` could trip others and the cleaning up
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None), "fchown": (93, 55),
    "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "getxattr": (191, 8),
    "lgetxattr": (192, 9), "fgetxattr": (193, 10), "listxattr": (194, 11), "llistxattr": (195, 12),
    "flistxattr": (196, 13), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "flock": (73, 32), "umask": (95, 166), "mknod": (133, None), "mknodat": (259, 33),
    # other ways to open and to cut a file: handles, and paths under a Landlock that cannot refuse truncation
    "openat2": (437, 437), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "truncate": (76, 45),
    # watching what others do with files
    "inotify_init": (253, None), "inotify_init1": (294, 26), "inotify_add_watch": (254, 27),
    "fanotify_init": (300, 262), "fanotify_mark": (301, 263),
    # memory that outlives the process or escapes its limit
    "memfd_create": (319, 279), "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190),
    "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192), "msgget": (68, 186), "msgsnd": (69, 189),
    "msgrcv": (70, 188), "msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181),
    # identity
    "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145), "setregid": (114, 143), "setresuid": (117, 147),
    "setresgid": (119, 149), "setgroups": (116, 159), "setfsuid": (122, 151), "setfsgid": (123, 152),
    "capset": (126, 91),
    # the machine
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "syslog": (103, 116), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171), "sethostname": (170, 161),
    "setdomainname": (171, 162), "vhangup": (153, 58), "iopl": (172, None), "ioperm": (173, None),
    "sync": (162, 81), "syncfs": (306, 267),
}  # fmt: skip

# libc falls back to `clone`, whose flags a filter can read, when this one does not exist.
ABSENT = {"clone3": (435, 435)}

NEW_NAMESPACE, CLONE_THREAD = 0x7E020000, 0x10000
O_ACCMODE, O_TRUNC = 0o3, 0o1000
EVERY_BIT = 0xFFFFFFFF

# (call, numbers, argument, mask, values, whether the values are the allowed ones)
RULES = [
    # Only a thread of this process, never a process.
    ("clone", (56, 220), 0, NEW_NAMESPACE | CLONE_THREAD, (CLONE_THREAD,), True),
    # Landlock before version 3 does not see that opening "to read" may truncate, nor the access mode 3.
    ("open", (2, None), 1, O_ACCMODE | O_TRUNC, (O_TRUNC, 3, O_TRUNC | 3), False),
    ("openat", (257, 56), 2, O_ACCMODE | O_TRUNC, (O_TRUNC, 3, O_TRUNC | 3), False),
    # Own limits only (they can only be lowered).
    ("prlimit64", (302, 261), 0, EVERY_BIT, (0,), True),
    # F_SETOWN, F_SETSIG, F_SETOWN_EX send signals to others; leases, notices and larger pipes are shared resources.
    ("fcntl", (72, 25), 1, EVERY_BIT, (8, 10, 15, 1024, 1026, 1031), False),
    # What isatty, the window size, FIONREAD, FIONBIO and close-on-exec need: no terminal injection, no FIOSETOWN.
    ("ioctl", (16, 29), 1, EVERY_BIT, (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451), True),
    # asyncio wakes itself through a connected pair of stream sockets; a datagram pair could still name an address.
    ("socketpair", (53, 199), 0, EVERY_BIT, (1,), True),
    ("socketpair", (53, 199), 1, 0xF, (1,), True),
]

LOAD, EQUAL, AT_LEAST, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
ALLOW, KILL = 0x7FFF0000, 0x80000000
REFUSE, MISSING = 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in the kernel's `struct seccomp_data`
SECCOMP = {machine: DENIED["seccomp"][column] for machine, column in COLUMN.items()}


def _rule(number: int, argument: int, mask: int, values: tuple, allowed: bool) -> list[tuple]:
    body = [(LOAD, 0, 0, ARGUMENTS + 8 * argument), (AND, 0, 0, mask)]
    for left, value in zip(range(len(values), 0, -1), values, strict=True):
        # Allowed values jump over the others and the refusal; refused ones fall into a refusal of their own.
        body += [(EQUAL, left, 0, value)] if allowed else [(EQUAL, 0, 1, value), (RETURN, 0, 0, REFUSE)]
    if allowed:
        body.append((RETURN, 0, 0, REFUSE))
    body.append((LOAD, 0, 0, NUMBER))
    return [(EQUAL, 0, len(body), number), *body]


def build(machine: str | None = None) -> bytes:
    """The filter for `machine` ("x86_64" or "aarch64"; this machine when None), as the kernel's BPF instructions.

    Raises OSError on another architecture.
    """
    machine = machine or os.uname().machine
    if machine not in COLUMN:
        raise OSError(errno.ENOSYS, f"there is no system call table for {machine} (allowed: {', '.join(COLUMN)})")
    column = COLUMN[machine]
    code = [
        (LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, AUDIT_ARCH[machine]), (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER), (AT_LEAST, 0, 1, NEWEST + 1), (RETURN, 0, 0, MISSING),
    ]  # fmt: skip
    for table, answer in ((DENIED, REFUSE), (ABSENT, MISSING)):
        for numbers in table.values():
            if numbers[column] is not None:
                code += [(EQUAL, 0, 1, numbers[column]), (RETURN, 0, 0, answer)]
    for _, numbers, *rule in RULES:
        if numbers[column] is not None:
            code += _rule(numbers[column], *rule)
    code.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def available() -> bool:
    """Whether the kernel lets a process filter its own system calls (asked by the call itself)."""
    action = ctypes.c_uint32(REFUSE & 0xFFFF0000)
    return libc.syscall(ctypes.c_long(SECCOMP[os.uname().machine]), 2, 0, ctypes.byref(action)) == 0


def install(program: bytes) -> None:
    """Binds every thread of this process to the filter, for good. Needs no_new_privs."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    filter_ = Program(len(program) // 8, program)
    if libc.syscall(ctypes.c_long(SECCOMP[os.uname().machine]), 1, 0, ctypes.byref(filter_)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"seccomp: {os.strerror(code)}")
