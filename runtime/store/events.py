"""Reading events; they are written by :meth:`runtime.store.database.Transaction.event`."""

from __future__ import annotations

import json

from runtime.model.event import Event
from runtime.store.database import Database, Transaction

__all__ = ["KEEP", "last_of", "last_seq", "since", "trim"]

KEEP = 10_000
"""How many events are kept; the oldest go first."""


def last_seq(db: Database) -> int:
    row = db.row("SELECT coalesce(max(seq), 0) FROM event")
    return int(row[0]) if row else 0


def since(db: Database, seq: int, *, until: int | None = None, limit: int = 1000) -> list[Event]:
    """Events after ``seq``, oldest first; ``until`` is a time in nanoseconds."""
    rows = db.rows(
        "SELECT seq, time, type, action, actor, attributes FROM event"
        " WHERE seq > ? AND time <= ? ORDER BY seq LIMIT ?",
        (seq, until if until is not None else 1 << 62, limit),
    )
    return [Event(row[0], row[1], row[2], row[3], row[4], json.loads(row[5])) for row in rows]


def last_of(db: Database | Transaction, type: str, action: str, actor: str) -> int:
    """When that happened last (nanoseconds); 0 for never, or longer ago than events are kept."""
    row = db.row(
        "SELECT coalesce(max(time), 0) FROM event WHERE type = ? AND action = ? AND actor = ?",
        (type, action, actor),
    )
    return int(row[0]) if row else 0


def trim(tx: Transaction) -> None:
    tx.execute("DELETE FROM event WHERE seq <= (SELECT max(seq) FROM event) - ?", (KEEP,))
