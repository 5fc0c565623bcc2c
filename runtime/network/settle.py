"""``python -m runtime.network.settle DATABASE ROOT_ID RUN_DIRECTORY``: the firewall follows the rows.

A container's monitor runs this when a container with published ports has ended, so that the monitor itself
stays small. Exit code 0, or 1 with one line on standard error.
"""

from __future__ import annotations

import sys
from pathlib import Path

from runtime.network import firewall
from runtime.store.database import Database

__all__ = ["main"]


def main(argv: list[str]) -> int:
    if len(argv) != 4:
        print("usage: settle DATABASE ROOT_ID RUN_DIRECTORY", file=sys.stderr)
        return 2
    _, database, root_id, run_directory = argv
    if not Path(database).exists():
        return 0  # the root has been removed meanwhile, and its table with it
    try:
        firewall.settle_root(Database(Path(database)), root_id, run_directory)
    except OSError as error:
        print(f"tuidock: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
