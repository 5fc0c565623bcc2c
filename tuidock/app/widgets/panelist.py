"""A pane on the screen: its table, filter, order and title."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType

from tuidock.app.actions import Subject
from tuidock.app.board import Board
from tuidock.app.keys import LISTS, bindings, verbs
from tuidock.app.panes.pane import Pane, Row
from tuidock.app.widgets.table import RowTable
from tuidock.app.wording import plain

__all__ = ["PaneList", "matches"]


def matches(needle: str, text: str) -> bool:
    """Every word of ``needle`` is in ``text``: as it is or, small letters from three on, with other letters
    between. Small letters match large ones too."""
    lowered = text.lower()
    for word in needle.split():
        where = text if word != word.lower() else lowered
        if word in where:
            continue
        if len(word) < 3 or where is text:
            return False
        letters = iter(lowered.split("\n", 1)[0])
        if not all(letter in letters for letter in word.lower()):
            return False
    return True


class PaneList(RowTable):
    """One of :data:`tuidock.app.panes.PANES`, drawn from the board."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(LISTS), *bindings(verbs())]

    def __init__(self, pane: Pane, number: int) -> None:
        super().__init__(pane.columns, empty=pane.empty, id=pane.id)
        self.pane = pane
        self.number = number
        self.order = 0
        self.filter = ""
        self._subjects: dict[str, Subject] = {}

    def update(self, board: Board) -> None:
        """Make the rows anew from the board; what stays the same is not drawn again."""
        pane = self.pane
        items = list(pane.items(board))
        total = len(items)
        order = pane.orders[self.order]
        items.sort(key=lambda item: order.key(item, board))
        rows = []
        subjects: dict[str, Subject] = {}
        for item in items:
            cells = pane.cells(item, board)
            if self.filter and not matches(self.filter, "\n".join(map(plain, cells))):
                continue
            subject = pane.subject(item)
            subjects[subject.key] = subject
            rows.append(Row(subject.key, cells))
        self._subjects = subjects
        if self.filter and not rows:
            self.empty = f"Nothing matches {self.filter!r}. Esc shows all."
        elif not board.loaded:
            self.empty = "Reading…"
        elif board.hide_stopped and pane.id == "containers" and board.snapshot.containers:
            self.empty = "Only stopped containers here. Press e to show them."
        else:
            self.empty = pane.empty
        self.set_rows(rows)
        self._titles(len(rows), total, board)

    def _titles(self, shown: int, total: int, board: Board) -> None:
        self.border_title = f"{self.number} {self.pane.title}"
        notes = [f"{shown}/{total}" if shown != total else f"{total}"]
        if self.filter:
            notes.append(f"/{self.filter}")
        if self.order:
            notes.append(f"by {self.pane.orders[self.order].title}")
        if board.hide_stopped and self.pane.id == "containers":
            notes.append("running only")
        if self.marks:
            notes.append(f"{len(self.marks)} marked")
        self.border_subtitle = " · ".join(notes)

    @property
    def subject(self) -> Subject | None:
        """What the cursor is on."""
        return self._subjects.get(self.current.key) if self.current is not None else None

    def subjects(self) -> Sequence[Subject]:
        """What an action is for: the marked rows, else the one under the cursor."""
        if self.marks:
            return [self._subjects[row.key] for row in self.rows if row.key in self.marks]
        return [self.subject] if self.subject is not None else []

    def next_order(self) -> str:
        """Sort by the next order of the pane; says which."""
        self.order = (self.order + 1) % len(self.pane.orders)
        return self.pane.orders[self.order].title
