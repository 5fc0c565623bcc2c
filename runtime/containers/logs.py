"""Reading a container's log: raw bytes and an index in, lines out.

``--tail`` walks the index backwards and counts newlines; ``--since`` bisects it by time. A line belongs to
the stream and to the time of the chunk that it begins in; lines of the two streams never mix.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runtime.context import Context
from runtime.model.event import CancelEvent
from runtime.monitor.log import RECORD
from runtime.store import containers as store

__all__ = ["LogEntry", "LogFollower", "log_bytes", "logs"]

_BATCH = 1 << 20
_LONGEST_PARTIAL = 64 << 20
_POLL = 0.03


@dataclass(frozen=True)
class LogEntry:
    """``time`` in nanoseconds since the epoch, ``stream`` 1 or 2, ``line`` without its newline."""

    time: int
    stream: int
    line: bytes


class _Pair:
    """One log file with its index, open; survives a rotation that renames it."""

    def __init__(self, path: Path) -> None:
        self.log = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.index = os.open(f"{path}.idx", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            os.close(self.log)
            raise
        self.inode = os.fstat(self.log).st_ino

    def records(self) -> int:
        return os.fstat(self.index).st_size // RECORD.size

    def record(self, number: int) -> tuple[int, int, int, int]:
        """(offset, time, length, stream)."""
        data = os.pread(self.index, RECORD.size, number * RECORD.size)
        found: tuple[int, int, int, int] = RECORD.unpack(data)
        return found

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self.log, length, offset)

    def close(self) -> None:
        os.close(self.log)
        os.close(self.index)


class _Assembler:
    """Chunks to lines; keeps the unfinished line of each stream."""

    def __init__(self) -> None:
        self._partial: dict[int, tuple[int, bytearray]] = {}

    def feed(self, moment: int, stream: int, data: bytes) -> list[LogEntry]:
        began, partial = self._partial.pop(stream, (moment, bytearray()))
        pieces = data.split(b"\n")
        if len(pieces) == 1:
            partial += data
            if len(partial) > _LONGEST_PARTIAL:
                return [LogEntry(began, stream, bytes(partial))]
            self._partial[stream] = (began, partial)
            return []
        entries = [LogEntry(began, stream, bytes(partial) + pieces[0])]
        entries.extend(LogEntry(moment, stream, piece) for piece in pieces[1:-1])
        if pieces[-1]:
            self._partial[stream] = (moment, bytearray(pieces[-1]))
        return entries

    def rest(self) -> list[LogEntry]:
        """The unfinished lines, at the end."""
        left = sorted((began, stream, bytes(partial)) for stream, (began, partial) in self._partial.items())
        self._partial.clear()
        return [LogEntry(*item) for item in left]


class LogFollower:
    """Lines as they come, without a thread: the caller polls ``read_new``."""

    def __init__(self, path: Path, *, tail: int | None = None, since: int | None = None) -> None:
        self._path = path
        self._assembler = _Assembler()
        self._pairs: list[_Pair] = []
        self._next = 0
        self._within = 0
        self._ready: list[LogEntry] = []
        for name in self._rotated():
            try:
                self._pairs.append(_Pair(name))
            except OSError:
                continue
        if tail is not None:
            self._seek_tail(tail)
        elif since is not None:
            self._seek_time(since)

    @classmethod
    def open(
        cls, ctx: Context, reference: str, *, tail: int | None = None, since: int | None = None
    ) -> LogFollower:
        """Raises NotFound for the container; a log that does not exist yet is empty."""
        container = store.find(ctx.db, reference)
        return cls(ctx.paths.container(container.id) / "log", tail=tail, since=since)

    def _rotated(self) -> list[Path]:
        """Oldest first; the current one last."""
        names = []
        number = 1
        while (older := self._path.with_name(f"log.{number}")).exists():
            names.append(older)
            number += 1
        return [*reversed(names), self._path]

    def _seek_tail(self, lines: int) -> None:
        """To the chunk, and within it to the byte, where the last ``lines`` lines begin."""
        if lines <= 0:
            for pair in self._pairs[:-1]:
                pair.close()
            self._pairs = self._pairs[-1:]
            self._next = self._pairs[0].records() if self._pairs else 0
            return
        missing = lines
        last: dict[int, bool] = {}
        for place in range(len(self._pairs) - 1, -1, -1):
            pair = self._pairs[place]
            for number in range(pair.records() - 1, -1, -1):
                offset, _moment, length, stream = pair.record(number)
                data = pair.read(offset, length)
                end = len(data)
                if not last.get(stream):
                    last[stream] = True
                    if data.endswith(b"\n"):
                        end -= 1
                count = data.count(b"\n", 0, end)
                if count < missing:
                    missing -= count
                    continue
                cut = end
                for _ in range(missing):
                    cut = data.rindex(b"\n", 0, cut)
                for older in self._pairs[:place]:
                    older.close()
                self._pairs = self._pairs[place:]
                self._next, self._within = number, cut + 1
                return

    def _seek_time(self, moment: int) -> None:
        while len(self._pairs) > 1:
            count = self._pairs[0].records()
            if count and self._pairs[0].record(count - 1)[1] >= moment:
                break
            self._pairs.pop(0).close()
        if not self._pairs:
            return
        low, high = 0, self._pairs[0].records()
        while low < high:
            middle = (low + high) // 2
            if self._pairs[0].record(middle)[1] < moment:
                low = middle + 1
            else:
                high = middle
        self._next = low

    def read_new(self, max_lines: int = 10_000) -> list[LogEntry]:
        """Whole lines that came since the last call; never blocks."""
        while len(self._ready) < max_lines and self._step():
            pass
        out, self._ready = self._ready[:max_lines], self._ready[max_lines:]
        return out

    def _step(self) -> bool:
        """Take some chunks in as lines; False when there is nothing more for now."""
        taken = self._take()
        if taken is None:
            return False
        data, begin, records, skip = taken
        for offset, moment, length, stream in records:
            piece = data[offset + skip - begin : offset + length - begin]
            skip = 0
            self._ready.extend(self._assembler.feed(moment, stream, piece))
        return True

    def _take(self) -> tuple[bytes, int, list[tuple[int, int, int, int]], int] | None:
        """(bytes, their offset in the file, the index records that they cover, how many bytes of the first
        to skip); None when there is nothing more for now."""
        while True:
            if not self._pairs:
                try:
                    self._pairs.append(_Pair(self._path))
                except OSError:
                    return None
                self._next = self._within = 0
            pair = self._pairs[0]
            have = pair.records()
            if self._next < have:
                break
            if not self._advance(pair):
                return None
        many = min(have - self._next, 4096)
        index = os.pread(pair.index, many * RECORD.size, self._next * RECORD.size)
        records = list(RECORD.iter_unpack(index[: len(index) - len(index) % RECORD.size]))
        skip, self._within = self._within, 0
        begin = records[0][0] + skip
        end, taken = begin, 0
        for offset, _moment, length, _stream in records:
            if taken and offset + length - begin > _BATCH:
                break
            end, taken = offset + length, taken + 1
        self._next += taken
        return pair.read(begin, end - begin), begin, records[:taken], skip

    def _advance(self, pair: _Pair) -> bool:
        """At the end of a file: on to the next one if there is one, or if ours was rotated away."""
        if len(self._pairs) == 1:
            try:
                if os.stat(self._path).st_ino == pair.inode or pair.records() > self._next:  # noqa: PTH116
                    return False
                self._pairs.append(_Pair(self._path))
            except OSError:
                return False
        self._pairs.pop(0).close()
        self._next = self._within = 0
        return True

    def read_raw(self) -> list[tuple[int, bytes]]:
        """The next chunks as (stream, bytes), neighbours of one stream in one piece; for whoever wants the
        bytes and not the lines. Not to be mixed with :meth:`read_new`."""
        out: list[tuple[int, bytes]] = []
        while not out:
            taken = self._take()
            if taken is None:
                break
            data, begin, records, skip = taken
            place = 0
            while place < len(records):
                offset, _moment, length, stream = records[place]
                first, end = offset, offset + length
                place += 1
                while place < len(records) and records[place][3] == stream:
                    end = records[place][0] + records[place][2]
                    place += 1
                out.append((stream, data[max(first + skip, begin) - begin : end - begin]))
                skip = 0
        return out

    def rest(self) -> list[LogEntry]:
        """Unfinished lines, once nothing more can come."""
        return self._assembler.rest()

    def close(self) -> None:
        for pair in self._pairs:
            pair.close()
        self._pairs = []


def logs(
    ctx: Context,
    reference: str,
    *,
    tail: int | None = None,
    since: int | None = None,
    until: int | None = None,
    follow: bool = False,
    cancel: CancelEvent | None = None,
) -> Iterator[LogEntry]:
    """Lines, oldest first. Raises NotFound at once."""
    container = store.find(ctx.db, reference)
    follower = LogFollower(ctx.paths.container(container.id) / "log", tail=tail, since=since)
    return _lines(ctx, container.id, follower, since, until, follow, cancel)


def log_bytes(
    ctx: Context,
    reference: str,
    *,
    tail: int | None = None,
    since: int | None = None,
    follow: bool = False,
    cancel: CancelEvent | None = None,
) -> Iterator[tuple[int, bytes]]:
    """The same without looking at lines: (stream, bytes) as they were written. Raises NotFound at once."""
    container = store.find(ctx.db, reference)
    follower = LogFollower(ctx.paths.container(container.id) / "log", tail=tail, since=since)
    return _chunks(ctx, container.id, follower, follow, cancel)


def _chunks(
    ctx: Context, container_id: str, follower: LogFollower, follow: bool, cancel: CancelEvent | None
) -> Iterator[tuple[int, bytes]]:
    try:
        ended = not follow
        checked = 0.0
        while True:
            batch = follower.read_raw()
            yield from batch
            if batch:
                continue
            if ended or (cancel is not None and cancel.is_set()):
                return
            now = time.monotonic()
            if now - checked > 0.2:
                checked = now
                ended = not _may_write(ctx, container_id)
                continue
            select.select([], [], [], _POLL)
    finally:
        follower.close()


def _lines(
    ctx: Context,
    container_id: str,
    follower: LogFollower,
    since: int | None,
    until: int | None,
    follow: bool,
    cancel: CancelEvent | None,
) -> Iterator[LogEntry]:
    try:
        checked = 0.0
        ended = not follow
        while True:
            batch = follower.read_new()
            if not batch:
                if ended:
                    batch = follower.rest()
                    yield from (entry for entry in batch if _within(entry, since, until))
                    return
                if cancel is not None and cancel.is_set():
                    return
                if until is not None and time.time_ns() > until:
                    ended = True
                    continue
                now = time.monotonic()
                if now - checked > 0.2:
                    checked = now
                    ended = not _may_write(ctx, container_id)
                    if ended:
                        continue
                select.select([], [], [], _POLL)
                continue
            for entry in batch:
                if until is not None and entry.time > until:
                    return
                if since is None or entry.time >= since:
                    yield entry
    finally:
        follower.close()


def _within(entry: LogEntry, since: int | None, until: int | None) -> bool:
    return (since is None or entry.time >= since) and (until is None or entry.time <= until)


def _may_write(ctx: Context, container_id: str) -> bool:
    from runtime.containers.control import monitor_pid

    current = store.get(ctx.db, container_id)
    return current is not None and current.state.status.alive and bool(monitor_pid(ctx, container_id))
