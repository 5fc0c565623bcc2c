"""Samples taken in turn, their medians, and the table that shows them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Row", "interleave", "table", "timed"]


@dataclass(frozen=True)
class Row:
    """One line of the table: who, how much. ``better`` is "less" or "more"."""

    what: str
    unit: str
    figures: Mapping[str, float]
    better: str = "less"
    note: str = ""


def timed(action: Callable[[], object]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


def interleave(
    samplers: Mapping[str, Callable[[], float]], runs: int, *, warm_up: bool = True
) -> dict[str, float]:
    """The median of ``runs`` samples of each, taken in turn; one more, not counted, to ``warm_up``."""
    samples: dict[str, list[float]] = {name: [] for name in samplers}
    for turn in range(runs + warm_up):
        for name, sample in samplers.items():
            figure = sample()
            if turn >= warm_up:
                samples[name].append(figure)
    return {name: statistics.median(figures) for name, figures in samples.items()}


def table(rows: list[Row], columns: list[str]) -> str:
    """Markdown, so that it can be pasted into docs/benchmarks.md; a peer's cell carries its ratio to ours."""
    lines = [f"| what | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for row in rows:
        cells = [_cell(row, column) for column in columns]
        what = f"{row.what} ({row.note})" if row.note else row.what
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: Row, column: str) -> str:
    figure = row.figures.get(column)
    if figure is None:
        return ""
    digits = 0 if figure >= 100 else 1 if figure >= 10 else 2
    text = f"{figure:.{digits}f} {row.unit}"
    ours = row.figures.get("tuidock")
    if column == "tuidock" or not ours or not figure:
        return text
    return f"{text} ({figure / ours:.1f}x)"
