"""How the screen is divided: pure arithmetic, so that every size of terminal can be tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Share", "Zoom", "heights", "left_width"]


class Zoom(IntEnum):
    """How much of the screen the focused pane gets; ``+`` and ``_`` step through."""

    NORMAL = 0
    HALF = 1
    FULL = 2


@dataclass(frozen=True)
class Share:
    """A pane that wants room: how many rows it has, whether it can shrink to its title line."""

    id: str
    rows: int
    compact: bool


FRAME = 2
"""Border lines of a pane."""
LOW = 28
"""Lines under which compact panes stay folded."""
SPARE = 4
"""Lines that must be left for containers to come before compact panes are unfolded."""


def left_width(width: int, zoom: Zoom, *, left_focused: bool) -> int:
    """Columns of the lists; 0 gives all to the right side, ``width`` all to the left."""
    if zoom is Zoom.FULL:
        return width if left_focused else 0
    if zoom is Zoom.HALF:
        return width // 2 if left_focused else max(width // 4, 24)
    return max(min(width * 9 // 20, 90), 38)


def heights(panes: Sequence[Share], height: int, focused: str) -> dict[str, int]:
    """Lines for each pane, ``height`` together; 1 is a title line without a border.

    A pane gets what its rows need, the focused one first; compact panes that are not focused are unfolded
    only where there is room to spare. What is left goes to the containers, the pane with the most to show.
    """
    given = {pane.id: 1 if pane.compact and pane.id != focused else FRAME + 1 for pane in panes}
    left = height - sum(given.values())
    for pane in sorted(panes, key=lambda pane: (pane.id != focused, pane.id == "containers")):
        if given[pane.id] == 1:
            continue
        part = 1 if pane.id == "containers" else 2 if pane.id == focused else 5
        most = min(_wanted(pane), max(height // part, FRAME + 1))
        more = min(max(most - given[pane.id], 0), max(left, 0))
        given[pane.id] += more
        left -= more
    for pane in panes:
        more = min(_wanted(pane), height // 5) - given[pane.id]
        if given[pane.id] == 1 and height >= LOW and left - more >= SPARE:
            given[pane.id] += more
            left -= more
    given["containers"] = max(given["containers"] + left, 1)
    return given


def _wanted(pane: Share) -> int:
    """Lines that show all rows, with the header that a longer list has."""
    return FRAME + max(pane.rows, 1) + (1 if pane.rows > 2 else 0)
