"""The log pane: follows one container's log or several merged ones, from a bounded store of raw lines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip

from tuidock.app.ansi import pieces, text
from tuidock.app.keys import LOGS, bindings
from tuidock.app.logstore import Line, LogStore
from tuidock.app.widgets.page import highlighted
from tuidock.app.widgets.roles import Roles

if TYPE_CHECKING:
    from runtime.containers.logs import LogFollower

__all__ = ["SINCE", "LogView", "Source"]

PUMP = 0.1
"""Seconds between two looks for new lines."""
BUDGET = 0.02
"""Seconds that one look may take; what is left is read at the next."""
LONGEST = 32 << 10
"""Bytes of a line that are drawn; the rest is saved and searched but not shown."""
SINCE = (
    ("", 0),
    ("1 min", 60),
    ("5 min", 300),
    ("15 min", 900),
    ("30 min", 1800),
    ("1 h", 3600),
    ("1 day", 86400),
)


class Source:
    """One container's log: its name and what reads it."""

    __slots__ = ("follower", "name")

    def __init__(self, name: str, follower: LogFollower) -> None:
        self.name = name
        self.follower = follower


class LogView(Roles, can_focus=True):
    """``show`` it sources; it closes the ones before. The place is (line, row of that line)."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(LOGS)

    class SinceChosen(Message):
        """Open the same logs again, from another time on."""

        def __init__(self, choice: int) -> None:
            super().__init__()
            self.choice = choice

    class PromptAsked(Message):
        """The user wants to type what to ``search`` or ``narrow`` for."""

        def __init__(self, purpose: str) -> None:
            super().__init__()
            self.purpose = purpose

    class SaveAsked(Message):
        def __init__(self, name: str, lines: list[bytes]) -> None:
            super().__init__()
            self.name = name
            self.lines = lines

    class CopyAsked(Message):
        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.store = LogStore()
        self.needle = ""
        self.narrowed = ""
        self.following = True
        self.wrapping = False
        self.timestamps = False
        self.since = 0
        self._shown = ""
        self._hint = "Select a container or a service to see its log."
        self._sources: list[Source] = []
        self._top = 0
        self._skip = 0
        self._left = 0
        self._match = -1
        self._drawn: list[Strip] | None = None

    def on_mount(self) -> None:
        self.set_interval(PUMP, self.pump)
        self._titles()

    def on_unmount(self) -> None:
        self._close()

    def _close(self) -> None:
        for source in self._sources:
            source.follower.close()
        self._sources = []

    def show(self, name: str, sources: Sequence[Source], *, hint: str = "") -> None:
        """Follow these logs from now on; ``hint`` is shown while they are empty."""
        self._close()
        self._sources = list(sources)
        self._shown = name
        self._hint = hint
        self.store.clear()
        self._top = self._skip = self._left = 0
        self._match = -1
        self.following = True
        self.pump()
        self._changed()

    def pump(self) -> None:
        """Take in what was written; called by a timer, within a time budget."""
        deadline = time.perf_counter() + BUDGET
        added = False
        while self._sources:
            batches = [(i, source.follower.read_new(2000)) for i, source in enumerate(self._sources)]
            if not any(batch for _, batch in batches):
                break
            added = True
            dropped = self.store.add(batches)
            self._top = max(self._top - dropped, 0)
            self._match -= dropped
            if time.perf_counter() > deadline:
                break
        if added:
            self._changed()

    def _changed(self) -> None:
        self._drawn = None
        self._titles()
        self.refresh()

    def _titles(self) -> None:
        self.border_title = "6 Logs" + (f" · {self._shown}" if self._shown else "")
        notes = []
        if self.needle:
            notes.append(f"/{self.needle}")
        if self.narrowed:
            notes.append(f"only {self.narrowed!r}")
        if self.since:
            notes.append(f"last {SINCE[self.since][0]}")
        if self.wrapping:
            notes.append("wrap")
        notes.append(f"{len(self.store):,} lines")
        notes.append("following" if self.following else "paused, f follows")
        self.border_subtitle = " · ".join(notes)

    # -- keys

    def action_follow(self) -> None:
        self.following = not self.following
        self._changed()

    def action_wrap(self) -> None:
        self.wrapping = not self.wrapping
        self._skip = self._left = 0
        self._changed()

    def action_timestamps(self) -> None:
        self.timestamps = not self.timestamps
        self._changed()

    def action_since(self, choice: int) -> None:
        self.since = choice
        self.post_message(self.SinceChosen(choice))
        self._changed()

    def action_search(self) -> None:
        self.post_message(self.PromptAsked("search"))

    def action_narrow(self) -> None:
        self.post_message(self.PromptAsked("narrow"))

    def action_save(self) -> None:
        lines = [self.store.line(place).data for place in range(len(self.store))]
        self.post_message(self.SaveAsked(self._shown, lines))

    def action_copy(self) -> None:
        strips = self._draw()
        self.post_message(self.CopyAsked("\n".join(strip.text.rstrip() for strip in strips).strip("\n")))

    def search(self, needle: str) -> bool:
        """Look for ``needle`` backwards from the last line on screen; says whether it is there."""
        self.needle = needle
        self._match = self._bottom() + 1
        found = not needle or self.action_match(-1)
        self._changed()
        return found

    def action_match(self, step: int) -> bool:
        if not self.needle or not len(self.store):
            return False
        place = self.store.find(self.needle, self._match, step)
        if place is None:
            return False
        self._match = place
        self.following = False
        if not self._top <= place <= self._bottom():
            self._top, self._skip = max(place - self.size.height // 3, 0), 0
        self._changed()
        return True

    def narrow(self, needle: str) -> None:
        """Only the lines that contain ``needle``."""
        self.narrowed = needle
        self.store.filter(needle)
        self._top = self._skip = 0
        self.following = True
        self._changed()

    def forget(self) -> bool:
        """Drop search and filter; says whether there were any."""
        had = bool(self.needle or self.narrowed)
        if self.narrowed:
            self.narrow("")
        self.needle = ""
        self._changed()
        return had

    # -- moving

    def action_scroll_rows(self, rows: int) -> None:
        self._settle()
        if self.wrapping:
            self._scroll_wrapped(rows)
        else:
            self._top = max(min(self._top + rows, len(self.store) - self.size.height), 0)
        self._changed()

    def _scroll_wrapped(self, rows: int) -> None:
        last, last_skip = self._end()
        for _ in range(abs(rows)):
            if rows > 0:
                if (self._top, self._skip) >= (last, last_skip):
                    break
                if self._skip + 1 < len(self._rows(self._top)):
                    self._skip += 1
                else:
                    self._top, self._skip = self._top + 1, 0
            elif self._skip:
                self._skip -= 1
            elif self._top:
                self._top -= 1
                self._skip = len(self._rows(self._top)) - 1

    def action_scroll_pages(self, pages: int) -> None:
        self.action_scroll_rows(pages * max(self.size.height - 1, 1))

    def action_scroll_first(self) -> None:
        self.following = False
        self._top = self._skip = 0
        self._changed()

    def action_scroll_last(self) -> None:
        self.following = True
        self._changed()

    def action_scroll_sideways(self, steps: int) -> None:
        if not self.wrapping:
            self._left = max(self._left + steps * 8, 0)
            self._changed()

    def on_mouse_scroll_down(self) -> None:
        self.action_scroll_rows(3)

    def on_mouse_scroll_up(self) -> None:
        self.action_scroll_rows(-3)

    def _settle(self) -> None:
        """From following to staying where we are."""
        if self.following:
            self._top, self._skip = self._end()
            self.following = False

    def _end(self) -> tuple[int, int]:
        """The place at which the last line is on the lowest row."""
        count, height = len(self.store), self.size.height
        if not self.wrapping:
            return max(count - height, 0), 0
        left = height
        for place in range(count - 1, -1, -1):
            rows = len(self._rows(place))
            if rows >= left:
                return place, rows - left
            left -= rows
        return 0, 0

    def _bottom(self) -> int:
        """The last line on screen."""
        count = len(self.store)
        if self.following:
            return count - 1
        if not self.wrapping:
            return min(self._top + self.size.height, count) - 1
        left = self.size.height + self._skip
        place = self._top
        while place < count - 1 and (left := left - len(self._rows(place))) > 0:
            place += 1
        return place

    # -- drawing

    def on_resize(self) -> None:
        self._changed()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._drawn = None

    def _prefix(self, line: Line) -> list[Segment]:
        base = self.base
        found = []
        if self.timestamps:
            moment = datetime.fromtimestamp(line.time / 1e9)
            found.append(
                Segment(
                    f"{moment:%m-%d %H:%M:%S}.{line.time // 1_000_000 % 1000:03} ", base + self.role("dim")
                )
            )
        if len(self._sources) > 1:
            longest = max(len(source.name) for source in self._sources)
            name = self._sources[line.source].name.ljust(longest) if line.source < len(self._sources) else ""
            found.append(Segment(f"{name} │ ", base + self.role(f"source-{line.source % 6}")))
        return found

    def _segments(self, place: int) -> list[Segment]:
        line = self.store.line(place)
        base = self.base
        data = line.data if len(line.data) <= LONGEST else line.data[:LONGEST] + b"\xe2\x80\xa6"
        found = [Segment(part, base + style if style else base) for part, style in pieces(data)]
        if self.needle:
            found = highlighted(found, self.needle, self)
        return self._prefix(line) + found

    def _rows(self, place: int) -> list[Strip]:
        """A line in rows of the pane's width; the ones after the first are set in."""
        strip = Strip(self._segments(place))
        width = max(self.size.width - 1, 8)
        if not self.wrapping or strip.cell_length <= width:
            return [strip]
        offsets = []
        at = 0
        for row in chop_cells(strip.text, width):
            offsets.append((at, at + cell_len(row)))
            at += cell_len(row)
        return [strip.crop(start, end) for start, end in offsets]

    def _draw(self) -> list[Strip]:
        if self._drawn is None:
            self._drawn = self._screenful()
        return self._drawn

    def _screenful(self) -> list[Strip]:
        width, height = self.size
        base = self.base
        if not len(self.store):
            return [self.strip(self._empty(), width)]
        if self.following:
            self._top, self._skip = self._end()
        rows: list[Strip] = []
        place, skip = self._top, self._skip
        count = len(self.store)
        while place < count and len(rows) < height:
            rows += self._rows(place)[skip:]
            place, skip = place + 1, 0
        left = 0 if self.wrapping else self._left
        thumb = self._thumb(height, count)
        return [
            Strip.join(
                [
                    row.crop_extend(left, left + width - 1, base),
                    Strip([Segment("┃" if y in thumb else " ", base + self.role("dim"))]),
                ]
            )
            for y, row in enumerate(rows[:height])
        ]

    def _empty(self) -> tuple[tuple[str, str], ...]:
        if self.narrowed:
            return ((f" No line contains {self.narrowed!r}. Esc shows all.", "dim"),)
        if not self._sources:
            return ((f" {self._hint}", "dim"),)
        since = f" in the last {SINCE[self.since][0]}" if self.since else " yet"
        return ((f" Nothing was logged{since}.", "dim"),)

    def _thumb(self, height: int, count: int) -> range:
        """The rows of the scroll bar's handle; none when everything fits."""
        if count <= height:
            return range(0)
        length = max(height * height // count, 1)
        start = (height - length) * self._top // max(count - height, 1)
        return range(min(start, height - length), min(start, height - length) + length)

    def render_line(self, y: int) -> Strip:
        rows = self._draw()
        return rows[y] if y < len(rows) else Strip.blank(self.size.width, self.base)


def plain_lines(lines: Sequence[bytes]) -> str:
    """Log lines as a text file: what they show, without colours."""
    return "".join(f"{text(line)}\n" for line in lines)
