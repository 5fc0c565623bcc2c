"""A transaction that is not committed takes back what was done outside of the database with it."""

from __future__ import annotations

import gc
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.store.database import Database, Transaction


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "tuidock.db")
    yield database
    database.close()


def fail(tx: Transaction) -> None:
    raise RuntimeError("the verb failed")


def fill(tx: Transaction) -> None:
    """SQLITE_FULL, from a limit instead of a disk."""
    tx.execute("PRAGMA max_page_count = 1")
    tx.execute("INSERT INTO meta VALUES ('big', zeroblob(1000000))")


def break_a_promise(tx: Transaction) -> None:
    """So that it is the commit that fails."""
    tx.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    tx.execute("CREATE TABLE child (parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    tx.execute("INSERT INTO child VALUES (1)")


def roll_back(tx: Transaction) -> None:
    """As SQLite does by itself when it cannot undo a statement alone."""
    tx.execute("ROLLBACK")
    fail(tx)


@pytest.mark.parametrize(
    ("body", "raised"),
    [
        (fail, RuntimeError),
        (fill, sqlite3.OperationalError),
        (break_a_promise, sqlite3.IntegrityError),
        (roll_back, RuntimeError),
    ],
    ids=["body", "full", "commit", "rolled back by SQLite"],
)
def test_what_was_done_is_undone_last_first_while_others_wait(
    db: Database, body: Callable[[Transaction], None], raised: type[Exception]
) -> None:
    undone: list[str] = []
    other = sqlite3.connect(db.path, timeout=0, isolation_level=None)

    def undo(name: str) -> None:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        undone.append(name)

    with pytest.raises(raised) as caught, db.write() as tx:
        tx.execute("INSERT INTO meta VALUES ('first', '1')")
        tx.undo(lambda: undo("first"))
        tx.undo(lambda: undo("second"))
        body(tx)
    assert undone == ["second", "first"]
    assert not getattr(caught.value, "__notes__", [])
    assert db.row("SELECT 1 FROM meta WHERE key = 'first'") is None
    other.execute("BEGIN IMMEDIATE")  # the lock is free
    other.close()


def test_what_is_committed_stays(db: Database) -> None:
    with db.write() as tx:
        tx.execute("INSERT INTO meta VALUES ('first', '1')")
        tx.undo(lambda: pytest.fail("undone"))
    assert db.row("SELECT value FROM meta WHERE key = 'first'") == ("1",)


def test_an_undo_that_fails_does_not_replace_the_cause(db: Database) -> None:
    def refuse() -> None:
        raise OSError(16, "Device or resource busy")

    with pytest.raises(RuntimeError) as caught, db.write() as tx:
        tx.undo(refuse)
        fail(tx)
    assert caught.value.__notes__ == ["not all could be undone: [Errno 16] Device or resource busy"]
    with db.write() as tx:
        tx.execute("INSERT INTO meta VALUES ('next', '1')")


def test_a_thread_s_connection_is_closed_with_the_thread(db: Database) -> None:
    """Not when the collector of cycles comes by: its files would keep a file system busy until then."""
    gc.disable()
    try:
        for _ in range(3):
            thread = threading.Thread(target=lambda: db.rows("SELECT 1 FROM meta"))
            thread.start()
            thread.join()
        db.close()
        assert not [name for name in map(_target, os.listdir("/proc/self/fd")) if str(db.path) in name]
    finally:
        gc.enable()


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return ""
