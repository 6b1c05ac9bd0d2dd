# ruff: noqa: E501 - a hostile program may be one long line
"""Bombs: programs that take too much, never end, or end badly. name: (program, how it ends; several by |)."""

BOMBS = {
    "loop": ("while True: pass", "timeout"),
    "loop on every thread": (
        "for _ in range(8): threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()",
        "timeout",
    ),
    "sleep": ("time.sleep(3600)", "timeout"),
    "ignore the signals": (
        "for s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: pass",
        "timeout",
    ),
    "wait for a descriptor": ("select.select([], [], [])", "timeout"),
    "hang at exit": ("import atexit; atexit.register(time.sleep, 3600)", "timeout"),
    "hang in a thread": ("threading.Thread(target=time.sleep, args=(3600,)).start()", "timeout"),
    "power tower": ("9 ** 9 ** 9", "timeout|exit 1|memory"),
    "power tower in the compiler": ("eval('2 ** ' * 3 + '9 ** 9')", "timeout|exit 1|memory"),
    "constant folding": (
        "exec(compile('x = ' + '(' * 50 + '1' + ',) * 9' * 50, 'x', 'exec'))",
        "exit 0|exit 1|timeout|memory",
    ),
    "factorial": ("import math; math.factorial(10 ** 8)", "timeout"),
    "regular expression": ("import re; re.match(r'(a+)+$', 'a' * 40 + 'b')", "timeout"),
    "brackets for the parser": ("eval('(' * 100000 + ')' * 100000)", "exit 1|signal 11"),
    "nesting for the compiler": ("eval('-' * 200000 + '1')", "exit 1|signal 11"),
    "recursion": ("def f(): f()\nf()", "exit 1"),
    "recursion past the stack": (
        "sys.setrecursionlimit(10 ** 9)\ndef f(x): return [f(y) for y in [x]]\nf(0)",
        "exit 1|signal 11|timeout|memory",
    ),
    "segmentation fault": ("ctypes.string_at(0)", "signal 11"),
    "abort": ("os.abort()", "signal 6|signal 11|signal 4|exit 127"),
    "memory at once": ("x = bytearray(64 << 30)", "exit 1"),
    "memory bit by bit": ("x = []\nwhile True: x.append(bytes(1 << 16))", "exit 1|memory"),
    "memory by maps": (
        "x = []\nwhile True: x.append(mmap.mmap(-1, 1 << 20)); x[-1].write(bytes(1 << 20))",
        "exit 1|memory",
    ),
    "memory by shared maps": (
        "x = []\nwhile True: x.append(mmap.mmap(-1, 1 << 20, mmap.MAP_SHARED)); x[-1].write(bytes(1 << 20))",
        "exit 1|memory",
    ),
    "memory by text": ("x = 'a'\nwhile True: x += x", "exit 1|memory"),
    "memory by threads": (
        "threading.stack_size(64 << 20)\nfor _ in range(100): threading.Thread(target=time.sleep, args=(9,)).start()",
        "exit 1|timeout|threads",
    ),
    "threads": (
        "threading.stack_size(65536)\nwhile True: threading.Thread(target=time.sleep, args=(9,)).start()",
        "threads|exit 1|timeout",
    ),
    "descriptors": ("x = []\nwhile True: x.append(os.dup(0))", "exit 1"),
    "pipes full of memory": (
        "while True:\n    r, w = os.pipe(); fcntl.fcntl(w, 1031, 1 << 20); os.write(w, bytes(1 << 20))",
        "exit 1",
    ),
    "timers": ("while True: raw('timer_create', 0, None, ctypes.byref(ctypes.c_int()))", "exit 1|timeout"),
    "flood of output": ("while True: print('x' * 100000)", "output"),
    "flood of errors": ("while True: print('x' * 100000, file=sys.stderr)", "output"),
    "flood of answers": ("while True: os.write(4, b'x' * 60000)", "output"),
    "flood of lines": ("while True: os.write(1, b'\\n')", "output|timeout"),
    "flood of binary": ("while True: os.write(1, bytes(range(256)) * 100)", "output"),
    "exit without a word": ("os._exit(0)", "exit 0"),
    "exit with a strange code": ("sys.exit(2 ** 80)", "exit 0|exit 255|exit 1"),
    "exit with an object": ("sys.exit(object())", "exit 1"),
    "close everything": ("os.closerange(0, 100)", "exit 0|exit 1"),
    "close the output and go on": ("sys.stdout.close(); sys.stderr.close()", "exit 0|exit 1"),
    "break the interpreter": (
        "import builtins; builtins.__dict__.clear(); sys.modules.clear()",
        "exit 0|exit 1|signal 11",
    ),
    "dump core": ("resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); ctypes.string_at(1)", "signal 11"),
    "read input that never comes": ("sys.stdin.read(); print('end')", "exit 0"),
}
