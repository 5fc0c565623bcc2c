"""Applies the division of the screen to the widgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuidock.app.layout import Share, Zoom, heights, left_width
from tuidock.app.widgets.logview import LogView
from tuidock.app.widgets.panelist import PaneList

if TYPE_CHECKING:
    from tuidock.app.app import Tuidock

__all__ = ["arrange"]

BARS = 2
"""Lines at the bottom that are no panes."""


def arrange(app: Tuidock) -> None:
    """Give every pane its share of the screen, for its size, the zoom and the focus."""
    if not app.left.is_attached:
        return  # the screen is not there yet, or not any more
    width, height = app.size
    height -= BARS
    focused = app.screen_stack[0].focused
    on_left = isinstance(focused, PaneList) or focused is None
    columns = left_width(width, app.zoom, left_focused=on_left)
    app.left.styles.width = columns
    app.left.display = columns > 0
    app.right.display = columns < width
    _lists(app, height, on_left=on_left)
    full = app.zoom is Zoom.FULL
    in_detail = app.detail.has_focus_within
    app.detail.display = not (full and isinstance(focused, LogView))
    app.log_view.display = not (full and in_detail)


def _lists(app: Tuidock, height: int, *, on_left: bool) -> None:
    current = app.last_list_id if on_left else ""
    alone = app.zoom is Zoom.FULL and on_left
    shares = [Share(each.pane.id, len(each.rows), each.pane.compact) for each in app.lists]
    given = heights(shares, height, current)
    for each in app.lists:
        lines = height if alone and each.pane.id == current else given[each.pane.id]
        each.display = not alone or each.pane.id == current
        each.set_class(lines == 1, "collapsed")
        each.collapsed = lines == 1
        each.styles.height = lines
