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

from runtime.kernel.flocks import Exclusive
from runtime.kernel.pidfd import start_time

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["exclusive_lease", "is_abandoned", "lease", "temporary_name"]

_TEMPORARY = r"\.tmp-(\d+)-(\d+)-([0-9a-f]{8})?[0-9a-f]+"


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
    with Exclusive(_open(ctx)) as ours:
        yield ours


def _open(ctx: Context) -> int:
    return os.open(ctx.paths.layers / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def temporary_name() -> str:
    """A name for a file or directory in the making; it tells which process makes it, and in which boot: start
    times count from there, and a machine that boots as ever gives the same pids at the same times."""
    pid = os.getpid()
    return f".tmp-{pid}-{start_time(pid)}-{_boot()}{os.urandom(4).hex()}"


def is_abandoned(name: str) -> bool:
    """Is this a temporary name whose process is gone (or its pid somebody else's by now)?"""
    match = re.fullmatch(_TEMPORARY, name)
    if match is None:
        return False
    return start_time(int(match[1])) != int(match[2]) or match[3] not in (None, _boot())


def _boot() -> str:
    """Eight digits of this boot's id (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
