"""The SQLite connection: one per thread, WAL, short immediate write transactions.

The monitors use this module too, so it imports nothing heavier than ``sqlite3``.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from runtime.errors import EngineError, Unavailable
from runtime.store import reserve
from runtime.store.schema import MIGRATIONS

__all__ = ["Database", "Transaction"]

Row = tuple[Any, ...]
LOG_PAGES = 256
"""Of the write-ahead log (sqlite.org/wal.html), 4 KB each: so many are read again, in about a millisecond, by
the first command after one that did not close its connection."""


class Transaction:
    """A write in progress. What it changes and the events it adds become visible together."""

    __slots__ = ("_connection", "_undo")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._undo: list[Callable[[], object]] = []

    def undo(self, action: Callable[[], object]) -> None:
        """What takes back a change outside of the database that was just made, should this transaction not be
        committed. It is called while the transaction still keeps other writers out, the last one first, and
        must need no space on the disk: a full one is why most commits fail."""
        self._undo.append(action)

    def execute(self, sql: str, parameters: tuple[Any, ...] | dict[str, Any] = ()) -> sqlite3.Cursor:
        return self._connection.execute(sql, parameters)

    def rows(self, sql: str, parameters: tuple[Any, ...] | dict[str, Any] = ()) -> list[Row]:
        return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: tuple[Any, ...] | dict[str, Any] = ()) -> Row | None:
        found: Row | None = self._connection.execute(sql, parameters).fetchone()
        return found

    def event(self, type: str, action: str, actor: str, /, **attributes: str) -> None:
        """Tell everybody who watches; docker's types and actions. A container's labels come along."""
        import json

        self._connection.execute(
            "INSERT INTO event (time, type, action, actor, attributes) VALUES (?, ?, ?, ?, json_patch("
            "coalesce((SELECT json_extract(config, '$.labels') FROM container WHERE id = ?), '{}'), ?))",
            (time.time_ns(), type, action, actor, actor, json.dumps(attributes)),
        )


class _Held:
    """A thread's connection, closed when the thread has ended. A connection and its cache of statements hold
    each other, so alone it would keep its files open until the collector of cycles comes by. Another process
    (after a fork) must not close it (sqlite.org/howtocorrupt.html, 2.6)."""

    __slots__ = ("connection", "pid", "unsynced")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.pid = os.getpid()
        self.unsynced = False

    def __del__(self) -> None:
        if self.pid == os.getpid():
            self.connection.close()


_left: list[_Held] = []
"""Kept open to the end of the process: see :meth:`Database.leave`."""


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
        return self._held().connection

    def _held(self) -> _Held:
        held: _Held | None = getattr(self._local, "held", None)
        if held is None or held.pid != os.getpid():
            place = self.path if self._snapshot is None else ":memory:"
            connection = sqlite3.connect(place, timeout=30, isolation_level=None, check_same_thread=False)
            if self._snapshot is None:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
            else:
                connection.deserialize(self._snapshot)
            connection.execute("PRAGMA foreign_keys=ON")
            self._local.held = held = _Held(connection)
        return held

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
    def write(self, *, lasting: bool = True) -> Iterator[Transaction]:
        """An immediate transaction: waits up to 30 s for another writer. Keep it short. Raises Unavailable on
        a read-only file system. What is not ``lasting`` may be lost with the machine's power (never with
        the program): events, and what no longer holds after a boot anyway."""
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
        held = self._held()
        with _transaction(held.connection) as transaction:
            yield transaction
        held.unsynced = held.unsynced or lasting

    @contextmanager
    def amend(self) -> Iterator[Transaction]:
        """On a root that cannot be written: change what was read of it, in memory, for this process's
        readers. What is told then is what would be written."""
        assert self._snapshot is not None
        connection = self._connect()
        with _transaction(connection) as transaction:
            yield transaction
        self._snapshot = connection.serialize()

    @property
    def data_version(self) -> int:
        """Changes when another connection has committed (costs some microseconds; sqlite.org/pragma.html)."""
        version: int = self._connect().execute("PRAGMA data_version").fetchone()[0]
        return version

    def leave(self) -> None:
        """This process ends now: what was committed is made to last, in one go, and the connection is left to
        the kernel. Closing the last one would fold the log into the database, with four waits for the disk,
        for every command; like this it is folded when it has :data:`LOG_PAGES`."""
        held: _Held | None = getattr(self._local, "held", None)
        if held is None or held.pid != os.getpid():
            return
        _left.append(held)
        if held.unsynced:
            with suppress(FileNotFoundError):
                fd = os.open(f"{self.path}-wal", os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fdatasync(fd)
                finally:
                    os.close(fd)
            held.unsynced = False

    def close(self) -> None:
        """Close this thread's connection."""
        held: _Held | None = getattr(self._local, "held", None)
        if held is not None:
            held.connection.close()
            self._local.held = None


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[Transaction]:
    connection.execute("BEGIN IMMEDIATE")
    transaction = Transaction(connection)
    try:
        yield transaction
        connection.execute("COMMIT")
    except BaseException as error:
        _take_back(connection, transaction, error)
        raise


def _take_back(connection: sqlite3.Connection, transaction: Transaction, error: BaseException) -> None:
    """Undo and roll back; what fails of it becomes a note of ``error``, and is left to the next sweep.

    A full disk may have made SQLite roll back by itself (sqlite.org/lang_transaction.html, "Response To
    Errors Within A Transaction"): then other writers are kept out anew, which needs no space.
    """
    try:
        if transaction._undo and not connection.in_transaction:
            connection.execute("BEGIN IMMEDIATE")
        for action in reversed(transaction._undo):
            action()
    except (OSError, EngineError, sqlite3.Error) as failure:
        error.add_note(f"not all could be undone: {failure}")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


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
