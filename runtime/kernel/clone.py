"""unshare(2), setns(2) and prctl(2): what a process changes of itself. Loaded into every monitor."""

from __future__ import annotations

from runtime.kernel import libc

__all__ = ["prctl", "setns", "unshare"]

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15


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
