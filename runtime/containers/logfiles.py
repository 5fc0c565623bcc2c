"""The files of a log as a reader opens them: plain or compressed, each with its index, whole or damaged.

A monitor renames them and a compressor replaces them while they are read. A file that is open stays what it
is, whatever its name becomes; which file follows it is found by the inode of its index, which neither a
rotation nor compressing changes.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from runtime.monitor.log import LOST, RECORD

__all__ = ["PIECE", "UNCOVERED", "LogFile", "Record", "open_all", "open_next"]

Record = tuple[int, int, int, int]
"""(offset, time, length, stream)."""

PIECE = 1 << 20
"""The longest piece that is read at once."""

UNCOVERED = 3
"""The stream of what no record covers: which one it was is not known."""

_TRIES = 30
_PAUSE = 0.001
_LOOK_BACK = 256
_TIMES = 8192
"""Records that are looked at together."""
# The same layout as in runtime.monitor.compress, which is a program and not a module to import.
_MEMBER = struct.Struct("<4B4x2BH2sHII")
_TRAILER = 8


class _Compressed:
    """Random access to what compress.py made; the member that was read last is kept."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._starts: list[int] = []
        self._members: list[tuple[int, int]] = []
        self._kept: tuple[int, bytes] = (-1, b"")
        self.size = 0
        place, end = 0, os.fstat(fd).st_size
        while place < end:
            header = os.pread(fd, _MEMBER.size, place)
            if len(header) < _MEMBER.size:
                break
            one, two, _method, _flags, _xfl, _os, _extra, name, _length, whole, content = _MEMBER.unpack(
                header
            )
            if (one, two, name) != (0x1F, 0x8B, b"TD") or whole <= _MEMBER.size or place + whole > end:
                break
            self._starts.append(self.size)
            self._members.append((place, whole))
            self.size += min(content, PIECE)
            place += whole

    def _content(self, number: int) -> bytes:
        if self._kept[0] != number:
            place, whole = self._members[number]
            data = os.pread(self._fd, whole - _MEMBER.size - _TRAILER, place + _MEMBER.size)
            try:
                content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, PIECE)
            except zlib.error:
                content = b""
            following = self._starts[number + 1] if number + 1 < len(self._starts) else self.size
            self._kept = (number, content.ljust(following - self._starts[number], b"\0"))
        return self._kept[1]

    def read(self, offset: int, length: int) -> bytes:
        out = []
        while length > 0 and offset < self.size:
            number = bisect_right(self._starts, offset) - 1
            within = offset - self._starts[number]
            part = self._content(number)[within : within + length]
            if not part:
                break
            out.append(part)
            offset, length = offset + len(part), length - len(part)
        return b"".join(out)


