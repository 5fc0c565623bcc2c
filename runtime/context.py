"""Context: the first argument of every verb."""

from __future__ import annotations

import os
from functools import cached_property

from runtime.config import Config, load
from runtime.paths import Paths
from runtime.store.database import Database

__all__ = ["Context"]


class Context:
    """Where things are, what was configured, the database. Safe to share between threads.

    Opening one makes the root's directories and brings the schema up to date.
    """

    def __init__(self, paths: Paths, config: Config) -> None:
        self.paths = paths
        self.config = config
        paths.ensure()
        self.db = Database(paths.database)
        self.root_id  # noqa: B018 - chosen now: it cannot be written inside somebody's transaction

    @classmethod
    def open(cls, root: str | os.PathLike[str] | None = None, config: Config | None = None) -> Context:
        """Raises InvalidInput for wrong settings, Denied without the privilege to use the root."""
        return cls(Paths.resolve(root), config if config is not None else load())

    @cached_property
    def root_id(self) -> str:
        """Six hex digits, chosen once per root: names our bridges (``td<root_id>-...``, 15 characters at
        most), our nftables table (``tuidock-<root_id>``) and our cgroup parent (``/tuidock/<root_id>``)."""
        row = self.db.row("SELECT value FROM meta WHERE key = 'root_id'")
        if row is None:
            with self.db.write() as tx:
                tx.execute("INSERT OR IGNORE INTO meta VALUES ('root_id', ?)", (os.urandom(3).hex(),))
            row = self.db.row("SELECT value FROM meta WHERE key = 'root_id'")
        assert row is not None
        return str(row[0])

    @property
    def cgroup_parent(self) -> str:
        """The cgroup path, below each hierarchy's root, that containers' groups are made in."""
        return self.config.cgroup_parent or f"/tuidock/{self.root_id}"
