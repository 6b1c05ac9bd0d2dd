# ruff: noqa: E501 - a hostile program may be one long line
"""Starting, signalling, tracing and re-limiting processes, and becoming somebody else."""

DEEDS = {
    "fork": "os.fork() or os._exit(0)",
    "fork and leave": """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(30)
    os._exit(0)""",
    "fork a bomb": """
for _ in range(50):
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)""",
    "clone a process": "raw('clone', 17, 0, 0, 0, 0) or os._exit(0)",
    "clone a process that shares memory": "raw('clone', 0x100 | 17, 0, 0, 0, 0) or os._exit(0)",
    "clone3 a process": "raw('clone3', struct.pack('8Q', 0, 0, 0, 0, 17, 0, 0, 0), 64) or os._exit(0)",
    "run a program": "subprocess.run(['/bin/true'], check=True)",
    "run a shell": "assert os.system('true') == 0, 'refused'",
    "run a program in a pipe": "assert os.popen('echo hi').read() == 'hi\\n', 'refused'",
    "spawn a program": "os.posix_spawn('/bin/true', ['true'], {})",
    "become a program": "os.execv('/bin/echo', ['echo', 'HARM'])",
    "become a program by its descriptor": "os.execve(os.open('/bin/echo', os.O_PATH), ['echo', 'HARM'], {})",
    "start a pool": "import multiprocessing; multiprocessing.get_context('fork').Process(target=print).start()",
    "start a spawned process": "import multiprocessing; multiprocessing.get_context('spawn').Process(target=print).start()",
    "kill the victim": "os.kill(victim, signal.SIGKILL)",
    "stop the victim": "os.kill(victim, signal.SIGSTOP)",
    "stop the server": "os.kill(os.getppid(), signal.SIGSTOP)",
    "stop the trainer": "os.kill(parent, signal.SIGSTOP)",
    "reach everyone": "os.kill(-1, 0)",
    "reach the victim's group": "os.killpg(os.getpgid(victim), 0)",
    "kill by thread": "raw('tgkill', victim, victim, 9)",
    "kill by tkill": "raw('tkill', victim, 9)",
    "kill by queue": "raw('rt_sigqueueinfo', victim, 9, ctypes.create_string_buffer(struct.pack('iii', 9, 0, -1) + bytes(128)))",
    "kill by pidfd": "signal.pidfd_send_signal(os.pidfd_open(victim), 9)",
    "signal by an owned pipe": """
r, w = os.pipe()
fcntl.fcntl(r, fcntl.F_SETOWN, victim); fcntl.fcntl(r, 10, signal.SIGKILL)
fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK); os.write(w, b'x'); time.sleep(0.2)""",
    "signal by an owned pair": """
a, b = socket.socketpair()
fcntl.ioctl(a, 0x8901, struct.pack('i', victim))""",
    "leave the group": "os.setpgid(0, os.getppid())",
    "leave the session": "os.setsid()",
    "trace the victim": "raw('ptrace', 16, victim, 0, 0)",
    "seize the server": "raw('ptrace', 0x4206, os.getppid(), 0, 0)",
    "read the victim's memory": """
local = ctypes.create_string_buffer(8)
raw('process_vm_readv', victim, struct.pack('PQ', ctypes.addressof(local), 8), 1, struct.pack('PQ', 0x400000, 8), 1, 0)""",
    "take the victim's descriptor": "raw('pidfd_getfd', raw('pidfd_open', victim, 0), 0, 0)",
    "compare with the victim": "raw('kcmp', os.getpid(), victim, 2, 0, 0)",
    "limit the victim": "resource.prlimit(victim, resource.RLIMIT_NOFILE, (3, 3))",
    "limit the trainer": "resource.prlimit(parent, resource.RLIMIT_CORE)",
    "slow the victim": "os.setpriority(os.PRIO_PROCESS, victim, 19)",
    "pin the victim": "os.sched_setaffinity(victim, {0})",
    "idle the victim": "os.sched_setscheduler(victim, os.SCHED_IDLE, os.sched_param(0))",
    "starve the victim's disk": "raw('ioprio_set', 1, victim, 3 << 13)",
    "move the victim's pages": "raw('migrate_pages', victim, 8, ctypes.byref(ctypes.c_ulong(1)), ctypes.byref(ctypes.c_ulong(1)))",
    "enter a namespace": "raw('unshare', 0x10000000)",
    "join the victim's namespace": "raw('setns', raw('pidfd_open', victim, 0), 0x40000000)",
    "become root": "os.setuid(0)",
    "become another": "os.setresuid(1234, 1234, 1234)",
    "leave the groups": "os.setgroups([])",
    "raise its limits": "resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))",
    "raise its processor limit": "resource.setrlimit(resource.RLIMIT_CPU, (1000, 1000))",
    "raise its priority": "os.nice(-5)",
    "regain capabilities": "raw('capset', struct.pack('Ii', 0x20080522, 0), struct.pack('6I', 1, 1, 0, 0, 0, 0))",
    "filter its own filter": "raw('seccomp', 1, 8, struct.pack('HxxxxxxP', 0, 0))",
    "trace itself by prctl": "libc.prctl(0x59616d61, -1, 0, 0, 0) == 0 or raw('prctl', 4, 1, 0, 0, 0)",
    "type into the terminal": "fcntl.ioctl(0, 0x5412, b'x')",
    "open the terminal": "os.open('/dev/tty', os.O_RDWR)",
}
