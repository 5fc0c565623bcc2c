"""A page of coloured lines that can be scrolled and searched; only the lines on screen are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tuidock.app.keys import PAGES, bindings
from tuidock.app.widgets.roles import ROLES, Roles
from tuidock.app.wording import Cell, plain

__all__ = ["Page", "highlighted"]


def highlighted(segments: Sequence[Segment], needle: str, look: Roles) -> list[Segment]:
    """The same segments, with every place of ``needle`` in the style of a match."""
    text = "".join(segment.text for segment in segments)
    lowered = text if needle != needle.lower() else text.lower()
    places = []
    at = lowered.find(needle)
    while at >= 0 and len(lowered) == len(text):
        places.append((at, at + len(needle)))
        at = lowered.find(needle, at + len(needle))
    if not places:
        return list(segments)
    style = look.role("match")
    found: list[Segment] = []
    start = 0
    for segment in segments:
        end = start + len(segment.text)
        cuts = sorted({start, end, *(min(max(cut, start), end) for place in places for cut in place)})
        for low, high in pairwise(cuts):
            inside = any(a <= low and high <= b for a, b in places)
            base = segment.style
            found.append(
                Segment(segment.text[low - start : high - start], base + style if inside and base else base)
            )
        start = end
    return found


class Page(ScrollView, Roles, can_focus=True):
    """``show`` it lines; it keeps its place when the same page comes again."""

    COMPONENT_CLASSES = ROLES

    BINDINGS: ClassVar[list[BindingType]] = bindings(PAGES)

    class SearchAsked(Message):
        """The user wants to type what to look for."""

    class CopyAsked(Message):
        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: list[Cell] = []
        self.needle = ""
        self._match = -1

    def show(self, lines: Sequence[Cell], *, anew: bool) -> None:
        self.lines = list(lines)
        widest = max((sum(cell_len(text) for text, _ in line) for line in self.lines), default=0)
        self.virtual_size = Size(widest + 1, len(self.lines))
        if anew:
            self._match = -1
            self.scroll_to(0, 0, animate=False, immediate=True)
        self.refresh()

    def search(self, needle: str) -> bool:
        """Look for ``needle`` from the top of what is on screen; says whether it is there."""
        self.needle = needle
        self._match = int(self.scroll_offset.y) - 1
        self.refresh()
        return self.action_match(1) if needle else True

    def action_match(self, step: int) -> bool:
        if not self.needle or not self.lines:
            return False
        count = len(self.lines)
        for distance in range(1, count + 1):
            place = (self._match + step * distance) % count
            text = plain(self.lines[place])
            if self.needle in (text if self.needle != self.needle.lower() else text.lower()):
                self._match = place
                if not 0 <= place - self.scroll_offset.y < self.size.height:
                    self.scroll_to(y=max(place - self.size.height // 3, 0), animate=False)
                return True
        return False

    def action_search(self) -> None:
        self.post_message(self.SearchAsked())

    def action_copy(self) -> None:
        self.post_message(self.CopyAsked("\n".join(map(plain, self.lines))))

    def action_scroll_rows(self, rows: int) -> None:
        self.scroll_to(y=self.scroll_offset.y + rows, animate=False)

    def action_scroll_pages(self, pages: int) -> None:
        self.scroll_to(y=self.scroll_offset.y + pages * max(self.size.height - 1, 1), animate=False)

    def action_scroll_first(self) -> None:
        self.scroll_to(y=0, animate=False)

    def action_scroll_last(self) -> None:
        self.scroll_to(y=self.max_scroll_y, animate=False)

    def action_scroll_sideways(self, steps: int) -> None:
        self.scroll_to(x=self.scroll_offset.x + steps * 8, animate=False)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        left, top = self.scroll_offset
        place = y + int(top)
        if place >= len(self.lines):
            return Strip.blank(width, self.base)
        strip = self.strip(self.lines[place], width + int(left))
        if self.needle:
            strip = Strip(highlighted(list(strip), self.needle, self))
        return strip.crop(int(left), int(left) + width)
