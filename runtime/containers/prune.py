"""prune: remove the containers that do not run."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence

from runtime.containers.list import list_containers
from runtime.containers.remove import remove
from runtime.context import Context
from runtime.errors import Conflict, NotFound
from runtime.model.container import Container

__all__ = ["prune"]


def prune(
    ctx: Context, *, labels: Sequence[str] = (), without: Sequence[str] = (), until: int | None = None
) -> tuple[list[str], int]:
    """Ids and bytes freed. ``labels`` ("NAME" or "NAME=VALUE") must all be there, none of ``without`` may;
    ``until`` (nanoseconds) keeps what was created later. One that somebody starts meanwhile stays."""
    limit = time.time_ns() if until is None else until
    removed, freed = [], 0
    for container in list_containers(ctx, all=True):
        if container.state.status.alive or container.created_at > limit:
            continue
        if not _matches(container, labels, without):
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


def _matches(container: Container, labels: Sequence[str], without: Sequence[str]) -> bool:
    own = container.config.labels
    return all(_has(own, text) for text in labels) and not any(_has(own, text) for text in without)


def _has(labels: Mapping[str, str], text: str) -> bool:
    name, equals, value = text.partition("=")
    return name in labels and (not equals or labels[name] == value)
