"""How pull and push are shown: docker's lines by layer, with bars in a terminal, else as they come."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from tuidock.cli.output import decimal_size, display_width
from tuidock.cli.progress import Quiet, progress

if TYPE_CHECKING:
    from runtime.model.event import Progress

__all__ = ["Bars", "Lines", "transfer"]

_INTERVAL = 0.1
_BAR = 50
_NARROW = 110


class Lines:
    """One line a change of stage; amounts are left out."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stages: dict[str, str] = {}

    def __call__(self, event: Progress) -> None:
        if event.current is not None or (event.id and self._stages.get(event.id) == event.stage):
            return
        self._stages[event.id] = event.stage
        self._stream.write(f"{event.id}: {event.stage}\n" if event.id else f"{event.stage}\n")
        self._stream.flush()

    def finish(self) -> None:
        return None


class Bars:
    """A row a layer, drawn over; an event without an id is a line that stays, and later rows go below it."""

    def __init__(
        self,
        stream: TextIO,
        *,
        size: Callable[[], tuple[int, int]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._size = size
        self._clock = clock
        self._rows: dict[str, Progress] = {}
        self._drawn = 0
        self._last = 0.0
        self._lock = threading.Lock()

    def __call__(self, event: Progress) -> None:
        with self._lock:
            if not event.id:
                self._draw()
                self._rows.clear()
                self._drawn = 0
                self._stream.write(f"{event.stage}\n")
                self._stream.flush()
                return
            fresh = event.id not in self._rows
            self._rows[event.id] = event
            now = self._clock()
            if fresh or event.current is None or now - self._last >= _INTERVAL:
                self._last = now
                self._draw()

    def finish(self) -> None:
        """The last picture."""
        with self._lock:
            self._draw()

    def _draw(self) -> None:
        height, width = self._size()
        rows = [self._row(event, width) for event in self._rows.values()]
        rows = rows[-max(height - 1, 3) :]
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self._stream.write(up + "".join(f"\r\x1b[2K{row}\n" for row in rows))
        self._stream.flush()
        self._drawn = len(rows)

    def _row(self, event: Progress, width: int) -> str:
        text = f"{event.id}: {event.stage}"
        if event.current is not None:
            text += f" {_bar(event.current, event.total or 0, width)}"
        while text and display_width(text) > max(width - 1, 1):
            text = text[:-1]
        return text


def _bar(current: int, total: int, width: int) -> str:
    """docker's: "[====>     ]  12.3MB/45.6MB"; without a total, or in a narrow window, the amount alone."""
    amount = decimal_size(max(current, 0), 4)
    if not total:
        return amount
    amounts = f"{amount}/{decimal_size(total, 4)}"
    if width < _NARROW:
        return amounts
    filled = min(_BAR, max(0, current) * _BAR // total)
    arrow = ">" if filled < _BAR else ""
    return f"[{'=' * filled}{arrow}{' ' * (_BAR - filled - len(arrow))}]  {amounts}"


@contextmanager
def transfer(
    *, quiet: bool = False, errors: bool = False
) -> Iterator[tuple[Callable[[Progress], None], threading.Event]]:
    """The ``progress`` callback and the ``cancel`` event of a pull or push, shown on standard output, or on
    standard ``errors`` where the command's own output goes to the former."""
    from tuidock.cli.terminal import window_size

    stream = sys.stderr if errors else sys.stdout
    show: Quiet | Lines | Bars
    if quiet:
        show = Quiet()
    elif stream.isatty() and os.environ.get("TERM") != "dumb":
        number = stream.fileno()

        def size() -> tuple[int, int]:
            rows, columns = window_size(number)
            return rows or 24, columns or 80

        show = Bars(stream, size=size)
    else:
        show = Lines(stream)
    with progress("", show=show) as (told, cancel):
        yield told, cancel
