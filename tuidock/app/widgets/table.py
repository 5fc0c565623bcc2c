"""A table of rows, for any number of them: it draws what is on screen and what changed there.

Rows have keys; the cursor and the marks stay on their rows when the rows around them come, go or move.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tuidock.app.panes.pane import Column, Row
from tuidock.app.widgets.roles import ROLES, Roles
from tuidock.app.wording import Cell, plain

__all__ = ["RowTable", "columns_that_fit", "fit"]

GAP = 1
LEAST = 8
MOST = 30
"""The narrowest and the widest that the free column asks for before other columns are left out."""


def columns_that_fit(columns: Sequence[Column], width: int, longest: int) -> list[tuple[int, int]]:
    """(column, cells) of those that have room: the free one gets what its longest text needs, within
    reason, and columns of high priority are left out for it. What is still left goes to the last."""
    shown = list(range(len(columns)))
    least = min(max(longest, LEAST), MOST)

    def needed() -> int:
        return sum((columns[i].width or least) + GAP for i in shown) - GAP

    while needed() > width:
        last = max(shown, key=lambda i: columns[i].priority)
        if columns[last].priority == 0:
            break
        shown.remove(last)
    spare = width - needed()
    free = max(least + min(spare, max(longest - least, 0)), 4)
    spare -= free - least
    widths = [[i, columns[i].width or free] for i in shown]
    if spare > 0:
        last = next(place for place in reversed(range(len(shown))) if not columns[shown[place]].right)
        widths[last][1] += spare
    return [(i, cells) for i, cells in widths]


def fit(cell: Cell, width: int, *, right: bool = False) -> list[tuple[str, str]]:
    """The spans of a cell, cut or padded to ``width``; a cut one ends in an ellipsis."""
    length = sum(cell_len(text) for text, _ in cell)
    if length <= width:
        blank = (" " * (width - length), "")
        return [blank, *cell] if right else [*cell, blank]
    spans = []
    left = width - 1
    for text, role in cell:
        taken = cell_len(text)
        if taken > left:
            spans.append((set_cell_size(text, left) + "…", role))
            break
        spans.append((text, role))
        left -= taken
    return spans


class RowTable(ScrollView, Roles, can_focus=True):
    """Set ``columns`` once and ``set_rows`` as often as you like."""

    COMPONENT_CLASSES = ROLES

    class Highlighted(Message):
        """The cursor is on another row (or its row is gone)."""

        def __init__(self, table: RowTable, key: str | None) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> RowTable:
            return self.table

    class Activated(Message):
        """A row was clicked twice."""

        def __init__(self, table: RowTable, key: str) -> None:
            super().__init__()
            self.table = table
            self.key = key

    def __init__(self, columns: Sequence[Column], *, empty: str = "", id: str | None = None) -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.empty = empty
        self.rows: tuple[Row, ...] = ()
        self.cursor = 0
        self.marks: set[str] = set()
        self.collapsed = False
        self._range_from: str | None = None
        self._at: dict[str, int] = {}
        self._strips: dict[tuple[str, int], tuple[Row, Strip]] = {}
        self._fitted: list[tuple[int, int]] = []
        self._fitted_for = (0, 0)
        self._longest = LEAST

    # -- data

    @property
    def current(self) -> Row | None:
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    @property
    def header(self) -> int:
        """Rows that the header takes: one, where there is room for it."""
        return 1 if self.rows and self.size.height > 4 else 0

    def on_screen(self) -> list[str]:
        """The keys of the rows that can be seen."""
        top = int(self.scroll_offset.y)
        return [row.key for row in self.rows[top : top + max(self.size.height, 1)]]

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these rows. The cursor stays on its row, or takes the place of a row that is gone."""
        before, self.rows = self.rows, tuple(rows)
        current = before[self.cursor].key if self.cursor < len(before) else None
        same_places = len(before) == len(self.rows) and all(a.key == b.key for a, b in zip(before, self.rows))
        if same_places:
            top = self.header - int(self.scroll_offset.y)
            for place, (old, new) in enumerate(zip(before, self.rows)):
                if old.cells != new.cells and 0 <= place + top < self.size.height:
                    self.refresh_line(place + self.header)
            return
        self._at = {row.key: place for place, row in enumerate(self.rows)}
        self.marks &= self._at.keys()
        self._strips = {at: known for at, known in self._strips.items() if at[0] in self._at}
        free = next((i for i, column in enumerate(self.columns) if not column.width), 0)
        self._longest = max((cell_len(plain(row.cells[free])) for row in self.rows), default=LEAST)
        if current is not None and current in self._at:
            self.cursor = self._at[current]
        else:
            self.cursor = max(min(self.cursor, len(self.rows) - 1), 0)
        self._resize_content()
        self.refresh()
        now = self.current.key if self.current else None
        if now != current:
            self.post_message(self.Highlighted(self, now))

    def _resize_content(self) -> None:
        self.virtual_size = Size(max(self.size.width, 1), len(self.rows) + self.header)
        self._show_cursor()

    def on_resize(self) -> None:
        self._resize_content()

    def select(self, key: str) -> bool:
        """Put the cursor on a row; False when there is no such row."""
        place = self._at.get(key)
        if place is None:
            return False
        self.move_to(place)
        return True

    # -- moving

    def move_to(self, place: int) -> None:
        if not self.rows:
            return
        before, self.cursor = self.cursor, max(min(place, len(self.rows) - 1), 0)
        if self._range_from is not None:
            self._mark_range()
        if before != self.cursor:
            self.refresh_line(before + self.header)
            self.refresh_line(self.cursor + self.header)
            self._show_cursor()
            self.post_message(self.Highlighted(self, self.rows[self.cursor].key))

    def _show_cursor(self) -> None:
        visible = max(self.size.height - self.header, 1)
        top = int(self.scroll_offset.y)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= top + visible:
            self.scroll_to(y=self.cursor - visible + 1, animate=False, immediate=True)

    def action_cursor(self, step: int) -> None:
        self.move_to(self.cursor + step)

    def action_cursor_to(self, place: int) -> None:
        self.move_to(place if place >= 0 else len(self.rows) + place)

    def action_cursor_page(self, pages: int) -> None:
        self.move_to(self.cursor + pages * max(self.size.height - self.header - 1, 1))

    def action_mark(self) -> None:
        if self.current is not None:
            self.marks ^= {self.current.key}
            self.refresh_line(self.cursor + self.header)
            self.move_to(self.cursor + 1)

    def action_range(self) -> None:
        """Begins a range at the cursor; the second time it ends there."""
        if self._range_from is not None:
            self._range_from = None
        elif self.current is not None:
            self._range_from = self.current.key
            self._mark_range()

    def _mark_range(self) -> None:
        start = self._at.get(self._range_from or "", self.cursor)
        low, high = sorted((start, self.cursor))
        self.marks = {row.key for row in self.rows[low : high + 1]}
        self.refresh()

    def clear_marks(self) -> bool:
        """Says whether there were any."""
        had = bool(self.marks) or self._range_from is not None
        self.marks.clear()
        self._range_from = None
        if had:
            self.refresh()
        return had

    # -- mouse

    def on_click(self, event: events.Click) -> None:
        place = event.y - self.gutter.top - self.header + int(self.scroll_offset.y)
        if event.y - self.gutter.top < self.header or not 0 <= place < len(self.rows):
            return
        self.move_to(place)
        if event.chain == 2:
            self.post_message(self.Activated(self, self.rows[place].key))

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self._range_from = None
        self.refresh()

    # -- drawing

    def notify_style_update(self) -> None:
        self._strips.clear()
        super().notify_style_update()

    def _columns(self) -> list[tuple[int, int]]:
        wanted = (self.size.width - 2, self._longest)
        if self._fitted_for != wanted:
            self._fitted_for = wanted
            self._fitted = columns_that_fit(self.columns, *wanted)
            self._strips.clear()
        return self._fitted

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if self.collapsed:
            return self.strip(
                ((f" {self.border_title or ''}", "title"), (f"  {len(self.rows)}", "dim")), width
            )
        if not self.rows:
            return self._empty_line(y, width)
        if self.header and y == 0:
            return self._header_line(width)
        place = y - self.header + int(self.scroll_offset.y)
        if place >= len(self.rows):
            return Strip.blank(width, self.base)
        return self._row_line(place)

    def _empty_line(self, y: int, width: int) -> Strip:
        from textwrap import wrap

        lines = wrap(self.empty, max(width - 2, 10))
        return self.strip(((f" {lines[y]}" if y < len(lines) else "", "dim"),), width)

    def _header_line(self, width: int) -> Strip:
        spans = [("  ", "")]
        for i, cells in self._columns():
            column = self.columns[i]
            spans += fit(((column.title, "dim"),), cells, right=column.right)
            spans.append((" " * GAP, ""))
        return self.strip(tuple(spans), width)

    def _row_line(self, place: int) -> Strip:
        row = self.rows[place]
        columns = self._columns()
        look = (place == self.cursor) * (2 if self.has_focus else 1) + 4 * (row.key in self.marks)
        known = self._strips.get((row.key, look))
        if known is not None and known[0].cells == row.cells:
            return known[1]
        base = self._base(look)
        sign = "▌" if look & 3 == 2 else "▏" if look & 3 else " "
        mark = "+" if look & 4 else " "
        segments = [
            Segment(sign, base + self.role("title") if look & 3 else base),
            Segment(mark, base + self.role("marked") if look & 4 else base),
        ]
        for i, cells in columns:
            for text, role in fit(row.cells[i], cells, right=self.columns[i].right):
                segments.append(Segment(text, base + self.role(role) if role else base))
            segments.append(Segment(" " * GAP, base))
        strip = Strip(segments).crop_extend(0, self.size.width, base)
        self._strips[(row.key, look)] = (row, strip)
        return strip

    def _base(self, look: int) -> Style:
        base = self.base
        if look & 3:
            base += self.role("cursor" if look & 3 == 2 else "cursor-blurred")
        return base
