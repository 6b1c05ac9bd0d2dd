# ruff: noqa: E501 - a hostile program may be one long line
"""Reading, writing and learning about files that are not the program's own."""

DEEDS = {
    "read a file": "open(canary).read()",
    "read a file through its folder": "os.open('canary', os.O_RDONLY, dir_fd=os.open(folder, os.O_PATH))",
    "read a file from a changed folder": "os.chdir(folder); open('canary').read()",
    "read a file through /proc/self/root": "open('/proc/self/root' + canary).read()",
    "read a file by a re-opened O_PATH": "fd = os.open(canary, os.O_PATH); open(f'/proc/self/fd/{fd}').read()",
    "read a file by sendfile": "r, w = os.pipe(); os.sendfile(w, os.open(canary, os.O_RDONLY), 0, 100)",
    "read a file by a library call": "assert libc.fopen(canary.encode(), b'r'), 'refused'",
    "read a file as a module": "sys.path.insert(0, folder); import importlib; importlib.import_module('secret_module')",
    "read a file as a shared library": "ctypes.CDLL(folder + '/library.so')",
    "read a file by openat2": "raw('openat2', -100, canary.encode(), struct.pack('QQQ', 0, 0, 0), 24)",
    "read a file by its handle": """
buffer = ctypes.create_string_buffer(struct.pack('Ii', 128, 0) + bytes(128)); mount = ctypes.c_int()
raw('name_to_handle_at', -100, canary.encode(), buffer, ctypes.byref(mount), 0)""",
    "read another package's tests": "open(packages + '/hidden_tests.py').read()",
    "import another package": "sys.path.append(packages); import hidden_tests",
    "list a folder": "assert os.listdir(folder)",
    "list the root": "os.listdir('/')",
    "read /etc/passwd": "open('/etc/passwd').read()",
    "read the home": "os.listdir(os.path.expanduser('~root')) or os.listdir('/home')",
    "read the parent's environment": "open(f'/proc/{parent}/environ').read()",
    "read the server's environment": "open(f'/proc/{os.getppid()}/environ').read()",
    "read the parent's memory": "open(f'/proc/{parent}/mem', 'rb')",
    "read the parent's arguments": "open(f'/proc/{parent}/cmdline').read()",
    "follow the parent's descriptors": "os.listdir(f'/proc/{parent}/fd')",
    "follow the victim's folder": "os.readlink(f'/proc/{victim}/cwd')",
    "read its own maps": "open('/proc/self/maps').read()",
    "read the kernel's log": "raw('syslog', 3, ctypes.create_string_buffer(100), 100)",
    "make a file": "open(folder + '/new', 'w')",
    "make a file in /tmp": "os.close(os.open('/tmp/lab-attack', os.O_CREAT | os.O_WRONLY)); os.unlink('/tmp/lab-attack')",
    "make a nameless file": "os.open(folder, os.O_TMPFILE | os.O_RDWR)",
    "make a file in /dev/shm": "open('/dev/shm/lab-attack', 'w'); os.unlink('/dev/shm/lab-attack')",
    "overwrite a file": "open(canary, 'w').write('x')",
    "append to a file": "open(canary, 'a').write('x')",
    "overwrite a readable file": "open(packages + '/bystander.py', 'w').write('x')",
    "truncate a readable file while reading": "os.open(packages + '/bystander.py', os.O_RDONLY | os.O_TRUNC)",
    "truncate a readable file by access mode 3": "os.open(packages + '/bystander.py', 3 | os.O_TRUNC)",
    "truncate a file by its path": "os.truncate(packages + '/bystander.py', 0)",
    "map a readable file for writing": "mmap.mmap(os.open(packages + '/bystander.py', os.O_RDWR), 10)[0:1] = b'x'",
    "delete a file": "os.unlink(canary)",
    "rename a file": "os.rename(canary, canary + '2')",
    "link a file": "os.link(canary, folder + '/link')",
    "link a file by a symlink": "os.symlink(canary, folder + '/symlink')",
    "make a folder": "os.mkdir(folder + '/new')",
    "remove a folder": "os.rmdir(folder + '/empty')",
    "make a pipe in the tree": "os.mkfifo(folder + '/fifo')",
    "make a device": "os.mknod(folder + '/device', 0o20600, os.makedev(1, 1))",
    "change a mode": "os.chmod(canary, 0o777)",
    "change a mode through a descriptor": "os.fchmod(os.open(packages + '/bystander.py', os.O_RDONLY), 0o777)",
    "change an owner": "os.chown(canary, os.getuid(), os.getgid())",
    "change a date": "os.utime(canary, (0, 0))",
    "change a date through a descriptor": "os.utime(os.open(packages + '/bystander.py', os.O_RDONLY), (0, 0))",
    "set an attribute": "os.setxattr(canary, 'user.mark', b'x')",
    "lock a readable file": "fcntl.flock(os.open(packages + '/bystander.py', os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)",
    "lease a readable file": "fcntl.fcntl(os.open(packages + '/bystander.py', os.O_RDONLY), 1024, fcntl.F_RDLCK)",
    "watch a folder": """
watch = raw('inotify_init1', 0)
raw('inotify_add_watch', watch, folder.encode(), 0xfff)""",
    "mount a file system": "raw('mount', b'none', folder.encode(), b'tmpfs', 0, None)",
    "enter another root": "os.chroot(folder)",
    "make memory that is a file": "os.memfd_create('x')",
    "inherited descriptor": """
found = 0
for descriptor in range(5, 1024):
    try:
        os.fstat(descriptor)
    except OSError:
        continue
    found += 1
assert found, 'nothing was inherited'""",
    "talk through an inherited socket": """
import stat
kinds = [stat.S_ISSOCK(os.fstat(descriptor).st_mode) for descriptor in range(5)]
assert any(kinds), 'no socket was inherited'""",
}

# They write where they may, too much or too badly: the folder has to be clean after each.
SCRATCH_BOMBS = {
    "fill the disk": ("i = 0\nwhile True:\n    i += 1\n    open(f'f{i}', 'wb').write(bytes(1 << 20))", "disk|exit 1"),
    "fill one file": ("f = open('big', 'wb')\nwhile True: f.write(bytes(1 << 20))", "exit 1|disk"),
    "use up the inodes": ("i = 0\nwhile True:\n    i += 1\n    open(f'f{i}', 'w').close()", "disk"),
    "dig a deep folder": ("while True:\n    os.mkdir('d' * 200)\n    os.chdir('d' * 200)", "disk|timeout"),
    "close a folder to the cleaner": (
        "os.makedirs('a/b'); open('a/b/c', 'w').close(); os.mkdir('shut', 0)",
        "exit 0|disk",
    ),
    "leave many folders": ("for i in range(50): os.makedirs(f'{i}/x/y/z')", "exit 0|disk"),
}
