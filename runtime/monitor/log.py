"""A container's log as bytes: what was read is appended, with an index beside it.

``log`` holds the raw output of both streams in the order of arrival; ``log.idx`` holds one
:data:`RECORD` per chunk. Lines are split by whoever reads (:mod:`runtime.containers.logs`). With
``max_size`` the pair is rotated at a chunk's end into ``log.1``, ``log.1.idx`` and so on, which
:mod:`runtime.monitor.compress` may turn into ``log.1.gz``. docs/logs.md describes the format.
"""

from __future__ import annotations

import _struct as struct  # the C module: the Python one is one more file to find
import errno
import fcntl
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LOST", "RECORD", "LogWriter"]

RECORD = struct.Struct("<QQIB3x")
"""offset in the file, time in nanoseconds since the epoch, length, stream (1 stdout, 2 stderr, or LOST)."""

LOST = 0
"""The stream of a record that stands for output which was not stored: its length is how much, and no bytes
of the file are behind it."""

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
_MERGE_WINDOW = 1_000_000
"""Chunks of one stream within a millisecond share a record."""
_LONGEST_RECORD = 1 << 20
_MOST = 0xFFFFFFFF
_CHUNK = 256 << 10
_SPLICE = 1 << 20
_CANNOT_SPLICE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


class LogWriter:
    """Appends chunks, the only writer of its files.

    A full disk loses output, never the container: what could not be stored is counted and told of by a
    :data:`LOST` record. With ``wait`` (``mode=blocking``) it is the caller who keeps it and tries again.
    ``compress`` is the command line that compresses rotated files, or empty.
    """

    __slots__ = (
        "_again", "_compress", "_compressor", "_fd", "_index", "_index_end", "_lost", "_max_file",
        "_max_size", "_offset", "_path", "_pending", "_records", "_splices", "_wait", "failed",
    )  # fmt: skip

    def __init__(
        self,
        path: str,
        max_size: int = 0,
        max_file: int = 1,
        *,
        wait: bool = False,
        compress: tuple[str, ...] = (),
    ) -> None:
        self._path = path
        self._max_size = max_size
        self._max_file = max(1, max_file)
        self._wait = wait
        self._compress = compress
        self._compressor = 0
        self._again = False
        self._pending: tuple[int, int, int, int] | None = None
        self._records = bytearray()
        self._lost = 0
        self._splices = True
        self.failed = ""
        self._fd = self._index = -1
        self._open()
        if compress and _exists(path + ".1"):
            self._start_compressor()

    def _open(self) -> None:
        """At the end of what is there. An index that a crash left short or long is made to fit the log."""
        log = os.open(self._path, _FLAGS, 0o600)
        try:
            self._index = os.open(self._path + ".idx", _FLAGS, 0o600)
        except OSError:
            os.close(log)
            raise
        self._fd = log
        self._offset = os.fstat(self._fd).st_size
        count = os.fstat(self._index).st_size // RECORD.size
        end = 0
        while count:
            offset, _, length, stream = RECORD.unpack(
                os.pread(self._index, RECORD.size, (count - 1) * RECORD.size)
            )
            end = offset + (0 if stream == LOST else length)
            if end <= self._offset:
                break
            count, end = count - 1, 0
        self._index_end = count * RECORD.size
        os.ftruncate(self._index, self._index_end)
        while end < self._offset:
            length = min(self._offset - end, _LONGEST_RECORD)
            self._records += RECORD.pack(end, time.time_ns(), length, 1)
            end += length

    # -- appending --------------------------------------------------------------------------------

    def splice(self, stream: int, pipe: int) -> int:
        """Move what is in the pipe to the file inside the kernel, without looking at it.

        The number of bytes, 0 at the pipe's end, -1 when the caller must read and :meth:`write`: near
        ``max_size``, where a line's end is looked for, on a full disk, or where splice(2) does not work.
        Raises BlockingIOError when the pipe is empty.
        """
        count = _SPLICE
        if self._max_size:
            count = min(count, self._max_size - self._offset - _CHUNK)
        if count <= 0 or not self._splices or self._lost or self._fd < 0:
            return -1
        try:
            moved = os.splice(pipe, self._fd, count, offset_dst=self._offset, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            raise
        except OSError as error:
            self._splices = error.errno not in _CANNOT_SPLICE
            return -1
        if moved:
            self._note(stream, time.time_ns(), moved)
        return moved

    def write(self, stream: int, data: bytes, *, last: bool = False) -> int:
        """Append; with ``max_size`` in pieces that end at a line's end, so that files keep that size.

        How many bytes were taken (stored, or lost and counted): all, unless ``wait`` was asked for and the
        disk is full. ``last`` takes all in any case: the process is gone, there is nobody to hold back.
        """
        total = len(data)
        while self._max_size and len(data) > (room := self._max_size - self._offset) > 0:
            cut = data.rfind(b"\n", 0, room) + 1 or data.find(b"\n", room) + 1 or len(data)
            if cut == len(data):
                break
            taken = self._append(stream, data[:cut], last)
            if taken < cut:
                return total - len(data) + taken
            if self._max_size - self._offset < max(256, self._max_size >> 4):
                self._rotate()
            data = data[cut:]
        taken = self._append(stream, data, last)
        if self._max_size and self._offset >= self._max_size:
            self._rotate()
        return total - len(data) + taken

    def _append(self, stream: int, data: bytes, last: bool) -> int:
        now = time.time_ns()
        view = memoryview(data)
        done = 0
        try:
            if self._fd < 0:
                self._open()
            while done < len(data):
                done += os.pwrite(self._fd, view[done:], self._offset + done)
            self.failed = ""
        except OSError as error:
            self.failed = f"log: {error.strerror}"
        if done:
            self._note(stream, now, done)
        if done < len(data) and (last or not self._wait):
            self._lost += len(data) - done
            return len(data)
        return done

    def _note(self, stream: int, now: int, length: int) -> None:
        """``length`` bytes of ``stream`` were appended."""
        if self._lost:
            self._tell_lost(now)
        pending = self._pending
        if (
            pending
            and pending[3] == stream
            and now - pending[1] < _MERGE_WINDOW
            and pending[2] < _LONGEST_RECORD
        ):
            self._pending = (pending[0], pending[1], pending[2] + length, stream)
        else:
            self._close_record()
            self._pending = (self._offset, now, length, stream)
        self._offset += length

    def _tell_lost(self, now: int) -> None:
        self._close_record()
        while self._lost:
            part = min(self._lost, _MOST)
            self._records += RECORD.pack(self._offset, now, part, LOST)
            self._lost -= part

    def _close_record(self) -> None:
        if self._pending is not None:
            self._records += RECORD.pack(*self._pending)
            self._pending = None

    def flush(self) -> None:
        """Write the index records that are due; called before the monitor waits. Those that the disk has no
        room for stay due: only whole ones count, so that the index stays in step."""
        self._close_record()
        if not self._records or self._index < 0:
            return
        try:
            written = os.pwrite(self._index, self._records, self._index_end)
        except OSError as error:
            self.failed = f"log index: {error.strerror}"
            return
        written -= written % RECORD.size
        self._index_end += written
        del self._records[:written]

    # -- rotating ---------------------------------------------------------------------------------

    def _rotate(self) -> None:
        """``log`` becomes ``log.1``, that one ``log.2``; the oldest goes.

        An index is renamed after its log, and the oldest pair goes first, so that between two steps a place
        has no index, never that of another file: a reader then looks again.
        """
        self.close()
        turn = os.open(self._path.rpartition("/")[0] or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(turn, fcntl.LOCK_EX)  # the compressor holds it for two system calls
            oldest = self._path if self._max_file == 1 else f"{self._path}.{self._max_file - 1}"
            for suffix in (".idx", "", ".gz"):
                _try(os.unlink, oldest + suffix)
            for number in range(self._max_file - 1, 0, -1):
                source = self._path if number == 1 else f"{self._path}.{number - 1}"
                for suffix in ("", ".gz", ".idx") if number > 1 else ("", ".idx"):
                    _try(os.rename, source + suffix, f"{self._path}.{number}{suffix}")
        finally:
            os.close(turn)
        self._records.clear()
        try:
            self._open()
        except OSError as error:  # no room for a new file: what comes is lost until there is
            self.failed = f"log: {error.strerror}"
            return
        if self._compress and self._max_file > 1:
            self._start_compressor()

    def _start_compressor(self) -> None:
        if self._compressor:
            self._again = True
            return
        try:
            self._compressor = os.posix_spawn(self._compress[0], self._compress, {"PATH": "/usr/bin:/bin"})
        except OSError as error:  # they stay as they are
            self.failed = f"compressing rotated logs: {error.strerror}"

    def reaped(self, pid: int) -> bool:
        """A child of the monitor's has ended; True when it was the compressor."""
        if not pid or pid != self._compressor:
            return False
        self._compressor = 0
        if self._again:
            self._again = False
            self._start_compressor()
        return True

    def compress_rest(self) -> None:
        """Nobody will hear when the compressor ends: what was rotated since it began gets another one, which
        finds what the first has left (both may look at the same file, and one replaces it)."""
        if self._again:
            self._again, self._compressor = False, 0
            self._start_compressor()

    @property
    def compressor(self) -> int:
        """The pid of the program that compresses, or 0."""
        return self._compressor

    def close(self) -> None:
        if self._lost and self._fd >= 0:
            self._tell_lost(time.time_ns())
        self.flush()
        for fd in (self._fd, self._index):
            if fd >= 0:
                os.close(fd)
        self._fd = self._index = -1


def _exists(path: str) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def _try(call: Callable[..., None], *arguments: str) -> None:
    try:
        call(*arguments)
    except OSError:
        pass
