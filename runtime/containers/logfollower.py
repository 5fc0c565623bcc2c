"""Reading a log from a place on: raw bytes and an index in, lines or bytes out, without a thread.

``--tail`` walks the index backwards and counts newlines; ``--since`` looks for the first time in it. A line
has the stream and the time of the chunk that its end is in, as docker's have; lines of the two streams never
mix.
"""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from runtime.containers.logfiles import PIECE, UNCOVERED, LogFile, Record, open_all, open_next
from runtime.monitor.log import LOST

__all__ = ["LogEntry", "LogFollower"]

_LONGEST_PARTIAL = 64 << 20
_MOST_RECORDS = 4096
_LOOK_BACK = 4096
"""How many records before a place are looked through for the beginning of an unfinished line of the other
stream: it keeps ``--tail`` from reading the whole index of a log whose other stream never wrote."""


class LogEntry(NamedTuple):
    """``time`` in nanoseconds since the epoch, ``stream`` 1 or 2, ``line`` without its newline; ``ended`` is
    False for what is left at the end without one."""

    time: int
    stream: int
    line: bytes
    ended: bool = True


class _Assembler:
    """Chunks to lines; keeps the unfinished line of each stream."""

    def __init__(self) -> None:
        self._partial: dict[int, tuple[int, bytearray]] = {}
        self._older: set[int] = set()

    def begin(self, moment: int, stream: int, data: bytes) -> None:
        """A line that began before the place where reading begins: it counts if it goes on after it."""
        self._partial[stream] = (moment, bytearray(data))
        self._older.add(stream)

    def feed(self, moment: int, stream: int, data: bytes) -> list[LogEntry]:
        self._older.discard(stream)
        pieces = data.split(b"\n")
        _, partial = self._partial.pop(stream, (moment, bytearray()))
        if len(pieces) == 1:
            partial += data
            if len(partial) > _LONGEST_PARTIAL:
                return [LogEntry(moment, stream, bytes(partial), False)]
            self._partial[stream] = (moment, partial)
            return []
        if partial:
            pieces[0] = bytes(partial) + pieces[0]
        last = pieces.pop()
        if last:
            self._partial[stream] = (moment, bytearray(last))
        return [LogEntry(moment, stream, piece) for piece in pieces]

    def rest(self) -> list[LogEntry]:
        """The unfinished lines, at the end."""
        left = sorted(
            (when, stream, bytes(partial))
            for stream, (when, partial) in self._partial.items()
            if stream not in self._older
        )
        self._partial.clear()
        return [LogEntry(*item, ended=False) for item in left]


