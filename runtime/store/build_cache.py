"""Rows of the build cache: a step's key and the layer that it made."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from runtime.model.record import record
from runtime.store.database import Database, Transaction

__all__ = ["CacheRow", "all_rows", "delete", "find", "layers_in_use", "put", "touch"]

_COLUMNS = "key, parent, description, result, size, created_at, used_at, use_count"


@record
class CacheRow:
    """``layer`` is a diff id, "" for a step that left the files as they were. Times are nanoseconds."""

    key: str
    parent: str
    description: str
    layer: str
    size: int
    created_at: int
    used_at: int
    use_count: int


def _row(values: tuple[str, str, str, str, int, int, int, int]) -> CacheRow:
    return CacheRow(*values[:3], json.loads(values[3])["layer"], *values[4:])


def find(db: Database | Transaction, key: str) -> CacheRow | None:
    row = db.row(f"SELECT {_COLUMNS} FROM build_cache WHERE key = ?", (key,))
    return _row(row) if row else None


def all_rows(db: Database | Transaction) -> list[CacheRow]:
    """Least recently used first."""
    return [_row(row) for row in db.rows(f"SELECT {_COLUMNS} FROM build_cache ORDER BY used_at, key")]


def put(
    tx: Transaction, key: str, *, parent: str, description: str, layer: str, size: int, created_at: int
) -> None:
    """A new row, in place of one of the same key."""
    tx.execute(
        f"INSERT OR REPLACE INTO build_cache ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
        (key, parent, description, json.dumps({"layer": layer}), size, created_at, time.time_ns()),
    )


def touch(tx: Transaction, keys: Sequence[str]) -> None:
    """They were used now."""
    now = time.time_ns()
    for key in keys:
        tx.execute("UPDATE build_cache SET used_at = ?, use_count = use_count + 1 WHERE key = ?", (now, key))


def delete(tx: Transaction, keys: Sequence[str]) -> None:
    for key in keys:
        tx.execute("DELETE FROM build_cache WHERE key = ?", (key,))


def layers_in_use(db: Database | Transaction) -> set[str]:
    """Diff ids that the cache refers to: whoever removes unused layers keeps these."""
    return {row.layer for row in all_rows(db) if row.layer}
