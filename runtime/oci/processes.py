"""The processes of a container's group, for ``ps``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runtime import cgroups
from runtime.oci.state import Record

__all__ = ["ProcessRow", "processes"]


@dataclass(frozen=True)
class ProcessRow:
    """Ids as the machine sees them."""

    uid: int
    pid: int
    parent: int
    command: str


def processes(record: Record) -> list[ProcessRow]:
    """By pid; those that end meanwhile are left out."""
    found = []
    for pid in sorted(cgroups.detect().pids(record.cgroup)):
        directory = Path(f"/proc/{pid}")
        try:
            words = (directory / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            parent = int((directory / "stat").read_bytes().rpartition(b")")[2].split()[1])
            uid = directory.stat().st_uid
        except OSError:
            continue
        found.append(ProcessRow(uid, pid, parent, b" ".join(words).decode(errors="replace")))
    return found