class LogFollower:
    """Lines as they come, without a thread: the caller asks again. One of :meth:`read_new`, :meth:`read_raw`
    and :meth:`copy_new` is for one follower; they share the place.

    A damaged log (cut off, or with an index that does not fit) is read as far as there is something: bytes
    that no record covers count as standard output. ``warning`` says so, and how much was lost to a full disk.
    """

    def __init__(
        self, path: Path, *, tail: int | None = None, since: int | None = None, ended: bool = False
    ) -> None:
        """``ended``: nothing writes this log any more."""
        self._path = path
        self._assembler = _Assembler()
        self._files = open_all(path)
        self._next = 0
        self._at = 0
        self._within = 0
        self._segments: deque[Record] = deque()
        self._carried: dict[int, bytes] = {}
        self._ready: list[LogEntry] = []
        self._ended = False
        self._uncovered = 0
        self._lost = 0
        if ended:
            self.finish()
        if tail is not None:
            self._seek_tail(tail)
        if since is not None:
            self._seek_time(since)

    def finish(self) -> None:
        """The container has ended: what is there now is all."""
        self._ended = True
        if self._files:
            self._files[-1].finish()

    @property
    def warning(self) -> str:
        """What is wrong with what was read so far, in one line; "" for nothing."""
        said = []
        if self._lost:
            said.append(f"{self._lost} bytes of output were not stored, the disk was full")
        if self._uncovered:
            said.append(
                f"the index is damaged, {self._uncovered} bytes are shown without their time or stream"
            )
        return "; ".join(said)

    # -- seeking ----------------------------------------------------------------------------------

    def _go(self, place: int, number: int, offset: int, within: int = 0) -> None:
        for older in self._files[:place]:
            older.close()
        self._files = self._files[place:]
        self._next, self._at, self._within = number, offset, within

    def _seek_tail(self, lines: int) -> None:
        """To the chunk, and within it to the byte, where the last ``lines`` lines begin."""
        if not self._files:
            return
        if lines <= 0:
            last = self._files[-1]
            number = last.records()
            offset, _, length, stream = last.record(number - 1) if number else (0, 0, 0, LOST)
            self._go(len(self._files) - 1, number, offset + (length if stream != LOST else 0))
            return
        missing = lines + 1  # line ends: the place is behind one
        seen: set[int] = set()
        for place in range(len(self._files) - 1, -1, -1):
            file = self._files[place]
            number = file.records()
            for offset, _moment, length, stream in file.backwards():
                number -= 1
                data = b"" if stream == LOST or stream > UNCOVERED else file.read(offset, length)
                if not data:
                    continue
                stream = 1 if stream == UNCOVERED else stream
                cut = len(data)
                # What a stream ends with counts as a line, whether it has an end or not.
                unended = stream not in seen and not data.endswith(b"\n")
                seen.add(stream)
                count = data.count(b"\n") + unended
                if count < missing:
                    missing -= count
                    continue
                for _ in range(missing - unended):
                    cut = data.rindex(b"\n", 0, cut)
                self._carry(place, number, {1, 2} - {stream})
                self._go(place, number, offset, cut + 1 if missing > unended else cut)
                return

    def _seek_time(self, moment: int) -> None:
        """To the first chunk of that time or later, unless ``tail`` has come further already."""
        if not self._files:
            return
        place = 0
        while (number := self._files[place].first_since(moment)) >= self._files[place].records():
            if place == len(self._files) - 1:
                break
            place += 1
        if place == 0 and number <= self._next:
            return
        if number < self._files[place].records():
            offset = self._files[place].record(number)[0]
        elif number:
            offset, _, length, stream = self._files[place].record(number - 1)
            offset += length if stream != LOST else 0
        else:
            offset = 0
        self._carried.clear()
        self._assembler = _Assembler()
        self._carry(place, number, {1, 2})
        self._go(place, number, offset)

    def _carry(self, place: int, number: int, streams: set[int]) -> None:
        """Lines that are unfinished before record ``number`` belong to what is read from there on."""
        parts: dict[int, list[bytes]] = {stream: [] for stream in streams}
        moment, looked, size = 0, 0, 0
        for older in range(place, -1, -1):
            file = self._files[older]
            last = number - 1 if older == place else file.records() - 1
            for offset, when, length, stream in file.backwards(last):
                looked += 1
                if not streams or looked > _LOOK_BACK or size > _LONGEST_PARTIAL:
                    break
                if stream not in streams:
                    continue
                data = file.read(offset, length)
                moment = max(moment, when)
                cut = data.rfind(b"\n") + 1
                parts[stream].append(data[cut:])
                size += len(data) - cut
                if cut:
                    streams = streams - {stream}
        for stream, pieces in parts.items():
            data = b"".join(reversed(pieces))
            if data:
                self._carried[stream] = data
                self._assembler.begin(moment, stream, data)

    # -- reading ----------------------------------------------------------------------------------

    def read_new(self, max_lines: int = 10_000) -> list[LogEntry]:
        """Whole lines that came since the last call; never blocks."""
        while len(self._ready) < max_lines and self._step():
            pass
        out, self._ready = self._ready[:max_lines], self._ready[max_lines:]
        return out

    def rest(self) -> list[LogEntry]:
        """Unfinished lines, once nothing more can come."""
        return self._assembler.rest()

    def _step(self) -> bool:
        """Take some chunks in as lines; False when there is nothing more for now."""
        segments = self._take()
        if not segments:
            return False
        begin = segments[0][0]
        data = self._files[0].read(begin, segments[-1][0] + segments[-1][2] - begin)
        for offset, moment, length, stream in segments:
            piece = data[offset - begin : offset - begin + length]
            self._ready.extend(self._assembler.feed(moment, stream, piece))
        return True

    def read_raw(self) -> list[tuple[int, bytes]]:
        """The next chunks as (stream, bytes), neighbours of one stream in one piece; for whoever wants the
        bytes and not the lines."""
        out: list[tuple[int, bytes]] = []
        for offset, _, length, stream in _joined(self._take()):
            data = self._files[0].read(offset, length)
            out.append((stream, self._carried.pop(stream) + data if stream in self._carried else data))
        return out

    def copy_new(self, targets: Mapping[int, int]) -> bool:
        """The same from file to descriptor, inside the kernel where it can: ``targets`` is the descriptor of
        each stream. False when there is nothing more for now. Raises OSError of the target."""
        segments = _joined(self._take())
        for offset, _, length, stream in segments:
            if stream in self._carried:
                _write_all(targets[stream], self._carried.pop(stream))
            _copy(self._files[0], targets[stream], offset, length)
        return bool(segments)

    def _take(self) -> list[Record]:
        """The next segments: neighbours in the first file, together about :data:`PIECE` long."""
        while not self._segments:
            if not self._files:
                self._files = open_all(self._path)
                if not self._files:
                    return []
                self._next = self._at = self._within = 0
            if not self._fill() and not self._advance():
                return []
        taken: list[Record] = []
        size = 0
        while self._segments and (not taken or size + self._segments[0][2] <= PIECE):
            taken.append(self._segments.popleft())
            size += taken[-1][2]
        return taken

    def _fill(self) -> bool:
        """Index records to segments that cover the file without a gap; False at the index's end.

        Every byte comes once, whatever the index says: one that does not fit is passed over, and what it
        should have covered comes before the next one that does.
        """
        file = self._files[0]
        block = file.block(self._next, _MOST_RECORDS)
        self._next += len(block)
        size = file.size
        for offset, moment, length, stream in block:
            if stream == LOST:
                self._lost += length
                continue
            end = min(offset + length, size)
            if stream > UNCOVERED or offset > size or end <= self._at:
                continue
            if self._within:
                offset, self._at, self._within = offset + self._within, offset + self._within, 0
            if stream == UNCOVERED:
                offset, stream = self._at, 1
                self._uncovered += end - offset
            elif offset > self._at:
                self._uncovered += offset - self._at
                self._extend(self._at, moment, offset, 1)
            self._extend(max(offset, self._at), moment, end, stream)
        return bool(block)

    def _extend(self, begin: int, moment: int, end: int, stream: int) -> None:
        for offset in range(begin, end, PIECE):
            self._segments.append((offset, moment, min(PIECE, end - offset), stream))
        self._at = max(self._at, end)

    def _advance(self) -> bool:
        """At the end of a file: on to the next one if there is one, or if ours was rotated away."""
        current = self._files[0]
        if len(self._files) == 1:
            found = open_next(self._path, current)
            if found is None:
                return False
            self._files.append(found)
            current.finish()
            if self._ended:
                found.finish()
            if current.records() > self._next:  # it came between the last look and the rotation
                return True
        self._files.pop(0).close()
        self._next = self._at = self._within = 0
        return True

    def close(self) -> None:
        for file in self._files:
            file.close()
        self._files = []


def _joined(segments: list[Record]) -> list[Record]:
    """Neighbours of one stream as one."""
    out: list[Record] = []
    for segment in segments:
        if out and out[-1][3] == segment[3]:
            offset, moment, length, stream = out[-1]
            out[-1] = (offset, moment, length + segment[2], stream)
        else:
            out.append(segment)
    return out


def _copy(file: LogFile, target: int, offset: int, length: int) -> None:
    end = offset + length
    while offset < end and file.plain:
        try:
            sent = os.sendfile(target, file.log, offset, end - offset)
        except BlockingIOError:
            _wait_writable(target)
            continue
        except BrokenPipeError:
            raise
        except OSError:  # EINVAL: a terminal, or a file that is appended to
            break
        if not sent:
            return
        offset += sent
    if offset < end:
        _write_all(target, file.read(offset, end - offset))


def _write_all(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(target, view) :]
        except BlockingIOError:
            _wait_writable(target)


def _wait_writable(target: int) -> None:
    poller = select.poll()
    poller.register(target, select.POLLOUT)
    poller.poll()
