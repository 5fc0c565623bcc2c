"""prune: remove the containers that do not run."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from runtime.containers.list import list_containers
from runtime.containers.remove import remove
from runtime.context import Context
from runtime.errors import Conflict, NotFound
from runtime.model.selection import Selection

__all__ = ["prune"]


def prune(
    ctx: Context, *, labels: Sequence[str] = (), without: Sequence[str] = (), until: int | None = None
) -> tuple[list[str], int]:
    """Ids and bytes freed, of what the filters select. One that somebody starts meanwhile stays."""
    chosen = Selection(labels, without, time.time_ns() if until is None else until)
    removed, freed = [], 0
    for container in list_containers(ctx, all=True):
        if container.state.status.alive or not chosen.takes(container.config.labels, container.created_at):
            continue
        size = _allocated(str(ctx.paths.container(container.id)))
        try:
            remove(ctx, container.id)
        except (Conflict, NotFound):
            continue
        removed.append(container.id)
        freed += size
    if removed:
        with ctx.db.write() as tx:
            tx.event("container", "prune", "", reclaimed=str(freed))
    return removed, freed


def _allocated(directory: str) -> int:
    """Bytes on the disk below a directory; what vanishes meanwhile is left out."""
    total, pending = 0, [directory]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError:
            continue
    return total
