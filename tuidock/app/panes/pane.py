"""What a pane is: a title, columns, how an item becomes a row, how rows are ordered, what its tabs show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.engine import Engine
    from tuidock.app.actions import Subject
    from tuidock.app.board import Board
    from tuidock.app.wording import Cell

__all__ = ["Column", "Order", "Pane", "Row", "Tab"]


@dataclass(frozen=True)
class Column:
    """``width`` in terminal cells; 0 shares what is left. Where the pane is narrow, columns with the
    highest ``priority`` are left out first; 0 always shows."""

    title: str
    width: int = 0
    priority: int = 0
    right: bool = False


@dataclass(frozen=True)
class Row:
    """``cells`` has one per column; ``text`` is what a filter searches."""

    key: str
    cells: tuple[Cell, ...]
    text: str = ""


@dataclass(frozen=True)
class Order:
    """One way to sort, by a key of (item, board)."""

    title: str
    key: Callable[[object, Board], tuple[float | str, ...]] = field(repr=False)


@dataclass(frozen=True)
class Tab:
    """A page of the detail panel. ``lines`` reads it, in a thread; None is the page of graphs. A page
    with ``every`` (seconds) is read again while it is looked at."""

    id: str
    title: str
    lines: Callable[[Engine, Subject], Sequence[Cell]] | None = field(default=None, repr=False)
    every: float = 0.0


@dataclass(frozen=True)
class Pane:
    """``items`` of the board, each made a ``subject`` (key and name) and a ``row``. ``empty`` tells what to
    do when there are none. ``compact`` panes show only their title line until they have the focus, where
    the screen is low."""

    id: str
    title: str
    columns: tuple[Column, ...]
    items: Callable[[Board], Sequence[object]] = field(repr=False)
    subject: Callable[[object], Subject] = field(repr=False)
    cells: Callable[[object, Board], tuple[Cell, ...]] = field(repr=False)
    orders: tuple[Order, ...]
    empty: str
    tabs: tuple[Tab, ...]
    compact: bool = False
