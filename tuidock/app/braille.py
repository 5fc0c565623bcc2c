"""Graphs out of braille characters: two samples wide and four dots high per cell (Unicode U+2800)."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["binary_ceiling", "ceiling", "graph", "spark"]

_LEFT = (0x00, 0x40, 0x44, 0x46, 0x47)
_RIGHT = (0x00, 0x80, 0xA0, 0xB0, 0xB8)
_CELLS = tuple(tuple(chr(0x2800 + left + right) for right in _RIGHT) for left in _LEFT)
_STEPS = (1.0, 2.0, 5.0, 10.0)


def ceiling(peak: float, least: float) -> float:
    """The next of 1, 2, 5 times a power of ten at or above ``peak``, and never under ``least``."""
    if peak <= least:
        return least
    scale = 1.0
    while scale * 10 < peak:
        scale *= 10
    while scale > peak:
        scale /= 10
    return next((scale * step for step in _STEPS if scale * step >= peak), scale * 10)


def binary_ceiling(peak: float, least: float) -> float:
    """The next power of two at or above ``peak``, and never under ``least``: round in KiB and MiB."""
    top = least
    while top < peak:
        top *= 2
    return top


def graph(values: Sequence[float], width: int, height: int, top: float) -> list[str]:
    """``height`` lines of ``width`` cells, newest sample at the right edge, filled from below.

    ``top`` is the value that fills the whole height. What is above zero shows at least one dot.
    """
    if width <= 0 or height <= 0:
        return []
    recent = values[-width * 2 :]
    full = height * 4
    scale = full / top if top > 0 else 0.0
    dots = [0] * (width * 2 - len(recent))
    dots.extend(min(full, max(int(value * scale + 0.5), 1)) if value > 0 else 0 for value in recent)
    lines = []
    for floor in range(full - 4, -1, -4):
        level = [0 if d <= floor else 4 if d >= floor + 4 else d - floor for d in dots]
        lines.append("".join([_CELLS[level[i]][level[i + 1]] for i in range(0, width * 2, 2)]))
    return lines


def spark(values: Sequence[float], width: int, top: float) -> str:
    """A graph of one line."""
    return graph(values, width, 1, top)[0] if width > 0 else ""
