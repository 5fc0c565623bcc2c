"""The help: every key that works, made from the same tables as the bindings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from tuidock.app.keys import APP, LISTS, LOGS, PAGES, Command, display, verbs
from tuidock.app.widgets.page import Page
from tuidock.app.wording import Cell

__all__ = ["Help", "help_lines"]

KEYS = 14
"""Cells of the column of keys."""


WIDE = 150
"""Where two columns stand side by side, only from this width on is there room for the ids."""
TITLE = 36
"""Cells of the column of titles, where the ids stand behind it."""


def help_lines(keymap: Mapping[str, str], width: int) -> list[Cell]:
    """All commands by group, in two columns where there is room."""
    groups: dict[str, list[Command]] = {}
    for command in (*verbs(), *LISTS, *APP, *LOGS, *PAGES):
        groups.setdefault(command.group, []).append(command)
    blocks: list[list[Cell]] = []
    for group, commands in groups.items():
        lines: list[Cell] = [((group, "title"),)]
        for command in commands:
            keys = display(keymap.get(command.id, command.keys))
            line: Cell = ((keys.rjust(KEYS) + "  ", "key"), (command.title, ""))
            if not 110 <= width < WIDE:
                line = (*line[:1], (command.title.ljust(TITLE), ""), (f" {command.id}", "dim"))
            lines.append(line)
        blocks.append([*lines, ()])
    if width < 110:
        return [line for block in blocks for line in block]
    half = sum(map(len, blocks)) // 2
    left: list[Cell] = []
    right: list[Cell] = []
    for block in blocks:
        (left if len(left) + len(block) // 2 <= half else right).extend(block)
    column = width // 2
    return [_side_by_side(left, right, line, column) for line in range(max(len(left), len(right)))]


def _side_by_side(left: list[Cell], right: list[Cell], line: int, column: int) -> Cell:
    first = left[line] if line < len(left) else ()
    second = right[line] if line < len(right) else ()
    used = sum(len(text) for text, _ in first)
    return (*first, (" " * max(column - used, 1), ""), *second)


class Help(ModalScreen[None]):
    """Any of q, ? and Esc closes it; / searches in it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,x", "dismiss", "Close", show=False),
    ]

    def __init__(self, keymap: Mapping[str, str]) -> None:
        super().__init__()
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        with Vertical(id="help") as box:
            box.border_title = "Keys"
            box.border_subtitle = "Esc closes · the grey names are for tui: keys: in the settings"
            yield Page(id="help-page")

    def on_mount(self) -> None:
        page = self.query_one(Page)
        page.show(help_lines(self._keymap, self.app.size.width - 8), anew=True)
        page.focus()

    def on_page_search_asked(self) -> None:
        """Nothing to type in here: the whole help is a few screens."""

    async def action_dismiss(self, result: None = None) -> None:
        self.dismiss(None)
