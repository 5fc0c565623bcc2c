"""Containers: all of them, with their state and what they use right now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from tuidock.app import documents
from tuidock.app.actions import Subject
from tuidock.app.braille import ceiling, spark
from tuidock.app.panes.pane import Column, Order, Pane, Tab
from tuidock.app.wording import Cell, cell, familiar, percent, ports, size, state

if TYPE_CHECKING:
    from runtime.model.container import Container
    from tuidock.app.board import Board

__all__ = ["CONTAINERS", "cpu_ceiling"]

GRAPH = 6
"""Cells of the small CPU graph in a row."""


def cpu_ceiling(container: Container) -> float:
    """The CPU percentage that fills a graph: the container's limit, else one core."""
    cpus = container.config.resources.cpus
    return cpus * 100 if cpus else 100.0


def _items(board: Board) -> Sequence[object]:
    if board.hide_stopped:
        return [
            found
            for found in board.snapshot.containers
            if found.state.status.alive or found.id in board.doing
        ]
    return board.snapshot.containers


def _subject(item: object) -> Subject:
    container = cast("Container", item)
    return Subject("containers", container.id, container.name, container)


def _cells(item: object, board: Board) -> tuple[Cell, ...]:
    container = cast("Container", item)
    rates = board.rates(container)
    history = board.histories.get(container.id)
    named = container.config.image
    image = board.image_names.get(container.image_id, named) if named.startswith("sha256:") else named
    graph = ""
    if rates is not None and history is not None:
        recent = history.cpu.last(GRAPH * 2)
        graph = spark(recent, GRAPH, min(ceiling(max(recent, default=0.0), 10), cpu_ceiling(container)))
    return (
        cell(container.name, "" if container.state.status.alive else "dim"),
        state(container, board.doing.get(container.id, "")),
        cell(percent(rates.cpu) if rates is not None else ""),
        cell(graph, "cpu"),
        cell(size(rates.memory) if rates is not None else ""),
        cell(ports(container.ports), "link"),
        cell(familiar(image), "dim"),
    )


def _by_name(item: object, board: Board) -> tuple[float | str, ...]:
    """Running ones first, so that what lives is in sight."""
    container = cast("Container", item)
    return (0 if container.state.status.alive else 1, container.name)


def _by_state(item: object, board: Board) -> tuple[float | str, ...]:
    container = cast("Container", item)
    return (container.state.status.value, container.name)


def _by_cpu(item: object, board: Board) -> tuple[float | str, ...]:
    rates = board.rates(cast("Container", item))
    return (-round(rates.cpu, 1) if rates is not None else 1, cast("Container", item).name)


def _by_memory(item: object, board: Board) -> tuple[float | str, ...]:
    rates = board.rates(cast("Container", item))
    return (-rates.memory if rates is not None else 1, cast("Container", item).name)


def _by_age(item: object, board: Board) -> tuple[float | str, ...]:
    return (-cast("Container", item).created_at,)


def _plain_name(item: object, board: Board) -> tuple[float | str, ...]:
    return (cast("Container", item).name,)


CONTAINERS = Pane(
    id="containers",
    title="Containers",
    columns=(
        Column("NAME"),
        Column("STATE", 12),
        Column("CPU", 6, 1, right=True),
        Column("", GRAPH, 4),
        Column("MEMORY", 8, 2, right=True),
        Column("PORTS", 13, 5),
        Column("IMAGE", 16, 6),
    ),
    items=_items,
    subject=_subject,
    cells=_cells,
    orders=(
        Order("name", _plain_name),
        Order("running first", _by_name),
        Order("state", _by_state),
        Order("CPU", _by_cpu),
        Order("memory", _by_memory),
        Order("newest", _by_age),
    ),
    empty="No containers yet. Press : and type  run IMAGE",
    tabs=(
        Tab("graphs", "Graphs"),
        Tab("inspect", "Inspect", documents.container_inspect),
        Tab("environment", "Environment", documents.container_environment),
        Tab("processes", "Processes", documents.container_processes, every=2.0),
    ),
)
