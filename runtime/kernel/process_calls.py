"""What a process changes of itself: unshare(2), setns(2), prctl(2), close_range(2). Loaded into monitors."""

from __future__ import annotations

import os

from runtime.kernel import libc

__all__ = ["close_range", "prctl", "setns", "unshare"]

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

CLOSE_RANGE_CLOEXEC = 4

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15

_CLOSE_RANGE = 436


def unshare(flags: int) -> None:
    """unshare(2)."""
    libc.check(libc.call("unshare", flags), "unshare", _clone_names(flags))


def setns(fd: int, flags: int) -> None:
    """setns(2)."""
    libc.check(libc.call("setns", fd, flags), "setns", _clone_names(flags))


def _clone_names(flags: int) -> str:
    names = [name for name, value in globals().items() if name.startswith("CLONE_NEW") and flags & value]
    return " ".join(names)


def prctl(option: int, *arguments: int | bytes) -> int:
    """prctl(2)."""
    return libc.check(libc.call("prctl", option, *[*arguments, 0, 0, 0, 0][:4]), "prctl", str(option))


def close_range(first: int, last: int, flags: int) -> None:
    """close_range(2); with CLOSE_RANGE_CLOEXEC they are only marked. ``last`` is inclusive."""
    result = libc.syscall(_CLOSE_RANGE, first, last, flags)
    if result == -1 and libc.errno() in (38, 22):  # ENOSYS before 5.9, EINVAL for the flag before 5.11
        _close_range_by_hand(first, last, flags)
    else:
        libc.check(result, "close_range", f"{first}-{last}")


def _close_range_by_hand(first: int, last: int, flags: int) -> None:
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if first <= fd <= last:
            try:
                if flags & CLOSE_RANGE_CLOEXEC:
                    os.set_inheritable(fd, False)
                else:
                    os.close(fd)
            except OSError:
                continue
