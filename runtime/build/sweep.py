"""What a killed build leaves, and taking it away."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from runtime.context import Context
from runtime.images.leases import is_abandoned
from runtime.kernel.tree import remove_tree

__all__ = ["abandoned", "sweep"]

_DIGESTS_KEPT = 30 * 86400


def abandoned(ctx: Context) -> list[Path]:
    """What builds that are dead had in the making."""
    return [path for path in sorted(ctx.paths.build.iterdir()) if is_abandoned(path.name)]


def sweep(ctx: Context) -> list[str]:
    """Remove containers and directories of dead builds, locks that nobody holds, and digests not used
    for a month. What was done, in words."""
    done: list[str] = []
    if ctx.db.row("SELECT 1 FROM container WHERE internal = 1 LIMIT 1"):
        from runtime.containers.reconcile import remove_dead_builds

        done += remove_dead_builds(ctx)
    for path in abandoned(ctx):
        remove_tree(path)
        done.append(f"removed what a build left half-made: {path.name}")
    locks = ctx.paths.build / "locks"
    for path in sorted(locks.iterdir()) if locks.is_dir() else []:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)
    digests = ctx.paths.build / "digests"
    for path in sorted(digests.iterdir()) if digests.is_dir() else []:
        if time.time() - path.stat().st_mtime > _DIGESTS_KEPT:
            path.unlink(missing_ok=True)
    return done
