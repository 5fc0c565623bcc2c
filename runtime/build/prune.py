"""``builder du`` and ``builder prune``: what the cache holds, and letting go of it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from runtime.context import Context
from runtime.kernel.tree import remove_tree
from runtime.store import build_cache

__all__ = ["CacheRecord", "disk_usage", "prune"]


@dataclass(frozen=True)
class CacheRecord:
    """A row of ``builder du``. ``kind`` is "step" or "cache mount"; ``shared`` layers are an image's too, and
    stay when the record goes. Sizes are bytes, times nanoseconds."""

    id: str
    kind: str
    description: str
    size: int
    created_at: int
    used_at: int
    use_count: int
    shared: bool = False


def disk_usage(ctx: Context) -> list[CacheRecord]:
    """Least recently used first."""
    used = _image_layers(ctx)
    records = [
        CacheRecord(
            id=row.key,
            kind="step",
            description=row.description,
            size=row.size,
            created_at=row.created_at,
            used_at=row.used_at,
            use_count=row.use_count,
            shared=row.layer in used,
        )
        for row in build_cache.all_rows(ctx.db)
    ]
    records += [_mount_record(path) for path in _mounts(ctx)]
    return sorted(records, key=lambda record: record.used_at)


def prune(ctx: Context, *, all: bool = False, unused_for: int = 0) -> tuple[list[str], int]:
    """Remove records not used for ``unused_for`` nanoseconds: those that only the cache holds, and with
    ``all`` also those that images share and the cache mounts. (ids, bytes reclaimed).

    Layers that nothing needs any more are removed by the images' own collector, which this calls."""
    limit = time.time_ns() - unused_for
    gone: list[str] = []
    reclaimed = 0
    for record in disk_usage(ctx):
        if record.used_at > limit or (not all and (record.shared or record.kind != "step")):
            continue
        gone.append(record.id)
        reclaimed += 0 if record.shared else record.size
        if record.kind == "cache mount":
            remove_tree(ctx.paths.build / "caches" / record.id)
            for suffix in ("id", "lock"):
                (ctx.paths.build / "caches" / f"{record.id}.{suffix}").unlink(missing_ok=True)
    with ctx.db.write() as tx:
        build_cache.delete(tx, gone)
        if gone:
            tx.event("builder", "prune", "", reclaimed=str(reclaimed))
    from runtime.images.sweep import sweep

    sweep(ctx)
    return gone, reclaimed


def _image_layers(ctx: Context) -> set[str]:
    import json

    rows = ctx.db.rows("SELECT layers FROM image UNION ALL SELECT layers FROM container")
    return {layer for row in rows for layer in json.loads(row[0])}


def _mounts(ctx: Context) -> list[Path]:
    directory = ctx.paths.build / "caches"
    return sorted(path for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []


def _mount_record(path: Path) -> CacheRecord:
    size = 0
    for parent, _, names, fd in os.fwalk(path):
        del parent
        size += sum(os.stat(name, dir_fd=fd, follow_symlinks=False).st_size for name in names)
    name_file = path.with_name(f"{path.name}.id")
    name = name_file.read_text(encoding="utf-8") if name_file.is_file() else path.name
    stat = path.stat()
    return CacheRecord(path.name, "cache mount", name, size, stat.st_ctime_ns, stat.st_mtime_ns, 0)
