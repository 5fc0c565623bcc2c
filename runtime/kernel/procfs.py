"""Files of /proc that mean something to the kernel, and what a process shows of itself there.

A write that the image or a mount diverts to another file is a way out (CVE-2025-52881): so what is opened is
proven to be on procfs before anything is written to it.
"""

from __future__ import annotations

import ctypes
import errno
import os

from runtime.kernel import syscalls

__all__ = ["restore_title", "set_title", "write"]

# Counted from the field behind the program's name, which may hold spaces (proc_pid_stat(5)).
_ARG_START, _ARG_END = 48 - 3, 49 - 3


def write(path: str, text: str) -> None:
    """Write to a kernel file such as /proc/sys/net/ipv4/ip_forward. Raises SyscallError; EXDEV when something
    else than procfs is there."""
    fd = syscalls.openat2(syscalls.AT_FDCWD, path, os.O_WRONLY, 0, syscalls.RESOLVE_NO_MAGICLINKS)
    try:
        if syscalls.fstatfs_type(fd) != syscalls.PROC_SUPER_MAGIC:
            raise syscalls.SyscallError("write", path, errno.EXDEV)
        os.write(fd, text.encode())
    except syscalls.SyscallError:
        raise
    except OSError as error:
        raise syscalls.SyscallError("write", path, error.errno or 0) from error
    finally:
        os.close(fd)


def set_title(name: str, text: str) -> bytes:
    """What ps(1) shows of this process, in place of the interpreter's path and arguments; what it was.

    The memory of the arguments is written over, as setproctitle(3) does it, and the text is cut to its size.
    A last byte that is not zero tells the kernel that the text ends at its first zero (proc_pid_cmdline(5)).
    ``name`` is the thread's, 15 bytes at most. Best effort: a title that cannot be set stays.
    """
    syscalls.prctl(syscalls.PR_SET_NAME, name.encode())
    start, room = _arguments()
    if room < 3:
        return b""
    before = ctypes.string_at(start, room)
    shown = text.encode("utf-8", "surrogateescape").replace(b"\0", b" ")[: room - 2]
    ctypes.memmove(start, shown.ljust(room - 1, b"\0") + b".", room)
    return before


def restore_title(name: str, before: bytes) -> None:
    """Undo :func:`set_title`."""
    syscalls.prctl(syscalls.PR_SET_NAME, name.encode())
    start, room = _arguments()
    if len(before) == room:
        ctypes.memmove(start, before, room)


def _arguments() -> tuple[int, int]:
    """(address, size) of this process's arguments; (0, 0) when they cannot be found out."""
    try:
        fd = os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0, 0
    try:
        fields = os.read(fd, 4096).rpartition(b")")[2].split()
    finally:
        os.close(fd)
    start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    return (start, end - start) if start else (0, 0)
