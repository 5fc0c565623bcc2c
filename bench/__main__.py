"""``python -m bench``: every measurement, or those that are named; the table as Markdown."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from bench.measure import Row, table
from bench.peers import available
from runtime.errors import EngineError

NAMES = ("run_bridge", "first_instruction", "exec", "memory", "logs", "build", "build_large", "images")
PEERS = ("tuidock", "docker", "podman")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all when none is named"
    )
    parser.add_argument("--runs", type=int, default=10, help="samples of each figure (default 10)")
    parser.add_argument(
        "--peer", action="append", choices=PEERS[1:], help="only against this one (repeatable)"
    )
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"no measurement is called {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if os.geteuid() != 0:
        parser.error("containers with networks need root")
    if not Path("/bin/busybox").exists():
        parser.error("the measurements need /bin/busybox (Debian: apt-get install busybox-static)")
    scratch = Path(tempfile.mkdtemp(prefix="tdb", dir="/tmp"))
    rows: list[Row] = []
    failed: list[str] = []
    try:
        with available(scratch, ["tuidock", *(options.peer or PEERS[1:])]) as peers:
            absent = [name for name in PEERS[1:] if name not in peers]
            if absent:
                print(f"not measured (not installed, see `make peers`): {', '.join(absent)}", file=sys.stderr)
            for name in options.names or NAMES:
                print(f"measuring {name} ...", file=sys.stderr, flush=True)
                try:
                    rows += importlib.import_module(f"bench.{name}").measure(peers, scratch, options.runs)
                except (RuntimeError, OSError, EngineError) as error:
                    failed.append(name)
                    print(f"{name} failed: {error}", file=sys.stderr)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    columns = [name for name in (*PEERS, "floor") if any(name in row.figures for row in rows)]
    machine = f"{platform.system()} {platform.release()}, {os.cpu_count()} cores"
    print(f"{machine}, Python {platform.python_version()}\n")
    print(table(rows, columns))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
