"""POSIX record locks: held by a process, dropped by the kernel when it dies, visible to others with its pid.

fcntl(2), "Advisory record locking". Closing any descriptor of the file drops the holder's lock, so the
holder opens it once. A child made by fork does not hold it.
"""

from __future__ import annotations

import _struct as struct  # the C module: the Python one is one more file to find
import fcntl
import os

__all__ = ["hold", "holder"]

# struct flock: l_type, l_whence (short), then l_start, l_len (off_t, aligned to 8) and l_pid (int).
_FLOCK = "hhqqi4x"
_SEEK_SET = 0


def hold(fd: int) -> bool:
    """Take the write lock over the whole file, without waiting. False when another process has it."""
    request = struct.pack(_FLOCK, fcntl.F_WRLCK, _SEEK_SET, 0, 0, 0)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLK, request)
    except (BlockingIOError, PermissionError):
        return False
    return True


def holder(path: str) -> int:
    """The pid of the process that holds the lock of ``path``; 0 when it is free or the file is missing.

    A holder in a pid namespace that we cannot see into shows as -1.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        answer = fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, _SEEK_SET, 0, 0, 0))
    finally:
        os.close(fd)
    kind, _whence, _start, _length, pid = struct.unpack(_FLOCK, answer)
    if kind == fcntl.F_UNLCK:
        return 0
    return int(pid) or -1
