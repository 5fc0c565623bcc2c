"""What containers leave in the kernel, as a set of words, so that a test can ask for it before and after.

Only roots that are named count, because others may be at work on the machine; with ``everything`` every link,
table and cgroup of any root counts.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Root", "left_in_kernel", "rows_of"]

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Root:
    """A root directory and the id that its links, table and cgroups are named after."""

    state: str
    root_id: str


def rows_of(state: str | os.PathLike[str], sql: str) -> list[str]:
    """The first column of what the database of a root answers, read without the engine."""
    connection = sqlite3.connect(f"file:{state}/tuidock.db?mode=ro", uri=True)
    try:
        return [str(row[0]) for row in connection.execute(sql)]
    finally:
        connection.close()


def left_in_kernel(roots: Iterable[Root], *, everything: bool = False) -> set[str]:
    """Mounts, links, tables, cgroups and processes of the roots, each in words."""
    known = tuple(roots)
    return {
        *_mounts(known),
        *_links(known, everything),
        *_tables(known, everything),
        *_cgroups(known, everything),
        *_processes(known),
    }


def _mounts(roots: tuple[Root, ...]) -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if any(root.state in line for root in roots):
            yield f"mount {line.split()[4]}"


def _links(roots: tuple[Root, ...], everything: bool) -> Iterator[str]:
    for name in os.listdir("/sys/class/net"):
        if any(name.startswith(f"td{root.root_id}") for root in roots) or (everything and _is_ours(name)):
            yield f"link {name}"


def _is_ours(name: str) -> bool:
    return name.startswith("td") and all(c in "0123456789abcdef" for c in name[2:8]) and len(name) > 8


def _tables(roots: tuple[Root, ...], everything: bool) -> Iterator[str]:
    nft = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
    if nft is None:
        raise AssertionError("the engine tests need nft (Debian: nftables); `make test` installs it")
    listed = subprocess.run([nft, "list", "tables"], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        name = line.split()[-1]
        if name.startswith("tuidock-") and (everything or any(name.endswith(r.root_id) for r in roots)):
            yield f"table {name}"


def _cgroups(roots: tuple[Root, ...], everything: bool) -> Iterator[str]:
    """Container groups below ``/tuidock/ROOT-ID`` in each hierarchy, and what still runs in them."""
    for hierarchy in (_CGROUPS, *(entry for entry in _CGROUPS.iterdir() if entry.is_dir())):
        ours = hierarchy / "tuidock"
        if not ours.is_dir():
            continue
        parents = list(ours.iterdir()) if everything else [ours / root.root_id for root in roots]
        for parent in parents:
            if parent.is_dir():
                yield from (f"cgroup {group}" for group in parent.iterdir() if group.is_dir())
                yield f"cgroup {parent}"


def _processes(roots: tuple[Root, ...]) -> Iterator[str]:
    """Monitors and helpers, by the root in their command line. Our own warm starter is no monitor yet."""
    for pid in os.listdir("/proc"):
        if not pid.isdigit() or int(pid) == os.getpid():
            continue
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state == "Z" or not any(root.state in argument for root in roots for argument in arguments):
            continue
        if "--starter" in arguments and name != "tuidock-monitor":
            continue
        yield f"process {pid} ({' '.join(arguments).strip()})"
