"""Processes without the race of a reused pid: a pid counts together with its start time."""

from __future__ import annotations

import os

__all__ = ["open_pidfd", "send", "start_time"]


def open_pidfd(pid: int) -> int:
    """pidfd_open(2): readable when the process has ended. Raises ProcessLookupError when there is none."""
    return os.pidfd_open(pid)


def send(pidfd: int, signal: int) -> None:
    """pidfd_send_signal(2). Raises SyscallError (ESRCH) when the process has ended."""
    from runtime.kernel import syscalls  # ctypes, which only asking for a start time does without

    syscalls.pidfd_send_signal(pidfd, signal)


def start_time(pid: int) -> int:
    """When the process started, in clock ticks since boot (proc(5), stat field 22); 0 when there is none."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        data = os.read(fd, 4096)
    except OSError:  # ESRCH: it went away between open and read
        return 0
    finally:
        os.close(fd)
    # The second field is the program's name in parentheses, which may hold blanks and parentheses itself.
    return int(data.rpartition(b")")[2].split()[19])
