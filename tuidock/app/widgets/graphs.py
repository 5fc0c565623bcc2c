"""The page of graphs: CPU, memory, network and disk of one container, or a line for each of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import BindingType
from textual.strip import Strip

from tuidock.app.board import History, Rates
from tuidock.app.braille import binary_ceiling, ceiling, graph, spark
from tuidock.app.keys import PAGES, bindings
from tuidock.app.widgets.roles import Roles
from tuidock.app.wording import Cell, percent, size

__all__ = ["GraphView", "Graphed"]

SIDE_BY_SIDE = 76
"""From this width on, two graphs stand next to each other."""


@dataclass(frozen=True)
class Graphed:
    """A container to draw: its name, figures, and the CPU percentage and memory bytes that are its limits
    (0: none). ``note`` stands in for the graphs of one that does not run."""

    name: str
    history: History | None
    cpu_limit: float
    memory_limit: float
    note: Cell = ()


@dataclass(frozen=True)
class _Block:
    title: Cell
    values: Sequence[float]
    top: float
    role: str
    label: str
    """The value at the top, in words."""


class GraphView(Roles, can_focus=True):
    """``show`` it what to draw and again whenever there are new figures."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(
        tuple(command for command in PAGES if command.id in ("page_line_down", "page_line_up"))
    )

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._subjects: tuple[Graphed, ...] = ()
        self._top = 0
        self._lines: list[Cell] = []

    def show(self, subjects: Sequence[Graphed]) -> None:
        if [each.name for each in subjects] != [each.name for each in self._subjects]:
            self._top = 0
        self._subjects = tuple(subjects)
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def action_scroll_rows(self, rows: int) -> None:
        self._top = max(min(self._top + rows, len(self._lines) - self.size.height), 0)
        self.refresh()

    def on_mouse_scroll_down(self) -> None:
        self.action_scroll_rows(1)

    def on_mouse_scroll_up(self) -> None:
        self.action_scroll_rows(-1)

    def _draw(self) -> None:
        width, height = self.size
        if len(self._subjects) == 1:
            lines = _one(self._subjects[0], width, height)
        else:
            lines = _many(self._subjects, width)
        self._lines = lines
        self.refresh()

    def render_line(self, y: int) -> Strip:
        place = y + self._top
        return self.strip(self._lines[place] if place < len(self._lines) else (), self.size.width)


def _one(subject: Graphed, width: int, height: int) -> list[Cell]:
    history = subject.history
    if subject.note or history is None or history.rates is None or history.latest is None:
        return [(), *([subject.note] if subject.note else [((" Measuring…", "dim"),)])]
    blocks = _blocks(subject, history, history.rates)
    foot = _foot(history)
    if width >= SIDE_BY_SIDE:
        rows = [blocks[:2], blocks[2:]] if height >= 13 else [blocks[:2]]
    else:
        rows = [[block] for block in (blocks if height >= 21 else blocks[:2])]
    spare = height - len(rows) - 1
    lines: list[Cell] = []
    for i, row in enumerate(rows):
        high = spare // len(rows) + (1 if i < spare % len(rows) else 0)
        lines += _beside(row, width, max(high, 1))
    if height > len(lines) or height < 4:
        lines.append(foot)
    return lines


def _cpu_top(peak: float, limit: float) -> float:
    """What fills a graph's height: the limit once half of it is used, below that a round number, so that
    small figures can be seen to move."""
    if limit and peak > limit / 2:
        return max(limit, peak)
    return ceiling(peak * 1.05, 5)


def _memory_top(samples: Sequence[float], limit: float) -> float:
    """The same for bytes."""
    peak = max(samples, default=0.0)
    if limit and peak > limit / 2:
        return max(limit, peak)
    return binary_ceiling(peak * 1.05, 1 << 20)


