"""A container's log as bytes: what was read is appended, with an index beside it.

``log`` holds the raw output of both streams in the order of arrival; ``log.idx`` holds one
:data:`RECORD` per chunk. Lines are split by whoever reads (:mod:`runtime.containers.logs`). With
``max_size`` the pair is rotated at a chunk's end into ``log.1``, ``log.1.idx`` and so on.
"""

from __future__ import annotations

import os
import struct
import time

__all__ = ["RECORD", "LogWriter"]

RECORD = struct.Struct("<QQIB3x")
"""offset in the file, time in nanoseconds since the epoch, length, stream (1 stdout, 2 stderr)."""

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_MERGE_WINDOW = 1_000_000
"""Chunks of one stream within a millisecond share a record."""


class LogWriter:
    """Appends chunks. A full disk loses output, never the container: ``failed`` says so."""

    __slots__ = ("_fd", "_index", "_max_file", "_max_size", "_offset", "_path", "_pending", "failed")

    def __init__(self, path: str, max_size: int = 0, max_file: int = 1) -> None:
        self._path = path
        self._max_size = max_size
        self._max_file = max(1, max_file)
        self._pending: tuple[int, int, int, int] | None = None
        self.failed = ""
        self._open()

    def _open(self) -> None:
        self._fd = os.open(self._path, _FLAGS, 0o600)
        self._index = os.open(self._path + ".idx", _FLAGS, 0o600)
        self._offset = os.fstat(self._fd).st_size

    def write(self, stream: int, data: bytes) -> None:
        """Append; with ``max_size`` in pieces that end at a line's end, so that files keep that size."""
        while self._max_size and len(data) > (room := self._max_size - self._offset) > 0:
            cut = data.rfind(b"\n", 0, room) + 1 or data.find(b"\n", room) + 1 or len(data)
            if cut == len(data):
                break
            self._append(stream, data[:cut])
            if self._max_size - self._offset < max(256, self._max_size >> 4):
                self.flush()
                self._rotate()
            data = data[cut:]
        self._append(stream, data)

    def _append(self, stream: int, data: bytes) -> None:
        now = time.time_ns()
        view = memoryview(data)
        done = 0
        try:
            while done < len(data):
                done += os.write(self._fd, view[done:])
            self.failed = ""
        except OSError as error:
            self.failed = f"log: {error.strerror}"
        if not done:
            return
        pending = self._pending
        if pending and pending[3] == stream and now - pending[1] < _MERGE_WINDOW and pending[2] < 1 << 20:
            self._pending = (pending[0], pending[1], pending[2] + done, stream)
        else:
            self.flush()
            self._pending = (self._offset, now, done, stream)
        self._offset += done
        if self._max_size and self._offset >= self._max_size:
            self.flush()
            self._rotate()

    def flush(self) -> None:
        """Write the index record that is still open; called before the monitor waits."""
        if self._pending is None:
            return
        try:
            os.write(self._index, RECORD.pack(*self._pending))
        except OSError as error:
            self.failed = f"log index: {error.strerror}"
        self._pending = None

    def _rotate(self) -> None:
        self.close()
        for number in range(self._max_file - 1, 0, -1):
            source = self._path if number == 1 else f"{self._path}.{number - 1}"
            for suffix in ("", ".idx"):
                try:
                    os.rename(source + suffix, f"{self._path}.{number}{suffix}")
                except OSError:
                    pass
        if self._max_file == 1:
            for suffix in ("", ".idx"):
                try:
                    os.unlink(self._path + suffix)
                except OSError:
                    pass
        self._open()

    def close(self) -> None:
        self.flush()
        os.close(self._fd)
        os.close(self._index)
