"""Ranges of host ids that containers have to themselves.

A trigger takes the row away with the container's, whoever deletes that: the engine, a monitor, a repair.
"""

from __future__ import annotations

from collections.abc import Iterable

from runtime.store.database import Transaction

__all__ = ["allocate", "first_gap"]


def allocate(
    tx: Transaction,
    container_id: str,
    size: int,
    pool: tuple[int, int],
    begin: int,
    taken: Iterable[tuple[int, int]],
) -> int | None:
    """The start of ``size`` ids of ``pool`` (start, count) that nobody has; None when there are none.

    Looked for from ``begin`` on, and then from the pool's start; ``taken`` are ranges of others."""
    rows = tx.rows("SELECT start, size FROM id_range")
    blocked = sorted([*((row[0], row[1]) for row in rows), *taken])
    first, last = pool[0], pool[0] + pool[1]
    found = first_gap(blocked, size, begin, last)
    if found is None:
        found = first_gap(blocked, size, first, last)
    if found is not None:
        tx.execute("INSERT INTO id_range VALUES (?, ?, ?)", (container_id, found, size))
    return found


def first_gap(blocked: list[tuple[int, int]], size: int, start: int, end: int) -> int | None:
    """The lowest place in [start, end) for ``size`` ids between the sorted ``blocked`` (start, count)."""
    at = start
    for begin, count in blocked:
        if begin >= at + size:
            break
        at = max(at, begin + count)
    return at if at + size <= end else None
