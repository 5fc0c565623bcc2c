"""The two sockets at which a container asks for names, and the start of the program that answers.

The monitor holds the sockets and nothing else: when a question comes it starts
:mod:`runtime.network.resolver` with them, stops watching, and watches again when that program has ended
(after some idle time). So a container that asks nothing costs nothing. Loaded into the monitor.
"""

from __future__ import annotations

import _socket
import os
import sys

from runtime.kernel import syscalls

__all__ = ["ADDRESS", "PORT", "open_sockets", "open_sockets_here", "resolver_command", "spawn"]

ADDRESS = "127.0.0.11"
PORT = 41053
"""Not 53: a container's own name server may bind that. A rule in the namespace leads 53 here."""


def open_sockets(netns: int) -> tuple[int, int]:
    """UDP and listening TCP at 127.0.0.11 in the network namespace ``netns`` (a descriptor); ``lo`` need not
    be up yet. For a process with one thread, which comes back to its own namespace. Raises OSError."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.setns(netns, syscalls.CLONE_NEWNET)
        try:
            return open_sockets_here()
        finally:
            syscalls.setns(own, syscalls.CLONE_NEWNET)
    finally:
        os.close(own)


def open_sockets_here() -> tuple[int, int]:
    """The same in the network namespace that the caller is in."""
    udp = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    tcp = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    for sock in (udp, tcp):
        # 127.0.0.11 is an address only once lo is up, and the engine raises it meanwhile.
        sock.setsockopt(_socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND, ip(7)
        sock.bind((ADDRESS, PORT))
    tcp.listen(32)
    return udp.detach(), tcp.detach()


def resolver_command(state: str, container_id: str, upstreams: tuple[str, ...]) -> list[str]:
    """The argument vector for :func:`spawn`; the standard library is all that the program needs."""
    package = __file__.rsplit("/", 3)[0]
    boot = f"import sys; sys.path.insert(0, {package!r}); from runtime.network.resolver import main; main()"
    return [sys.executable, "-I", "-S", "-c", boot, state, container_id, *upstreams]


def spawn(argv: list[str], sockets: tuple[int, int]) -> int:
    """The answering program (:func:`resolver_command`), the sockets its descriptors 3 and 4; its pid."""
    spare = [os.dup(fd) for fd in sockets]
    high = [_above(fd) for fd in spare]
    actions = [(os.POSIX_SPAWN_DUP2, high[0], 3), (os.POSIX_SPAWN_DUP2, high[1], 4)]
    try:
        return os.posix_spawn(argv[0], argv, {"PATH": "/usr/bin:/bin"}, file_actions=actions)
    finally:
        for fd in (*spare, *high):
            os.close(fd)


def _above(fd: int) -> int:
    """A duplicate that is neither 3 nor 4, so that placing one cannot overwrite the other."""
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
