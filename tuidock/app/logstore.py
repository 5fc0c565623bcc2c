"""The log lines that the interface holds: bounded in number and bytes, whatever the log's size.

A line is stored as it came. Nothing is decoded, coloured or measured before it is on screen; only a
filter, while there is one, looks at each new line once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tuidock.app.ansi import text

if TYPE_CHECKING:
    from runtime.containers.logs import LogEntry

__all__ = ["Line", "LogStore"]

MOST_LINES = 50_000
MOST_BYTES = 16 << 20


class Line(NamedTuple):
    """``source`` tells which of the merged logs it is from."""

    time: int
    source: int
    stream: int
    data: bytes


class LogStore:
    """Lines by place: 0 is the oldest that is held and passes the filter."""

    def __init__(self, most_lines: int = MOST_LINES, most_bytes: int = MOST_BYTES) -> None:
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._lines: list[Line] = []
        self._bytes = 0
        self._first = 0
        self._needle = ""
        self._passing: list[int] = []

    def __len__(self) -> int:
        return len(self._passing) if self._needle else len(self._lines)

    @property
    def held(self) -> int:
        return len(self._lines)

    def clear(self) -> None:
        self._lines.clear()
        self._passing.clear()
        self._bytes = self._first = 0

    def add(self, batches: Sequence[tuple[int, Sequence[LogEntry]]]) -> int:
        """Take lines of some sources in, in the order of their times; says how many places were dropped
        at the front to stay within bounds."""
        new = [
            Line(entry.time, source, entry.stream, entry.line) for source, part in batches for entry in part
        ]
        if len(batches) > 1:
            new.sort(key=lambda line: line.time)
        self._lines += new
        self._bytes += sum(len(line.data) for line in new)
        if self._needle:
            start = self._first + len(self._lines) - len(new)
            self._passing += [start + i for i, line in enumerate(new) if contains(line.data, self._needle)]
        return self._trim()

    def _trim(self) -> int:
        drop = max(len(self._lines) - self._most_lines, 0)
        size = self._bytes - sum(len(line.data) for line in self._lines[:drop])
        while size > self._most_bytes and drop < len(self._lines) - 1:
            size -= len(self._lines[drop].data)
            drop += 1
        if not drop:
            return 0
        del self._lines[:drop]
        self._bytes = size
        self._first += drop
        if not self._needle:
            return drop
        gone = bisect_left(self._passing, self._first)
        del self._passing[:gone]
        return gone

    def filter(self, needle: str) -> None:
        """Hold everything, show the lines that contain ``needle``; "" shows all."""
        self._needle = needle
        self._passing = [
            self._first + i for i, line in enumerate(self._lines) if needle and contains(line.data, needle)
        ]

    def line(self, place: int) -> Line:
        return self._lines[self._passing[place] - self._first if self._needle else place]

    def find(self, needle: str, place: int, step: int) -> int | None:
        """The next place from ``place`` (which is not looked at) in the direction of ``step``, round the
        end, whose line contains ``needle``."""
        count = len(self)
        for distance in range(1, count + 1):
            at = (place + step * distance) % count
            if contains(self.line(at).data, needle):
                return at
        return None

    def count(self, needle: str) -> int:
        return sum(contains(line.data, needle) for line in self._lines) if needle else 0


def contains(data: bytes, needle: str) -> bool:
    """Small letters match large ones; colours between the letters do not count."""
    folded = needle == needle.lower()
    wanted = needle.encode()
    if wanted in (data.lower() if folded else data):
        return True
    if b"\x1b" not in data and (not folded or needle.isascii()):
        return False
    shown = text(data)
    return needle in (shown.lower() if folded else shown)
