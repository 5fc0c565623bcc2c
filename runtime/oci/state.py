"""What is kept of a container: a directory of its own below the state root, 0700 (CVE-2024-25621).

``state.json`` is the fact: the document as it was at create, the process with its start time (a pid alone may
be someone else's by now) and the group. ``start`` is a FIFO at which a created container's process waits,
``outcome`` the one on which it says why it could not go on; nobody has ``start`` open once it has been used.

Whoever creates holds the directory's lock from its making on until the record no longer says ``creating``.
One that says so, or is not there yet, below a lock that is free belongs to a ``create`` that was killed.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import Conflict, InvalidInput, NotFound

__all__ = [
    "DEFAULT_ROOT", "Record", "Status", "check_id", "containers", "names", "open_record", "reserved",
    "unlock", "unowned",
]  # fmt: skip

DEFAULT_ROOT = Path("/run/tuidock-oci")
Status = str
"""creating, created, running, paused or stopped."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
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

        if not self.pid or self.fields.get("creating"):
            return "creating"
        if not self.alive():
            return "stopped"
        if cgroups.detect().frozen(self.cgroup):
            return "paused"
        return "created" if self._waits() else "running"

    def _waits(self) -> bool:
        """The process has the FIFO open: asked of the kernel (ENXIO, fifo(7)), since a ``start`` that was
        killed may have left the file."""
        try:
            os.close(os.open(self.directory / "start", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError:
            return False
        return True

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
        """One verb at a time. Raises NotFound when it was deleted meanwhile."""
        lock = self.lock()
        try:
            yield
        finally:
            unlock(lock)

    def lock(self) -> int:
        """The descriptor that holds the lock, for :func:`unlock`. Raises NotFound."""
        with suppress(FileNotFoundError):
            fd = os.open(self.directory, _DIRECTORY)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _is(self.directory, fd):
                return fd
            os.close(fd)
        raise _unknown(self.id)

    def remove(self) -> None:
        """The directory, with all that is in it."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def remove_unsaved(self) -> None:
        """A directory without ``state.json``: only what could be ours is removed, in case the root is
        somebody else's directory."""
        for name in ("state.json.new", "start", "outcome"):
            (self.directory / name).unlink(missing_ok=True)
        with suppress(OSError):
            self.directory.rmdir()


def unlock(lock: int) -> None:
    """Not by closing alone: a process forked meanwhile shares the lock (flock(2))."""
    fcntl.flock(lock, fcntl.LOCK_UN)
    os.close(lock)


def check_id(container_id: str) -> None:
    """Raises InvalidInput for what could not be a directory's name."""
    if not _ID.fullmatch(container_id) or container_id in (".", ".."):
        raise InvalidInput(f"invalid container ID {container_id!r}", hint="letters, digits and _ + - . only")


@contextmanager
def reserved(root: Path, container_id: str, fields: dict[str, Any]) -> Iterator[tuple[Record, int]]:
    """Take the id, with its lock held (by the descriptor). Raises Conflict when it is taken."""
    check_id(container_id)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    record = Record(root / container_id, fields)
    while True:
        try:
            record.directory.mkdir(mode=0o700)
        except FileExistsError as error:
            raise Conflict(f"container with given ID already exists: {container_id}") from error
        # Between mkdir and flock somebody may have taken it for a dead one's and removed it.
        with suppress(NotFound):
            lock = record.lock()
            break
    try:
        record.save()
        yield record, lock
    finally:
        unlock(lock)


def _is(directory: Path, fd: int) -> bool:
    """Is ``fd`` what has that name now?"""
    try:
        return directory.stat(follow_symlinks=False).st_ino == os.fstat(fd).st_ino
    except FileNotFoundError:
        return False


@contextmanager
def unowned(root: Path, container_id: str) -> Iterator[Record | None]:
    """The record, locked, of a ``create`` that was killed (no fields when it came to none); else None."""
    check_id(container_id)
    directory = root / container_id
    try:
        fd = os.open(directory, _DIRECTORY)
    except OSError:
        yield None
        return
    try:
        # Looked at without the lock first: what is complete never becomes incomplete.
        yield (
            Record(directory, _fields(directory)) if _incomplete(directory) and _take(directory, fd) else None
        )
    finally:
        os.close(fd)


def _incomplete(directory: Path) -> bool:
    fields = _fields(directory)
    return not fields or bool(fields.get("creating"))


def _take(directory: Path, fd: int) -> bool:
    """The lock, if nobody has it and the record is as it was."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return _is(directory, fd) and _incomplete(directory)


def _fields(directory: Path) -> dict[str, Any]:
    """Of ``state.json``; nothing where there is none."""
    try:
        fields: dict[str, Any] = json.loads((directory / "state.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return fields


def open_record(root: Path, container_id: str) -> Record:
    """Raises NotFound."""
    check_id(container_id)
    directory = root / container_id
    fields = _fields(directory)
    if not fields:
        raise _unknown(container_id)
    return Record(directory, fields)


def _unknown(container_id: str) -> NotFound:
    return NotFound(f"container {container_id} does not exist", subject=container_id)


def names(root: Path) -> list[str]:
    """Of the directories that may be containers'."""
    return [name for name in sorted(os.listdir(root)) if _ID.fullmatch(name)] if root.is_dir() else []


def containers(root: Path) -> list[Record]:
    """All of a root, by id."""
    found = []
    for name in names(root):
        with suppress(NotFound, NotADirectoryError):
            found.append(open_record(root, name))
    return found
