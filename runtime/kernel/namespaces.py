"""Namespaces by the OCI's names (runtime-spec config-linux.md, "Namespaces"), in the order that works."""

from __future__ import annotations

import _socket
import fcntl
import os
import struct

from runtime.kernel import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "FLAGS",
    "PROC_NAMES",
    "enter",
    "enter_fds",
    "flags_of",
    "loopback_up",
    "namespace_fds",
    "namespace_fds_at",
]

FLAGS = {
    "user": syscalls.CLONE_NEWUSER,
    "pid": syscalls.CLONE_NEWPID,
    "network": syscalls.CLONE_NEWNET,
    "ipc": syscalls.CLONE_NEWIPC,
    "uts": syscalls.CLONE_NEWUTS,
    "cgroup": syscalls.CLONE_NEWCGROUP,
    "time": syscalls.CLONE_NEWTIME,
    "mount": syscalls.CLONE_NEWNS,
}
"""In the order of entering: user gives the privilege for the others, mount takes away the paths."""

PROC_NAMES = {
    "user": "user", "pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup",
    "time": "time", "mount": "mnt",
}  # fmt: skip
"""The names under /proc/PID/ns."""

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def flags_of(names: Iterable[str]) -> int:
    """The CLONE_NEW* flags together, for unshare(2). Raises KeyError for an unknown name."""
    flags = 0
    for name in names:
        flags |= FLAGS[name]
    return flags


def namespace_fds(pid: int, names: Iterable[str]) -> dict[str, int]:
    """Descriptors of a process's namespaces (close-on-exec). Raises OSError, leaving none open."""
    process = os.open(f"/proc/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return namespace_fds_at(process, names)
    finally:
        os.close(process)


def namespace_fds_at(process: int, names: Iterable[str]) -> dict[str, int]:
    """The same of the process whose directory in /proc ``process`` is (a descriptor), which never becomes
    another one's. Raises OSError, ESRCH when it has ended."""
    fds: dict[str, int] = {}
    try:
        for name in names:
            fds[name] = os.open(f"ns/{PROC_NAMES[name]}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
    except OSError:
        for fd in fds.values():
            os.close(fd)
        raise
    return fds


def enter_fds(fds: dict[str, int]) -> None:
    """setns(2) into each, mount last; ``pid`` takes effect for the next child only. They stay open.

    The caller must have one thread: entering mount and user namespaces fails with EINVAL otherwise.
    """
    for name, flag in FLAGS.items():
        if name in fds:
            syscalls.setns(fds[name], flag)


def enter(pid: int, names: Iterable[str]) -> None:
    """Enter a process's namespaces."""
    fds = namespace_fds(pid, names)
    try:
        enter_fds(fds)
    finally:
        for fd in fds.values():
            os.close(fd)


def loopback_up() -> None:
    """Bring ``lo`` of the current network namespace up, which gives it 127.0.0.1 and ::1 (netdevice(7))."""
    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC, 0)
    try:
        request = struct.pack("16sH22x", b"lo", 0)
        flags = struct.unpack_from("H", fcntl.ioctl(sock.fileno(), _SIOCGIFFLAGS, request), 16)[0]
        fcntl.ioctl(sock.fileno(), _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | _IFF_UP))
    finally:
        sock.close()
