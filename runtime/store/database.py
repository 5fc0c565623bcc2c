"""The SQLite connection: one per thread, WAL, short immediate write transactions.

The monitors use this module too, so it imports nothing heavier than ``sqlite3``.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.errors import Unavailable
from runtime.store import reserve
from runtime.store.schema import MIGRATIONS

__all__ = ["Database", "Transaction"]

Row = tuple[Any, ...]


class Transaction:
    """A write in progress. What it changes and the events it adds become visible together."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: tuple[Any, ...] | dict[str, Any] = ()) -> sqlite3.Cursor:
        return self._connection.execute(sql, parameters)

    def rows(self, sql: str, parameters: tuple[Any, ...] | dict[str, Any] = ()) -> list[Row]:
        return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: tuple[Any, ...] | dict[str, Any] = ()) -> Row | None:
        found: Row | None = self._connection.execute(sql, parameters).fetchone()
        return found

    def event(self, type: str, action: str, actor: str, **attributes: str) -> None:
        """Tell everybody who watches; docker's types and actions. A container's labels come along."""
        import json

        self._connection.execute(
            "INSERT INTO event (time, type, action, actor, attributes) VALUES (?, ?, ?, ?, json_patch("
            "coalesce((SELECT json_extract(config, '$.labels') FROM container WHERE id = ?), '{}'), ?))",
            (time.time_ns(), type, action, actor, actor, json.dumps(attributes)),
        )


class Database:
    """``rows``/``row`` read; ``write()`` is a context manager that commits or rolls back.

    On a file system that is read-only or completely full what was last written can be read, and
    :attr:`read_only` is true. Raises ``sqlite3.Error`` for a database that cannot be read; the verb's
    boundary translates.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.read_only = bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
        self._full = False
        self._snapshot: bytes | None = None
        if self.read_only and path.exists():
            self._load_snapshot()
        elif not self.read_only:
            reserve.adjust(str(path.parent))
        try:
            self._migrate()
        except sqlite3.OperationalError as error:
            if not path.exists() or not _needs_space(error):
                raise
            self.read_only = self._full = True
            self._load_snapshot()
            self._migrate()

    def _load_snapshot(self) -> None:
        from runtime.store.snapshot import snapshot

        self._local = threading.local()
        self._snapshot = snapshot(self.path)

    def _connect(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None or self._local.pid != os.getpid():
            place = self.path if self._snapshot is None else ":memory:"
            connection = sqlite3.connect(place, timeout=30, isolation_level=None, check_same_thread=False)
            if self._snapshot is None:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
            else:
                connection.deserialize(self._snapshot)
            connection.execute("PRAGMA foreign_keys=ON")
            self._local.connection = connection
            self._local.pid = os.getpid()
        return connection

    def _migrate(self) -> None:
        connection = self._connect()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version >= len(MIGRATIONS):
            return
        with self.write() as tx:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
                for statement in _statements(script):
                    tx.execute(statement)
                tx.execute(f"PRAGMA user_version = {number}")

    def rows(self, sql: str, parameters: tuple[Any, ...] | dict[str, Any] = ()) -> list[Row]:
        return self._connect().execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: tuple[Any, ...] | dict[str, Any] = ()) -> Row | None:
        found: Row | None = self._connect().execute(sql, parameters).fetchone()
        return found

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """An immediate transaction: waits up to 30 s for another writer. Keep it short. Raises Unavailable on
        a read-only file system."""
        if self._full:
            raise Unavailable(
                f"cannot change anything: no space left on device for {self.path.parent}",
                hint="the disk is full: free some space outside of tuidock",
                subject=str(self.path.parent),
            )
        if self.read_only:
            raise Unavailable(
                f"cannot change anything: {self.path.parent} is on a read-only file system",
                hint="mount it writable again, or choose another root directory with --root",
                subject=str(self.path.parent),
            )
        connection = self._connect()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield Transaction(connection)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    @property
    def data_version(self) -> int:
        """Changes when another connection has committed (costs some microseconds; sqlite.org/pragma.html)."""
        version: int = self._connect().execute("PRAGMA data_version").fetchone()[0]
        return version

    def close(self) -> None:
        """Close this thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None


def _needs_space(error: sqlite3.Error) -> bool:
    """SQLITE_FULL, or one of the names that it has for a shared index that finds no space."""
    name = getattr(error, "sqlite_errorname", "")
    return name == "SQLITE_FULL" or name.startswith(("SQLITE_IOERR_SHM", "SQLITE_IOERR_WRITE"))


def _statements(script: str) -> Iterator[str]:
    """``executescript`` would commit; so split at semicolons that end a complete statement."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        yield pending
