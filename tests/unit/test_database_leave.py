"""A process that ends leaves its connection open, and has the disk hold what must last."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from runtime.store import database
from runtime.store.database import LOG_PAGES, Database


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that were synchronized, by name; SQLite's own calls are not among them."""
    found: list[str] = []
    monkeypatch.setattr(
        os, "fdatasync", lambda fd: found.append(Path(os.readlink(f"/proc/self/fd/{fd}")).name)
    )
    monkeypatch.setattr(database, "_left", [])
    return found


def change(db: Database, *, lasting: bool) -> None:
    with db.write(lasting=lasting) as tx:
        tx.event("container", "noted", "x")


def test_what_lasts_is_synchronized_once(tmp_path: Path, synced: list[str]) -> None:
    db = Database(tmp_path / "t.db")
    db.leave()  # its own tables
    synced.clear()
    for _ in range(3):
        change(db, lasting=True)
    db.leave()
    assert synced == ["t.db-wal"]
    db.leave()
    assert synced == ["t.db-wal"]


def test_what_need_not_last_is_not_waited_for(tmp_path: Path, synced: list[str]) -> None:
    db = Database(tmp_path / "t.db")
    db.leave()
    synced.clear()
    change(db, lasting=False)
    db.rows("SELECT count(*) FROM event")
    db.leave()
    assert synced == []


def test_a_change_that_was_taken_back_is_none(tmp_path: Path, synced: list[str]) -> None:
    db = Database(tmp_path / "t.db")
    db.leave()
    synced.clear()
    with pytest.raises(sqlite3.Error), db.write() as tx:
        tx.execute("nonsense")
    db.leave()
    assert synced == []


def test_others_see_it_and_the_log_does_not_grow_for_ever(tmp_path: Path) -> None:
    """As after many commands, none of which closed its connection."""
    path = tmp_path / "t.db"
    for number in range(40):
        if os.fork() == 0:
            mine = Database(path)
            for _ in range(20):
                change(mine, lasting=False)
            mine.leave()
            os._exit(0)
        assert os.wait()[1] == 0
        if number % 10 == 9:
            again = sqlite3.connect(path)
            assert again.execute("SELECT count(*) FROM event").fetchone() == (20 * (number + 1),)
            again.execute("PRAGMA integrity_check")
            os.fork() or os._exit(0)  # a copy of an open connection that nobody closes does no harm
            os.wait()
    size = (tmp_path / "t.db-wal").stat().st_size if (tmp_path / "t.db-wal").exists() else 0
    assert size < 2 * LOG_PAGES * 4200
