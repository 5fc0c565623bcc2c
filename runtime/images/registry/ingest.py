"""Blobs on their way in: a file by digest that one puller writes, that survives a kill, and that the next one
goes on with.

The file is in ``content/ingest`` and locked (``flock``) by whoever writes it, so that two pulls of one layer
share the work: the second waits, and then finds it done. Nothing reads it as content before its digest was
checked and it was renamed into the store.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import Cancelled, Failed
from runtime.images.compression import CHUNK
from runtime.images.content import blob_path, ensure_layout
from runtime.images.registry.faults import BadContent
from runtime.model.event import CancelEvent

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["Ingest", "sweep_ingest"]

_POLL = 0.05


class Ingest:
    """One blob: the writer ``append``s and ``verify``s, a reader of the same process follows with ``read``
    while it grows. ``close`` keeps what there is for the next time; ``commit`` makes it content."""

    def __init__(self, ctx: Context, digest: str, size: int, cancel: CancelEvent | None = None) -> None:
        """Waits while another process or thread writes this blob. Raises Cancelled."""
        self._target = blob_path(ctx, digest)
        ensure_layout(ctx)
        directory = ctx.paths.content / "ingest"
        directory.mkdir(mode=0o700, exist_ok=True)
        self._path: Path = directory / self._target.name
        self.digest = digest
        self.size = size
        self._cancel = cancel
        self.fd = self._locked()
        self._hash = hashlib.sha256()
        self._condition = threading.Condition()
        self._error: BaseException | None = None
        self._complete = False
        self._given_up = False
        self._read = 0
        self.start = 0
        self.position = 0
        try:
            self._take_up()
        except BaseException:
            os.close(self.fd)
            raise
        self.pieced = self.position > 0
        """Put together from several answers, so that a wrong digest may be healed by one whole answer."""

    def __enter__(self) -> Ingest:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _locked(self) -> int:
        while True:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                while not _lock(fd):
                    if self._cancel is not None and self._cancel.is_set():
                        raise Cancelled("cancelled")
                    time.sleep(_POLL)
                if _is_file(fd, self._path):
                    return fd
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)  # whoever held it has renamed or removed it: look again

    def _take_up(self) -> None:
        """Hash what is there; more than there can be is nothing."""
        if os.fstat(self.fd).st_size > self.size:
            os.ftruncate(self.fd, 0)
        while data := os.pread(self.fd, CHUNK, self.position):
            self._hash.update(data)
            self.position += len(data)
        os.utime(self.fd)

    def append(self, data: bytes) -> None:
        """Raises BadContent for more than ``size`` bytes, Failed when the disk is full."""
        if self._given_up:
            raise Cancelled("cancelled")
        if self.position + len(data) > self.size:
            raise BadContent(
                f"{self.digest[:19]}: the registry sends more than the {self.size} bytes that it announced",
                subject=self.digest,
            )
        self._hash.update(data)
        view = memoryview(data)
        try:
            while view:
                view = view[os.pwrite(self.fd, view, self.position + len(data) - len(view)) :]
        except OSError as error:
            raise Failed(
                f"cannot store {self.digest[:19]}: {error.strerror}",
                hint="free some disk space, for example with: tuidock system prune",
                subject=self.digest,
            ) from error
        with self._condition:
            self.position += len(data)
            self._condition.notify_all()

    def verify(self) -> None:
        """All has come: is it what was asked for? Raises BadContent, and forgets what is wrong."""
        digest = f"sha256:{self._hash.hexdigest()}"
        if self.position != self.size or digest != self.digest:
            had = self.position
            os.ftruncate(self.fd, 0)
            raise BadContent(
                f"the registry sent {digest[:19]} ({had} bytes)"
                f" instead of {self.digest[:19]} ({self.size} bytes)",
                subject=self.digest,
            )
        with self._condition:
            self._complete = True
            self._condition.notify_all()

    def fail(self, error: BaseException) -> None:
        """The reader gets ``error``."""
        with self._condition:
            self._error = error
            self._condition.notify_all()

    def give_up(self) -> None:
        """Nobody reads any more: the next ``append`` raises Cancelled."""
        self._given_up = True

    def read(self, n: int = CHUNK, /) -> bytes:
        """The next bytes in order, waiting for them; b"" once all was read and verified."""
        with self._condition:
            while self._read >= self.position and not self._complete:
                if self._error is not None:
                    raise self._error
                if self._cancel is not None and self._cancel.is_set():
                    raise Cancelled("cancelled")
                self._condition.wait(_POLL * 4)
            most = min(n if n >= 0 else CHUNK, CHUNK, self.position - self._read)
        data = os.pread(self.fd, most, self._read) if most else b""
        self._read += len(data)
        return data

    def reached(self) -> tuple[int, bool]:
        """How much can be read, and whether it is all and verified. Raises why no more will come."""
        with self._condition:
            if self._error is not None:
                raise self._error
            return self.position, self._complete

    def commit(self) -> str:
        """Make it content, verified as it is; returns the digest."""
        assert self._complete, "content is verified before it is kept"
        self._path.rename(self._target)
        return self.digest

    def discard(self) -> None:
        """Drop it: somebody else brought the same, or it is wrong."""
        self._path.unlink(missing_ok=True)

    def content(self) -> bytes:
        """All of a small verified blob."""
        return os.pread(self.fd, self.size, 0)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_file(fd: int, path: Path) -> bool:
    """Is the locked file still the one that has the name?"""
    try:
        there = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    ours = os.fstat(fd)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def sweep_ingest(ctx: Context, *, keep_bytes: int, keep_seconds: float) -> list[str]:
    """Drop partial downloads that nobody writes: old ones, and the oldest beyond ``keep_bytes``; in words."""
    directory = ctx.paths.content / "ingest"
    try:
        found = sorted(directory.iterdir(), key=lambda path: -path.stat().st_mtime)
    except (FileNotFoundError, NotADirectoryError):
        return []
    done: list[str] = []
    total = 0
    for path in found:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            info = os.fstat(fd)
            total += info.st_size
            old = time.time() - info.st_mtime > keep_seconds
            # A pull that waits for the lock looks again when the file is gone: see _locked.
            if (old or total > keep_bytes or not info.st_size) and _lock(fd) and _is_file(fd, path):
                path.unlink()
                total -= info.st_size
                if info.st_size:
                    done.append(f"partial download {path.name[:12]}: removed")
        finally:
            os.close(fd)
    return done