class LogFile:
    """One file with its index. ``identity`` is the inode of the index (of the log when there is none)."""

    def __init__(self, path: Path, *, strict: bool = True) -> None:
        """``strict`` wants an index. Raises FileNotFoundError, also while a rotation renames the pair."""
        self._compressed: _Compressed | None = None
        try:
            self.log = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self.log = os.open(f"{path}.gz", os.O_RDONLY | os.O_CLOEXEC)
            self._compressed = _Compressed(self.log)
        try:
            self._index = os.open(f"{path}.idx", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._index = -1
            if strict:
                os.close(self.log)
                raise
        self.identity = os.fstat(self._index if self._index >= 0 else self.log).st_ino
        self._rest: list[Record] = []
        self._finished_at = -1

    @property
    def size(self) -> int:
        return self._compressed.size if self._compressed else os.fstat(self.log).st_size

    def _indexed(self) -> int:
        return os.fstat(self._index).st_size // RECORD.size if self._index >= 0 else 0

    def finish(self) -> None:
        """Nothing will be appended: what no record covers, as a crash leaves it, counts as records as well
        (the same ones that a writer adds which goes on with this file; they count until it does)."""
        if self._finished_at >= 0:
            return
        size, end, moment = self.size, 0, os.fstat(self.log).st_mtime_ns
        for number, (offset, when, length, stream) in enumerate(self.backwards()):
            length = 0 if stream == LOST else length
            if stream <= 2 and offset + length <= size:
                end, moment = offset + length, when
                break
            if number >= _LOOK_BACK:
                break
        self._finished_at = self._indexed()
        while end < size:
            self._rest.append((end, moment, min(PIECE, size - end), UNCOVERED))
            end += PIECE

    def records(self) -> int:
        indexed = self._indexed()
        return indexed + (len(self._rest) if indexed == self._finished_at else 0)

    def record(self, number: int) -> Record:
        found = self.block(number, 1)
        return found[0] if found else (0, 0, 0, LOST)

    def block(self, first: int, many: int) -> list[Record]:
        """Up to ``many`` records from ``first`` on; garbage of a damaged index as it is."""
        indexed = self._indexed()
        wanted = max(0, min(many, indexed - first))
        data = os.pread(self._index, wanted * RECORD.size, first * RECORD.size) if wanted else b""
        found: list[Record] = list(RECORD.iter_unpack(data[: len(data) - len(data) % RECORD.size]))
        if len(found) < many and indexed == self._finished_at and first + len(found) >= indexed:
            place = first + len(found) - indexed
            found += self._rest[place : place + many - len(found)]
        return found

    def backwards(self, last: int | None = None) -> Iterator[Record]:
        """From record ``last`` (the newest when None) to the first."""
        end = self.records() if last is None else last + 1
        while end > 0:
            first = max(0, end - 256)
            yield from reversed(self.block(first, end - first))
            end = first

    def first_since(self, moment: int) -> int:
        """The number of the first record of that time or later. Every time is looked at, 24 bytes a chunk: a
        clock that was set back leaves them out of order, and what came after it must not be passed over."""
        count = self.records()
        for first in range(0, count, _TIMES):
            indexed = max(0, min(_TIMES, self._indexed() - first))
            data = os.pread(self._index, indexed * RECORD.size, first * RECORD.size) if indexed else b""
            whole = len(data) // RECORD.size
            words = struct.unpack(f"<{whole * 3}Q", data[: whole * RECORD.size])  # three a record
            times = words[1::3]
            if times and max(times) >= moment:
                return first + next(number for number, when in enumerate(times) if when >= moment)
        rest = (number for number in range(self._indexed(), count) if self.record(number)[1] >= moment)
        return next(rest, count)

    def read(self, offset: int, length: int) -> bytes:
        """Less than ``length`` where the file is shorter than its index says."""
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        if self._compressed:
            return self._compressed.read(offset, length)
        return os.pread(self.log, length, offset)

    @property
    def plain(self) -> bool:
        """Its bytes can be handed on without being read: see sendfile(2)."""
        return self._compressed is None

    def close(self) -> None:
        os.close(self.log)
        if self._index >= 0:
            os.close(self._index)


def _numbers(path: Path) -> list[int]:
    """Of the rotated files, newest first."""
    found = set()
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except FileNotFoundError:
        return []
    for name in names:
        number = name.removeprefix(f"{path.name}.").removesuffix(".gz")
        if name.startswith(f"{path.name}.") and number.isascii() and number.isdigit():
            found.add(int(number))
    return sorted(found)


def _place(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}") if number else path


def _identity(path: Path) -> int:
    for name in (f"{path}.idx", path):
        try:
            return os.stat(name).st_ino  # noqa: PTH116 - no Path made for each look
        except FileNotFoundError:
            continue
    return 0


def _snapshot(path: Path) -> tuple[dict[int, int], bool]:
    """Each place's number and identity, newest first, and whether they belong together: a rotation that is at
    work shows as a gap or as a file in two places (readdir(3) may miss what is renamed meanwhile)."""
    newest = _identity(path)
    numbers = _numbers(path)
    found = {0: newest, **{number: _identity(_place(path, number)) for number in numbers}}
    whole = numbers == list(range(1, len(numbers) + 1)) and _identity(path) == newest
    empty = not newest and not numbers
    return found, empty or (whole and 0 not in found.values() and len({*found.values()}) == len(found))


def open_all(path: Path) -> list[LogFile]:
    """Oldest first, the one that is written last. A rotation meanwhile means to begin again; what stays out
    of order was damaged, and is opened as far as it is there."""
    for left in reversed(range(_TRIES)):
        places, whole = _snapshot(path)
        files: list[LogFile] = []
        for number, identity in reversed(places.items()):
            try:
                file = LogFile(_place(path, number), strict=left > 0)
            except FileNotFoundError:
                whole = whole and not identity
                continue
            files.append(file)
            whole = whole and file.identity == identity
        if not left or (whole and _snapshot(path) == (places, True)):
            for file in files[:-1]:
                file.finish()
            return files
        for file in files:
            file.close()
        time.sleep(_PAUSE)
    return []


def open_next(path: Path, current: LogFile) -> LogFile | None:
    """The file that follows ``current``, the oldest one when that was dropped; None while it is still the
    newest, and while a rotation makes it impossible to tell."""
    for _ in range(_TRIES):
        if _identity(path) == current.identity:
            return None
        places, whole = _snapshot(path)
        if not any(places.values()):
            return None
        mine = next((number for number, identity in places.items() if identity == current.identity), None)
        if whole and mine != 0:
            following = max(places) if mine is None else mine - 1
            found = _open_as(path, following, places[following])
            if found is not None:
                return found
        time.sleep(_PAUSE)
    return None


def _open_as(path: Path, number: int, identity: int) -> LogFile | None:
    try:
        found = LogFile(_place(path, number))
    except FileNotFoundError:
        return None
    if found.identity != identity:
        found.close()
        return None
    if number:
        found.finish()
    return found
