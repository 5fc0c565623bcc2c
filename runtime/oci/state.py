"""What is kept of a container: a directory of its own below the state root, 0700 (CVE-2024-25621).

``state.json`` is the fact: the document as it was at create, the process with its start time (a pid alone may
be someone else's by now) and the group. ``start`` is a FIFO at which a created container's process waits,
``outcome`` the one on which it says why it could not go on; ``start`` is gone once it has been used.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import Conflict, InvalidInput, NotFound

__all__ = ["DEFAULT_ROOT", "Record", "Status", "containers", "open_record", "reserve"]

DEFAULT_ROOT = Path("/run/tuidock-oci")
Status = str
"""creating, created, running, paused or stopped."""
_ID = re.compile(r"[A-Za-z0-9_+.-]{1,1024}")


@dataclass
class Record:
    """One container's directory and what its ``state.json`` says."""

    directory: Path
    fields: dict[str, Any]

    @property
    def id(self) -> str:
        return self.directory.name

    @property
    def pid(self) -> int:
        return int(self.fields["pid"])

    @property
    def cgroup(self) -> str:
        return str(self.fields["plan"]["cgroup"])

    def save(self) -> None:
        """By rename: a reader finds the old or the new."""
        fresh = self.directory / "state.json.new"
        fresh.write_text(json.dumps(self.fields), encoding="utf-8")
        fresh.replace(self.directory / "state.json")

    def alive(self) -> bool:
        """The process that we started is there and no zombie."""
        try:
            text = Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return False
        return self.pid > 0 and int(text[19]) == self.fields["start_time"] and text[0] not in (b"Z", b"X")

    def status(self) -> Status:
        """Looked up, never remembered."""
        from runtime import cgroups

        if not self.pid:
            return "creating"
        if not self.alive():
            return "stopped"
        if cgroups.detect().frozen(self.cgroup):
            return "paused"
        return "created" if (self.directory / "start").exists() else "running"

    def document(self, status: Status = "", pid: int | None = None) -> dict[str, Any]:
        """The state of runtime.md, as hooks and ``state`` get it."""
        status = status or self.status()
        shown = self.pid if pid is None else pid
        return {
            "ociVersion": self.fields["config"]["ociVersion"],
            "id": self.id,
            "pid": 0 if status == "stopped" else shown,
            "status": status,
            "bundle": self.fields["bundle"],
            "rootfs": self.fields["plan"]["rootfs"],
            "created": self.fields["created"],
            "annotations": self.fields["config"].get("annotations") or {},
            "owner": "",
        }

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One verb at a time."""
        fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            # Not by closing alone: a process forked meanwhile shares the lock (flock(2)).
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)

    def remove(self) -> None:
        """The directory, with all that is in it."""
        shutil.rmtree(self.directory, ignore_errors=True)


def check_id(container_id: str) -> None:
    """Raises InvalidInput for what could not be a directory's name."""
    if not _ID.fullmatch(container_id) or container_id in (".", ".."):
        raise InvalidInput(f"invalid container ID {container_id!r}", hint="letters, digits and _ + - . only")


def reserve(root: Path, container_id: str, fields: dict[str, Any]) -> Record:
    """Take the id. Raises Conflict when it is taken."""
    check_id(container_id)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    record = Record(root / container_id, fields)
    try:
        record.directory.mkdir(mode=0o700)
    except FileExistsError as error:
        raise Conflict(f"container with given ID already exists: {container_id}") from error
    record.save()
    return record


def open_record(root: Path, container_id: str) -> Record:
    """Raises NotFound."""
    check_id(container_id)
    directory = root / container_id
    try:
        return Record(directory, json.loads((directory / "state.json").read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise NotFound(f"container {container_id} does not exist", subject=container_id) from error


def containers(root: Path) -> list[Record]:
    """All of a root, by id."""
    found = []
    for name in sorted(os.listdir(root)) if root.is_dir() else []:
        try:
            found.append(open_record(root, name))
        except (NotFound, InvalidInput):
            continue
    return found
