"""Holding the machine's ports that are published.

The firewall answers a published port, no process listens; so the container's monitor keeps a bound socket
that never listens, which makes the port taken for everybody else. Loaded into the monitor: no imports
beyond ``_socket``.
"""

from __future__ import annotations

import _socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["EPHEMERAL", "probe", "reserve", "reserve_sockets"]

EPHEMERAL = range(32768, 61000)
"""The kernel's default for net.ipv4.ip_local_port_range, which docker takes host ports from too."""


def _open(host_ip: str, protocol: str) -> _socket.socket:
    family = _socket.AF_INET6 if ":" in host_ip else _socket.AF_INET
    kind = _socket.SOCK_DGRAM if protocol == "udp" else _socket.SOCK_STREAM
    return _socket.socket(family, kind | _socket.SOCK_CLOEXEC)


def probe(host_ip: str, port: int, protocol: str) -> None:
    """Raises OSError when somebody holds the port (EADDRINUSE) or the address is not this machine's
    (EADDRNOTAVAIL). Connections that are only closing (TIME_WAIT) do not count."""
    sock = _open(host_ip, protocol)
    try:
        if protocol != "udp":
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        sock.bind((host_ip, port))
    finally:
        sock.close()


def reserve(host_ip: str, port: int, protocol: str) -> int:
    """A descriptor that holds the port. Replicas of one service hold it together (SO_REUSEPORT, same user).
    SO_REUSEADDR lets it be taken over TIME_WAIT and is switched off again: with it on, a program that
    sets the same could bind beside us. Raises OSError."""
    sock = _open(host_ip, protocol)
    try:
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEPORT, 1)
        if protocol != "udp":
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        sock.bind((host_ip, port))
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 0)
        if protocol == "udp":
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, 0)
    except OSError:
        sock.close()
        raise
    return sock.detach()


def reserve_sockets(bindings: Iterable[tuple[str, int, str]]) -> list[int]:
    """A descriptor for each (host ip, host port, protocol); all or none. Raises OSError naming the port."""
    import os

    held: list[int] = []
    for host_ip, port, protocol in bindings:
        try:
            held.append(reserve(host_ip, port, protocol))
        except OSError as error:
            for fd in held:
                os.close(fd)
            raise OSError(error.errno, f"bind {host_ip}:{port}/{protocol}: {error.strerror}") from error
    return held
