# ruff: noqa: E501 - a hostile program may be one long line
"""Every way to a listener of the driver's, and every family of socket."""

DEEDS = {
    "tcp": "socket.create_connection(('127.0.0.1', ports['tcp']), 2)",
    "tcp by asyncio": "asyncio.run(asyncio.open_connection('127.0.0.1', ports['tcp']))",
    "tcp by urllib": "import urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{ports['tcp']}\", timeout=1)",
    "tcp version 6": "socket.socket(socket.AF_INET6, socket.SOCK_STREAM)",
    "tcp fast open": "socket.socket().sendto(b'x', 0x20000000, ('127.0.0.1', ports['tcp']))",
    "udp": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', ports['udp']))",
    "listen": "socket.create_server(('127.0.0.1', 0))",
    "unix stream": "socket.socket(socket.AF_UNIX).connect(folder + '/stream')",
    "unix datagram": "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', folder + '/datagram')",
    "unix datagram from a pair": """
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
a.sendto(b'x', folder + '/datagram')""",
    "unix reconnect of a pair": "a, b = socket.socketpair(); a.connect(folder + '/stream')",
    "unix send from a stream pair": "a, b = socket.socketpair(); a.sendto(b'x', folder + '/datagram')",
    "unix abstract": "socket.socket(socket.AF_UNIX).connect('\\0' + ports['abstract'])",
    "names": "socket.getaddrinfo('example.org', 80) and socket.socket()",
    "raw packets": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "ping": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1)",
    "netlink": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "kernel crypto": "socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)",
    "virtual machine socket": "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)",
    "bluetooth": "socket.socket(31, socket.SOCK_RAW)",
    "can bus": "socket.socket(29, socket.SOCK_RAW)",
    "any other family": """
for family in range(1, 46):
    try:
        socket.socket(family, socket.SOCK_DGRAM)
        break
    except OSError as failure:
        if failure.errno not in (errno.EPERM,):
            break
else:
    raise OSError('every family is refused')""",
    "io_uring": "raw('io_uring_setup', 8, ctypes.create_string_buffer(120))",
    "shared memory": "raw('shmget', 0x1AB, 4096, 0o1600)",
    "semaphores": "raw('semget', 0x1AB, 1, 0o1600)",
    "message queue": "raw('msgget', 0x1AB, 0o1600)",
    "posix message queue": "raw('mq_open', b'lab-attack', 0o102, 0o600, None)",
    "posix shared memory": "from multiprocessing import shared_memory; shared_memory.SharedMemory(create=True, size=10)",
    "kernel keys": "raw('add_key', b'user', b'lab-attack', b'x', 1, -3)",
    "kernel programs": "raw('bpf', 0, ctypes.create_string_buffer(struct.pack('IIII', 2, 4, 4, 1) + bytes(112)), 128)",
    "performance counters": "raw('perf_event_open', ctypes.create_string_buffer(struct.pack('II', 1, 112) + bytes(104)), 0, -1, -1, 0)",
    "user faults": "raw('userfaultfd', 1)",
}
