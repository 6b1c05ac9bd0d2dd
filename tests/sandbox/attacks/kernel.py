"""The system calls that have to be refused. Each is made with senseless arguments and has to fail as forbidden.

The list is the tests' own, so a rule that is taken out of the sandbox turns up here.
"""

REFUSED = [
    "socket", "connect", "bind", "listen", "accept", "accept4", "execve", "execveat", "fork", "vfork", "setsid",
    "setpgid", "kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal",
    "pidfd_open", "pidfd_getfd", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp",
    "setpriority", "sched_setparam", "sched_setscheduler", "sched_setaffinity", "sched_setattr", "ioprio_set",
    "migrate_pages", "move_pages", "mbind", "set_mempolicy", "mount", "umount2", "pivot_root", "chroot",
    "unshare", "setns", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr",
    "io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "perf_event_open", "userfaultfd", "keyctl",
    "add_key", "request_key", "seccomp", "prctl", "personality", "modify_ldt", "vmsplice", "splice", "tee",
    "remap_file_pages", "lookup_dcookie", "uselib", "sysfs", "nfsservctl", "ustat", "chmod", "fchmod", "fchmodat",
    "chown", "fchown", "lchown", "fchownat", "utime", "utimes", "futimesat", "utimensat", "setxattr", "lsetxattr",
    "fsetxattr", "getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr", "removexattr",
    "lremovexattr", "fremovexattr", "flock", "umask", "mknod", "mknodat", "openat2", "name_to_handle_at",
    "open_by_handle_at", "truncate", "inotify_init", "inotify_init1", "inotify_add_watch", "fanotify_init",
    "fanotify_mark", "memfd_create", "shmget", "shmat", "shmctl", "semget", "semop", "semctl", "semtimedop",
    "msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink", "setuid", "setgid", "setreuid", "setregid",
    "setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid", "capset", "init_module", "finit_module",
    "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "acct", "quotactl",
    "quotactl_fd", "syslog", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname",
    "setdomainname", "vhangup", "iopl", "ioperm", "sync", "syncfs",
]  # fmt: skip

# Made with the arguments -1, every one of these is senseless too, but the rule looks at an argument.
RULED = ["clone", "prlimit64", "ioctl", "socketpair"]
ABSENT = ["clone3"]

PROGRAM = """
answers = {}
for name, number in sorted(numbers.items()):
    libc.syscall(ctypes.c_long(number), *[ctypes.c_long(-1)] * 6)
    answers[name] = errno.errorcode[ctypes.get_errno()]
for number in (447, 452, 463, 469, 500, 1000, 0x40000000 + 39, 0x40000000 + 520):
    ctypes.set_errno(0)
    libc.syscall(ctypes.c_long(number), *[ctypes.c_long(-1)] * 6)
    answers[f'number {number}'] = errno.errorcode[ctypes.get_errno()]
import json
print(json.dumps(answers))
"""
