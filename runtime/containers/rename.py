"""rename."""

from __future__ import annotations

import sqlite3

from runtime.containers.create import _NAME, _taken
from runtime.context import Context
from runtime.errors import InvalidInput
from runtime.store import containers as store

__all__ = ["rename"]


def rename(ctx: Context, reference: str, name: str) -> None:
    """Raises Conflict when the name is taken, InvalidInput when it is no name."""
    if not reference or not name:
        raise InvalidInput("neither old nor new names may be empty")
    container = store.find(ctx.db, reference)
    if name == container.name:
        raise InvalidInput("renaming a container with the same name as its current name", subject=name)
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", subject=name
        )
    try:
        with ctx.db.write() as tx:
            store.rename(tx, container.id, name)
            tx.event("container", "rename", container.id, name=name, oldName=f"/{container.name}")
    except sqlite3.IntegrityError as error:
        raise _taken(ctx, name) from error
