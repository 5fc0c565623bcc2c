"""``builder du`` and ``builder prune``: what the cache holds, and letting go of it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.context import Context
from runtime.kernel.tree import remove_tree
from runtime.store import build_cache

__all__ = ["CacheRecord", "collect_garbage", "disk_usage", "prune"]

_GARBAGE_EVERY = 3600
_UNUSED_FOR = 60 * 86400 * 10**9
"""BuildKit's default policy removes what was not used for 60 days."""


@dataclass(frozen=True)
class CacheRecord:
    """A row of ``builder du``. ``kind`` is BuildKit's: "regular" (a step's files) or "exec.cachemount".
    ``shared`` layers are an image's too, and stay when the record goes; a cache mount is ``in_use`` while a
    command has it. Sizes are bytes, times nanoseconds. ``parent`` is the id of the step below."""

    id: str
    kind: str
    description: str
    size: int
    created_at: int
    used_at: int
    use_count: int
    shared: bool = False
    in_use: bool = False
    parent: str = ""

    @property
    def mutable(self) -> bool:
        return self.kind == "exec.cachemount"

    @property
    def reclaimable(self) -> bool:
        return not self.in_use


def disk_usage(ctx: Context) -> list[CacheRecord]:
    """Least recently used first. Files of one layer count once."""
    used = _image_layers(ctx)
    rows = build_cache.all_rows(ctx.db)
    makers = {row.layer: row.key for row in rows if row.layer}
    counted: set[str] = set()
    records = []
    for row in rows:
        records.append(
            CacheRecord(
                id=row.key,
                kind="regular",
                description=row.description,
                size=0 if row.layer in counted else row.size,
                created_at=row.created_at,
                used_at=row.used_at,
                use_count=row.use_count,
                shared=row.layer in used,
                parent=makers.get(row.parent, ""),
            )
        )
        counted.add(row.layer)
    records += [_mount_record(path) for path in _mounts(ctx)]
    return sorted(records, key=lambda record: record.used_at)


def prune(
    ctx: Context,
    records: Sequence[CacheRecord] | None = None,
    *,
    all: bool = False,
    unused_for: int = 0,
    keep: int | None = None,
    free: int | None = None,
) -> list[CacheRecord]:
    """Remove records (of all, or of those given) not used for ``unused_for`` nanoseconds, the least recently
    used first: what only the cache holds, and with ``all`` also what images share. Nothing more is removed
    once the cache has no more than ``keep`` bytes, or the disk ``free`` bytes to spare. What went, with the
    size that is reclaimed.

    Layers that nothing needs any more are removed by the images' own collector, which this calls."""
    limit = time.time_ns() - unused_for
    found = disk_usage(ctx)
    wanted = None if records is None else {record.id for record in records}
    total = sum(record.size for record in found)
    gone: list[CacheRecord] = []
    for record in found:
        if keep is not None and total <= keep:
            break
        if free is not None and _free(ctx) + sum(item.size for item in gone) >= free:
            break
        if record.used_at > limit or (record.shared and not all):
            continue
        if (wanted is None or record.id in wanted) and _remove(ctx, record):
            total -= record.size
            gone.append(replace(record, size=0) if record.shared else record)
    if gone:
        with ctx.db.write() as tx:
            build_cache.delete(tx, [record.id for record in gone])
            reclaimed = sum(record.size for record in gone)
            tx.event("builder", "prune", "", reclaimed=str(reclaimed))
    from runtime.images.sweep import sweep

    sweep(ctx)
    return gone


def collect_garbage(ctx: Context) -> list[CacheRecord]:
    """After a build, at most once an hour: what nobody used for 60 days, then the least recently used above
    the setting ``builder.gc`` (docker's: ``defaultKeepStorage``, or by default a tenth of the disk)."""
    settings = ctx.config.builder
    stamp = ctx.paths.build / "collected"
    if not settings.enabled or (stamp.exists() and time.time() - stamp.stat().st_mtime < _GARBAGE_EVERY):
        return []
    stamp.touch()
    disk = os.statvfs(ctx.paths.build)
    keep = settings.keep if settings.keep is not None else disk.f_blocks * disk.f_frsize // 10
    gone = prune(ctx, unused_for=_UNUSED_FOR)
    return gone + prune(ctx, keep=keep)


def _free(ctx: Context) -> int:
    disk = os.statvfs(ctx.paths.build)
    return disk.f_bavail * disk.f_frsize


def _remove(ctx: Context, record: CacheRecord) -> bool:
    """A cache mount that a command has just taken stays."""
    if record.kind != "exec.cachemount":
        return True
    directory = ctx.paths.build / "caches" / record.id
    with _alone(directory) as alone:
        if not alone:
            return False
        remove_tree(directory)
        directory.with_name(f"{record.id}.id").unlink(missing_ok=True)
    return True


class _alone:
    """Holds a cache mount's lock when nobody else does."""

    def __init__(self, directory: Path) -> None:
        self._path = directory.with_name(f"{directory.name}.lock")

    def __enter__(self) -> bool:
        self._lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def __exit__(self, *exception: object) -> None:
        os.close(self._lock)


def _image_layers(ctx: Context) -> set[str]:
    import json

    rows = ctx.db.rows("SELECT layers FROM image UNION ALL SELECT layers FROM container")
    return {layer for row in rows for layer in json.loads(row[0])}


def _mounts(ctx: Context) -> list[Path]:
    directory = ctx.paths.build / "caches"
    return sorted(path for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []


def _mount_record(path: Path) -> CacheRecord:
    name_file = path.with_name(f"{path.name}.id")
    name = name_file.read_text(encoding="utf-8") if name_file.is_file() else path.name
    lock = path.with_name(f"{path.name}.lock")
    stat = path.stat()
    used = lock.stat().st_mtime_ns if lock.exists() else stat.st_mtime_ns
    with _alone(path) as alone:
        in_use = not alone
    return CacheRecord(
        path.name,
        "exec.cachemount",
        f"cached mount {name}",
        sum(_sizes(os.fspath(path))),
        name_file.stat().st_mtime_ns if name_file.is_file() else stat.st_ctime_ns,
        used,
        1,
        in_use=in_use,
    )


def _sizes(directory: str) -> Iterator[int]:
    """Of the files below, which a command may be changing."""
    seen: set[int] = set()
    for _, _, names, fd in os.fwalk(directory):
        for name in names:
            try:
                stat = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.st_nlink == 1 or stat.st_ino not in seen:
                seen.add(stat.st_ino)
                yield stat.st_size
