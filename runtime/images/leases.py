"""Who is at work: temporary names that tell their owner, and a lease that keeps collectors away.

Whoever adds layers or images holds the lease shared (``flock``: the kernel drops it when the holder dies);
whoever removes layers takes it exclusively or leaves the work to the next :func:`runtime.images.sweep.sweep`.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["exclusive_lease", "is_abandoned", "lease", "temporary_name"]

_TEMPORARY = re.compile(r"\.tmp-(\d+)-(\d+)-[0-9a-f]+")


@contextmanager
def lease(ctx: Context) -> Iterator[None]:
    """Layers that are new or found while this is held are not collected. May be nested."""
    fd = _open(ctx)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        yield
    finally:
        os.close(fd)


@contextmanager
def exclusive_lease(ctx: Context) -> Iterator[bool]:
    """True when nobody is adding anything; False, at once, when somebody is."""
    fd = _open(ctx)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)


def _open(ctx: Context) -> int:
    return os.open(ctx.paths.layers / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def temporary_name() -> str:
    """A name for a file or directory in the making; it tells which process makes it."""
    pid = os.getpid()
    return f".tmp-{pid}-{_start_time(pid)}-{os.urandom(4).hex()}"


def is_abandoned(name: str) -> bool:
    """Is this a temporary name whose process is gone (or its pid somebody else's by now)?"""
    match = _TEMPORARY.fullmatch(name)
    return match is not None and _start_time(int(match[1])) != int(match[2])


def _start_time(pid: int) -> int:
    """Field 22 of /proc/PID/stat (proc(5)), in clock ticks since boot; 0 when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(stat.rpartition(b")")[2].split()[19])
