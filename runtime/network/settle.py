"""The firewall follows the rows, in a process of its own.

A container's monitor starts it (arguments: the state and the run directory) when a container with
published ports has ended, so that the monitor itself stays small.
"""

from __future__ import annotations

import sys
from pathlib import Path

from runtime.network import firewall
from runtime.store.database import Database

__all__ = ["main"]


def main() -> None:
    """Ends with an exception, and so with a trace on standard error, when the kernel refuses; the next
    start or reconcile tries again."""
    state, run_directory = sys.argv[1:3]
    path = Path(state) / "tuidock.db"
    if not path.exists():
        return  # the root has been removed meanwhile, and its table with it
    db = Database(path)
    row = db.row("SELECT value FROM meta WHERE key = 'root_id'")
    if row is not None:
        firewall.settle_root(db, row[0], run_directory, only_existing=True)


if __name__ == "__main__":
    main()
