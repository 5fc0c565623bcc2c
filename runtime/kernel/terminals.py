"""Pseudo-terminals: opened in the container's own devpts instance, sized, made controlling (pts(4))."""

from __future__ import annotations

import fcntl
import os
import struct

from runtime.kernel import syscalls

__all__ = ["get_window_size", "make_controlling", "open_ptmx", "open_pty_in", "set_window_size"]

_TIOCSCTTY = 0x540E
_TIOCGWINSZ = 0x5413
_TIOCSWINSZ = 0x5414
_TIOCGPTN = 0x80045430
_TIOCSPTLCK = 0x40045431
_TIOCGPTPEER = 0x5441


def open_ptmx(root_fd: int, path: str = "dev/pts/ptmx") -> tuple[int, int]:
    """A new master and its number, from the devpts instance of the root ``root_fd``.

    The path may follow no link and must end on devpts: an image decides what lies there
    (CVE-2025-52565). Raises SyscallError.
    """
    resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_MAGICLINKS
    probe = syscalls.openat2(root_fd, path, os.O_PATH, 0, resolve)
    try:
        if syscalls.fstatfs_type(probe) != syscalls.DEVPTS_SUPER_MAGIC:
            raise syscalls.SyscallError("open", f"/{path}, which is not a terminal multiplexer", 25)  # ENOTTY
    finally:
        os.close(probe)
    # Nothing of the image runs yet when a container starts. At exec time its processes could mount something
    # else here between the two calls only with CAP_SYS_ADMIN, so the second answer is checked by the ioctl.
    master = syscalls.openat2(root_fd, path, os.O_RDWR | os.O_NOCTTY, 0, resolve)
    try:
        number = struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, b"\0" * 4))[0]
        fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    except BaseException:
        os.close(master)
        raise
    return master, number


def open_pty_in(root_fd: int) -> tuple[int, int]:
    """(master, slave) of a new terminal of the container. The slave is opened through its master
    (TIOCGPTPEER), never by a path that the container could have replaced."""
    master, _number = open_ptmx(root_fd)
    try:
        slave = int(fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except BaseException:
        os.close(master)
        raise
    return master, slave


def set_window_size(fd: int, rows: int, columns: int) -> None:
    """In characters, clamped to 16 bit; the kernel sends SIGWINCH to the foreground process group."""
    size = struct.pack("HHHH", max(0, min(rows, 0xFFFF)), max(0, min(columns, 0xFFFF)), 0, 0)
    fcntl.ioctl(fd, _TIOCSWINSZ, size)


def get_window_size(fd: int) -> tuple[int, int]:
    """(rows, columns); (0, 0) when nobody has said. Raises OSError (ENOTTY) for what is no terminal."""
    rows, columns, _x, _y = struct.unpack("HHHH", fcntl.ioctl(fd, _TIOCGWINSZ, b"\0" * 8))
    return int(rows), int(columns)


def make_controlling(fd: int) -> None:
    """The caller's session, which it leads, gets ``fd`` as its controlling terminal."""
    fcntl.ioctl(fd, _TIOCSCTTY, 0)
