"""The layer cache: a step's key is what it stands on and what it does; the value is the layer it made.

Keys chain through content: a step stands on the diff ids below it, so two ways to the same files share what
follows. Metadata that a step can see (environment, user, directory, shell) is part of its definition.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from runtime.context import Context
from runtime.model.hashing import sha256
from runtime.model.record import record
from runtime.store import build_cache

__all__ = ["CachedLayer", "LayerCache", "key_of"]


@record
class CachedLayer:
    """``created_at`` is when the layer was made (nanoseconds), so that a build that is all cache gives
    the same image."""

    layer: str
    created_at: int


def key_of(layers: Sequence[str], definition: Sequence[object]) -> str:
    """Hexadecimal SHA-256 of what a step stands on and what it does."""
    text = json.dumps([list(layers), list(definition)], separators=(",", ":"), ensure_ascii=True)
    return sha256(text.encode()).hex()


class LayerCache:
    """One build's view of the cache. ``enabled`` False finds nothing and still stores. ``imported`` is asked
    for what is not here. ``records`` are the steps that were found or made."""

    def __init__(
        self,
        ctx: Context,
        *,
        enabled: bool = True,
        imported: Callable[[str], CachedLayer | None] | None = None,
    ) -> None:
        self._ctx = ctx
        self.enabled = enabled
        self._imported = imported
        self._used: list[str] = []
        self.records: dict[str, CachedLayer] = {}

    def find(self, key: str, *, enabled: bool = True) -> CachedLayer | None:
        """A layer that still is in the store."""
        if not (self.enabled and enabled):
            return None
        row = build_cache.find(self._ctx.db, key)
        if row is not None and row.layer and not self._present(row.layer):
            with self._ctx.db.write() as tx:
                build_cache.delete(tx, [key])
            row = None
        found = CachedLayer(row.layer, row.created_at) if row is not None else None
        if found is None and self._imported is not None:
            found = self._imported(key)
        if found is not None:
            self._used.append(key)
            self.records[key] = found
        return found

    def _present(self, diff_id: str) -> bool:
        row = self._ctx.db.row("SELECT directory FROM layer WHERE diff_id = ?", (diff_id,))
        return row is not None and (self._ctx.paths.layers / row[0]).is_dir()

    def store(
        self, key: str, layer: str, *, parent: str, description: str, size: int, created_at: int
    ) -> CachedLayer:
        with self._ctx.db.write() as tx:
            build_cache.put(
                tx,
                key,
                parent=parent,
                description=description,
                layer=layer,
                size=size,
                created_at=created_at,
            )
        self.records[key] = made = CachedLayer(layer, created_at)
        return made

    @contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """Only one build at a time makes a step; the others wait and find it. A build that dies lets go."""
        directory = self._ctx.paths.build / "locks"
        directory.mkdir(mode=0o700, exist_ok=True)
        path = directory / key
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                if os.stat(path).st_ino == os.fstat(descriptor).st_ino:  # noqa: PTH116 - compared with fstat
                    break
            except FileNotFoundError:
                pass
            os.close(descriptor)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)

    def close(self) -> None:
        """Note what was used, where that can be written: it only tells what to remove first, and neither
        fails a build that is done nor hides why one has failed."""
        if self._used:
            with suppress(sqlite3.Error), self._ctx.db.write(lasting=False) as tx:
                build_cache.touch(tx, self._used)
            self._used = []
