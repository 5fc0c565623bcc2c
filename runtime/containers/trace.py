"""The trace of work on a container: its run directory, locked by whoever makes or removes the container.

Every command lists the run directories anyway (:func:`runtime.containers.reconcile.repair`). One that no
monitor, no starter and no such lock holds belongs to somebody who was killed, and what they left half-made or
half-removed is found by its name.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from runtime.context import Context
from runtime.kernel.flocks import Exclusive

__all__ = ["claim", "tracing"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def tracing(ctx: Context, container_id: str) -> Iterator[None]:
    """Hold the container's run directory while its row, its directory and its volumes come or go. It is
    removed at the end, when nobody has put anything into it."""
    path = ctx.paths.container_run(container_id)
    while True:
        path.mkdir(mode=0o700, exist_ok=True)
        try:
            fd = os.open(path, _DIRECTORY)
        except FileNotFoundError:
            continue
        fcntl.flock(fd, fcntl.LOCK_EX)
        # Between mkdir and flock somebody may have taken it for a dead one's and removed it.
        with suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(fd).st_ino:
                break
        os.close(fd)
    try:
        yield
        with suppress(OSError):
            path.rmdir()
    finally:
        os.close(fd)


@contextmanager
def claim(ctx: Context, container_id: str) -> Iterator[bool]:
    """True when nobody works on the container that the run directory is named after; none will meanwhile."""
    try:
        fd = os.open(ctx.paths.container_run(container_id), _DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        yield False
        return
    with Exclusive(fd) as ours:
        yield ours
