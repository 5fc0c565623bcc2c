"""Shows what a long verb does: live lines in a terminal, redrawn at most ten times a second, else plain.

Two layouts over the same events: docker compose's (a row a container, network, layer) and BuildKit's (a row a
step, with the last lines of what it runs). Everything goes to standard error, as docker's does.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from tuidock.cli.output import decimal_size, display_width

if TYPE_CHECKING:
    from runtime.model.event import Progress

__all__ = ["Live", "Plain", "Quiet", "View", "progress"]

_INTERVAL = 0.1
_TAIL_LINES = 6
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class _Row:
    """One step, layer, container or network over its life."""

    def __init__(self, id: str, stage: str, began: float) -> None:
        self.id = id
        self.stage = stage
        self.began = began
        self.ended: float | None = None
        self.current: int | None = None
        self.total: int | None = None
        self.unit = "bytes"
        self.lines: list[str] = []

    def amount(self) -> str:
        if self.current is None:
            return ""
        if self.unit == "bytes":
            done = decimal_size(self.current)
            return f"{done}/{decimal_size(self.total)}" if self.total else done
        return f"{self.current}/{self.total} {self.unit}" if self.total else f"{self.current} {self.unit}"


class View(Protocol):
    """What shows progress. Safe to be called from any thread."""

    def __call__(self, event: Progress) -> None: ...

    def finish(self) -> None: ...


class Quiet:
    """Shows nothing."""

    def __call__(self, event: Progress) -> None:
        return None

    def finish(self) -> None:
        return None


class Plain:
    """A line whenever something changes; output of what is run as it comes.

    Steps of a build are told as BuildKit's plain progress tells them: ``#5 TITLE`` before what happens in
    it, ``#5 ...`` when another one comes between, an empty line after its end.
    """

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._write = write or sys.stderr.write
        self._stages: dict[str, str] = {}
        self._began: dict[str, float] = {}
        self._current = ""
        self._lock = threading.Lock()

    def __call__(self, event: Progress) -> None:
        with self._lock:
            if event.id.startswith("#"):
                self._step(event, time.monotonic())
            elif event.stage and self._stages.get(event.id) != event.stage:
                self._stages[event.id] = event.stage
                self._write(f" {event.id}  {event.stage}\n")
            sys.stderr.flush()

    def _step(self, event: Progress, now: float) -> None:
        began = self._began.setdefault(event.id, now)
        title = self._stages.setdefault(event.id, event.stage)
        if self._current != event.id:
            if self._current:
                self._write(f"{self._current} ...\n\n")
            self._write(f"{event.id} {title}\n")
            self._current = event.id
        if event.line is not None:
            at = "" if event.note else f"{now - began:.3f} "
            self._write(f"{event.id} {at}{event.line}\n")
        if event.done:
            word = event.stage.partition(" ")[0]
            if event.error and word == "ERROR":
                end = f"ERROR: {event.error}"
            else:
                end = word if word in ("CACHED", "CANCELED") else f"DONE {now - began:.1f}s"
            self._write(f"{event.id} {end}\n\n")
            self._current = ""

    def finish(self) -> None:
        return None


class Live:
    """Rows that are drawn over; ``finish`` leaves the final picture. Safe to be called from any thread."""

    def __init__(
        self,
        title: str,
        *,
        write: Callable[[str], object] | None = None,
        size: Callable[[], tuple[int, int]] | None = None,
        color: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title = title
        self._write = write or sys.stderr.write
        self._size = size or _terminal_size
        self._color = color
        self._clock = clock
        self._rows: dict[str, _Row] = {}
        self._drawn = 0
        self._last = 0.0
        self._began = clock()
        self._lock = threading.Lock()
        self._finished = False

    def __call__(self, event: Progress) -> None:
        with self._lock:
            now = self._clock()
            row = self._rows.get(event.id)
            if row is None:
                row = self._rows[event.id] = _Row(event.id, event.stage, now)
            if event.stage:
                row.stage = event.stage
            row.current, row.total, row.unit = event.current, event.total, event.unit
            if event.line is not None:
                row.lines = [*row.lines[1 - _TAIL_LINES :], event.line]
            row.ended = now if event.done else None
            if now - self._last >= _INTERVAL and not self._finished:
                self._last = now
                self._draw(now)

    def tick(self) -> None:
        """Draw again, for the seconds and the spinner."""
        with self._lock:
            now = self._clock()
            if self._rows and now - self._last >= _INTERVAL and not self._finished:
                self._last = now
                self._draw(now)

    def finish(self) -> None:
        """The last picture, with every row that there was; nothing is drawn after it."""
        with self._lock:
            finished, self._finished = self._finished, True
            if self._rows and not finished:
                self._draw(self._clock(), final=True)

    def _draw(self, now: float, final: bool = False) -> None:
        height, width = self._size()
        lines = list(self._lines(now, final))
        room = max(height - 1, 3)
        if not final and len(lines) > room:
            lines = [lines[0], *lines[1 - room :]]
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        body = "".join(f"\x1b[2K{_cut(line, width)}\n" for line in lines)
        self._write(f"\x1b[?25l{up}\r{body}\x1b[0J\x1b[?25h")
        sys.stderr.flush()
        self._drawn = len(lines)

    def _lines(self, now: float, final: bool) -> Iterator[str]:
        rows = list(self._rows.values())
        done = sum(1 for row in rows if row.ended is not None)
        elapsed = f"{now - self._began:.1f}s " if any(row.id.startswith("#") for row in rows) else ""
        yield self._paint(f"[+] {self._title} {elapsed}{done}/{len(rows)}", "1" if not final else "")
        widest = max((display_width(_label(row)) for row in rows), default=0)
        for row in rows:
            yield self._row(row, now, widest)
            if row.ended is None and not final:
                for line in row.lines:
                    yield self._paint(f"   => => {line}", "2")

    def _row(self, row: _Row, now: float, widest: int) -> str:
        finished = row.ended is not None
        failed = row.stage.startswith(("ERROR", "Error", "CANCELED"))
        sign = _SPINNER[int(now * 10) % len(_SPINNER)]
        if finished:
            sign = self._paint("✘", "31") if failed else self._paint("✔", "32")
        label = _label(row)
        label += " " * (widest - display_width(label))
        seconds = f"{(row.ended or now) - row.began:.1f}s"
        if row.id.startswith("#"):
            return f" {sign} {label}  {self._paint(seconds, '34')}"
        stage = self._paint(row.stage, "31" if failed else "32" if finished else "33")
        return f" {sign} {label}  {stage} {row.amount()}".rstrip() + f"  {self._paint(seconds, '34')}"

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color and code else text


def _label(row: _Row) -> str:
    if row.id.startswith("#"):
        amount = row.amount()
        return f"{row.stage}  {amount}" if amount else row.stage
    return row.id


def _cut(line: str, width: int) -> str:
    """At most ``width`` columns, colour sequences not counted and kept."""
    if not width or display_width(line) <= width:
        return line
    out, used, place = [], 0, 0
    while place < len(line):
        if line[place] == "\x1b":
            end = line.index("m", place) + 1
            out.append(line[place:end])
            place = end
            continue
        columns = display_width(line[place])
        if used + columns <= width:
            out.append(line[place])
        used += columns
        place += 1
    return "".join(out)


def _terminal_size() -> tuple[int, int]:
    from tuidock.cli.terminal import window_size

    rows, columns = window_size(2)
    return rows or 24, columns or 80


def _choose(title: str, style: str, quiet: bool) -> View:
    if quiet or style == "quiet":
        return Quiet()
    if style == "rawjson":
        from tuidock.cli.progress_raw import RawJson

        return RawJson()
    if style == "plain" or (style == "auto" and not sys.stderr.isatty()) or os.environ.get("TERM") == "dumb":
        return Plain()
    return Live(title, color="NO_COLOR" not in os.environ)


def _tick(show: Live, ended: threading.Event) -> None:
    while not ended.wait(_INTERVAL):
        show.tick()


@contextmanager
def progress(
    title: str,
    *,
    style: str = "auto",
    quiet: bool = False,
    interruptible: bool = False,
    show: View | None = None,
) -> Iterator[tuple[View, threading.Event]]:
    """Gives the ``progress`` callback and the ``cancel`` event of a long verb; ``show`` replaces the view.

    The first ctrl-C sets the event, so that the verb can undo what it has begun; the second interrupts it,
    as the first one does when ``interruptible``.
    """
    import signal

    cancel = threading.Event()
    show = show or _choose(title, style, quiet)

    def interrupted(number: int, frame: object) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()

    numbers = () if interruptible else (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, interrupted) for number in numbers}
    ended = threading.Event()
    ticker = threading.Thread(target=_tick, args=(show, ended), name="progress", daemon=True)
    if isinstance(show, Live):
        ticker.start()
    try:
        yield show, cancel
    finally:
        ended.set()
        for number, handler in before.items():
            signal.signal(number, handler)
        show.finish()
