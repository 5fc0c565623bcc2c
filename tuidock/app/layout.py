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


def left_width(width: int, zoom: Zoom, *, left_focused: bool) -> int:
    """Columns of the lists; 0 gives all to the right side, ``width`` all to the left."""
    if zoom is Zoom.FULL:
        return width if left_focused else 0
    if zoom is Zoom.HALF:
        return width // 2 if left_focused else max(width // 4, 24)
    return max(min(width * 9 // 20, 90), 38)


def heights(panes: Sequence[Share], height: int, focused: str) -> dict[str, int]:
    """Lines for each pane, ``height`` together; 1 is a title line without a border.

    A pane gets what its rows need, the focused one first; what is left goes to the containers, the pane
    with the most to show. Where there is too little, compact panes that are not focused give up theirs.
    """
    given = {}
    for pane in panes:
        small = pane.compact and pane.id != focused
        given[pane.id] = 1 if small else FRAME + 1
    left = height - sum(given.values())

    def want(pane: Share) -> int:
        header = 1 if pane.rows > 2 else 0
        return FRAME + max(pane.rows, 1) + header

    order = sorted(panes, key=lambda pane: (pane.id != focused, pane.compact))
    for pane in order:
        roomy = height >= 40 or not pane.compact or pane.id == focused
        if pane.id != "containers":
            most = min(want(pane), max(height // (2 if pane.id == focused else 5), FRAME + 1))
        else:
            most = want(pane)
        more = min(max(most - given[pane.id], 0), max(left, 0))
        if roomy and (given[pane.id] > 1 or more >= FRAME):
            given[pane.id] += more
            left -= more
    if left:
        given["containers"] = max(given["containers"] + left, 1)
    return given
