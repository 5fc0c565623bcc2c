"""What ps(1) shows of a process, in place of the interpreter's path and arguments. Loaded into monitors."""

from __future__ import annotations

import os

from runtime.kernel import libc, process_calls

__all__ = ["restore_title", "set_title"]

# Counted from the field behind the program's name, which may hold spaces (proc_pid_stat(5)).
_ARG_START, _ARG_END = 48 - 3, 49 - 3


def set_title(name: str, text: str) -> bytes:
    """Show ``text``; gives what it was.

    The memory of the arguments is written over, as setproctitle(3) does it, and the text is cut to its size.
    A last byte that is not zero tells the kernel that the text ends at its first zero (proc_pid_cmdline(5)).
    ``name`` is the thread's, 15 bytes at most. Best effort: a title that cannot be set stays.
    """
    process_calls.prctl(process_calls.PR_SET_NAME, name.encode())
    start, room = _arguments()
    if room < 3:
        return b""
    before = libc.buffer(room)
    libc.call("memcpy", before, start, room)
    shown = text.encode("utf-8", "surrogateescape").replace(b"\0", b" ")[: room - 2]
    libc.call("memcpy", start, shown.ljust(room - 1, b"\0") + b".", room)
    return bytes(before)


def restore_title(name: str, before: bytes) -> None:
    """Undo :func:`set_title`."""
    process_calls.prctl(process_calls.PR_SET_NAME, name.encode())
    start, room = _arguments()
    if len(before) == room:
        libc.call("memcpy", start, before, room)


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
