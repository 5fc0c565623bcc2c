"""The database of a file system that is read-only (now): SQLite itself cannot open one in WAL mode there."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path

from runtime.errors import Unavailable

__all__ = ["snapshot"]


def snapshot(path: Path) -> bytes:
    """The database with what its log holds, to be loaded into memory (sqlite3_deserialize): copied to a place
    that can be written, for a moment. Raises Unavailable when there is none."""
    try:
        with tempfile.TemporaryDirectory(prefix="tuidock-") as place:
            copy = Path(place) / path.name
            shutil.copyfile(path, copy)
            log = path.with_name(path.name + "-wal")
            if log.exists():
                shutil.copyfile(log, copy.with_name(log.name))
            connection = sqlite3.connect(copy, isolation_level=None)
            try:
                connection.execute("PRAGMA journal_mode=DELETE").fetchone()
                return connection.serialize()
            finally:
                connection.close()
    except OSError as error:
        raise Unavailable(
            f"cannot read {path}: it is on a read-only file system and no temporary directory can be written",
            hint="set TMPDIR to a directory that can be written",
            subject=str(path),
        ) from error