def _blocks(subject: Graphed, history: History, rates: Rates) -> list[_Block]:
    cpu = history.cpu.last()
    memory = history.memory.last()
    peak = max(cpu, default=0.0)
    cpu_top = _cpu_top(peak, subject.cpu_limit)
    memory_top = _memory_top(memory, subject.memory_limit)
    cpu_of = f"  of {percent(subject.cpu_limit)}" if subject.cpu_limit else ""
    memory_of = f"  of {size(subject.memory_limit)}" if subject.memory_limit else ""

    def pair(name: str, role: str, inward: str, into: float, outward: str, out: float) -> Cell:
        return (
            (f" {name} ", "title"),
            (f"{inward} {size(into)}/s  {outward} {size(out)}/s", role),
        )

    network = [a + b for a, b in zip(history.received.last(), history.sent.last())]
    disk = [a + b for a, b in zip(history.read.last(), history.written.last())]
    network_top = binary_ceiling(max(network, default=0), 1024)
    disk_top = binary_ceiling(max(disk, default=0), 4096)
    return [
        _Block(
            ((" CPU ", "title"), (percent(rates.cpu), "cpu"), (f"{cpu_of}  peak {percent(peak)}", "dim")),
            cpu,
            cpu_top,
            "cpu",
            percent(cpu_top),
        ),
        _Block(
            (
                (" Memory ", "title"),
                (size(rates.memory), "memory"),
                (f"{memory_of}  peak {size(max(memory, default=0))}", "dim"),
            ),
            memory,
            memory_top,
            "memory",
            size(memory_top),
        ),
        _Block(
            pair("Network", "network", "in", rates.received, "out", rates.sent),
            network,
            network_top,
            "network",
            f"{size(network_top)}/s",
        ),
        _Block(
            pair("Disk", "disk", "read", rates.read, "written", rates.written),
            disk,
            disk_top,
            "disk",
            f"{size(disk_top)}/s",
        ),
    ]


def _beside(blocks: Sequence[_Block], width: int, height: int) -> list[Cell]:
    """Blocks next to each other: a title line and ``height`` lines of graph, the first of which names the
    value at its top."""
    gap = 2 if len(blocks) > 1 else 0
    each = (width - gap * (len(blocks) - 1)) // max(len(blocks), 1)
    lines: list[list[tuple[str, str]]] = [[] for _ in range(height + 1)]
    for i, block in enumerate(blocks):
        graphs = graph(block.values, max(each - 1, 1), height, block.top)
        used = sum(len(text) for text, _ in block.title)
        lines[0] += [*block.title, (" " * max(each - used + gap, 1), "")]
        label = f"{block.label} " if height > 1 else ""
        for row, (line, text) in enumerate(zip(lines[1:], graphs)):
            if not row and not text[: len(label)].strip("\u2800"):
                line += [(" ", ""), (label, "dim"), (text[len(label) :], block.role)]
            else:
                line += [(" ", ""), (text, block.role)]
            line.append((" " * (gap if i + 1 < len(blocks) else 0), ""))
    return [tuple(line) for line in lines]


def _foot(history: History) -> Cell:
    """The figures that have no graph, in a line."""
    latest = history.latest
    assert latest is not None
    pids = f"{latest.pids}" + (f" of {latest.pids_limit}" if latest.pids_limit else "")
    spans: list[tuple[str, str]] = [
        (" processes ", "dim"),
        (pids, ""),
        ("  cache ", "dim"),
        (size(latest.memory_cache), ""),
        ("  net ", "dim"),
        (f"{size(latest.network_rx)} in, {size(latest.network_tx)} out", ""),
        ("  disk ", "dim"),
        (f"{size(latest.block_read)} read, {size(latest.block_write)} written", ""),
    ]
    if latest.oom_kills:
        spans.insert(0, (f" out of memory: {latest.oom_kills} killed ", "bad"))
    return tuple(spans)


def _many(subjects: Sequence[Graphed], width: int) -> list[Cell]:
    """A line for each: name, CPU and memory with a small graph."""
    if not subjects:
        return [(), ((" Nothing runs here.", "dim"),)]
    longest = min(max(len(each.name) for each in subjects), 24)
    strip = max((width - longest - 24) // 2, 4)
    lines: list[Cell] = [
        ((" " * (longest + 2), ""), ("CPU".ljust(strip + 9), "title"), ("Memory", "title")),
    ]
    for each in subjects:
        name = (f" {each.name[:longest].ljust(longest)} ", "")
        history = each.history
        if each.note or history is None or history.rates is None:
            lines.append((name, *(each.note or (("Measuring…", "dim"),))))
            continue
        cpu = history.cpu.last()
        memory = history.memory.last()
        lines.append(
            (
                name,
                (spark(cpu, strip, _cpu_top(max(cpu, default=0.0), each.cpu_limit)), "cpu"),
                (f"{percent(history.rates.cpu):>7}  ", ""),
                (
                    spark(memory, strip, _memory_top(memory, each.memory_limit)),
                    "memory",
                ),
                (f"{size(history.rates.memory):>10}", ""),
            )
        )
    return lines
