"""Services of compose projects: how many replicas there should be and are, and what they use together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from tuidock.app import documents
from tuidock.app.actions import Subject
from tuidock.app.panes.pane import Column, Order, Pane, Tab
from tuidock.app.wording import Cell, cell, percent, ports, size

if TYPE_CHECKING:
    from runtime.services.project import ServiceStatus
    from tuidock.app.board import Board

__all__ = ["SERVICES"]


def _items(board: Board) -> Sequence[object]:
    return board.snapshot.services


def _subject(item: object) -> Subject:
    service = cast("ServiceStatus", item)
    name = f"{service.project}/{service.service}"
    return Subject("services", name, name, service)


def _replicas(service: ServiceStatus, running: int, doing: str) -> Cell:
    if doing:
        return (("◌ ", "warn"), (doing, "warn"))
    wanted = service.replicas
    role = "good" if running >= wanted and wanted else "dim" if not running else "warn"
    sign = "●" if running >= wanted and wanted else "○" if not running else "◐"
    return ((f"{sign} ", role), (f"{running}/{wanted} up", role))


def _cells(item: object, board: Board) -> tuple[Cell, ...]:
    service = cast("ServiceStatus", item)
    containers = board.of_service(service.project, service.service)
    running = sum(container.state.status.value == "running" for container in containers)
    cpu, memory = board.total(containers)
    return (
        ((f"{service.project}/", "dim"), (service.service, "")),
        _replicas(service, running, board.doing.get(f"{service.project}/{service.service}", "")),
        cell(percent(cpu) if running else ""),
        cell(size(memory) if running else ""),
        cell(ports(service.ports), "link"),
        cell(board.image_names.get(service.image, service.image), "dim"),
    )


def _by_name(item: object, board: Board) -> tuple[float | str, ...]:
    service = cast("ServiceStatus", item)
    return (service.project, service.service)


def _by_cpu(item: object, board: Board) -> tuple[float | str, ...]:
    service = cast("ServiceStatus", item)
    return (-board.total(board.of_service(service.project, service.service))[0],)


SERVICES = Pane(
    id="services",
    title="Services",
    columns=(
        Column("SERVICE"),
        Column("REPLICAS", 12),
        Column("CPU", 6, 2, right=True),
        Column("MEMORY", 8, 3, right=True),
        Column("PORTS", 13, 1),
        Column("IMAGE", 16, 4),
    ),
    items=_items,
    subject=_subject,
    cells=_cells,
    orders=(Order("name", _by_name), Order("CPU", _by_cpu)),
    empty="No services. In a project's directory: tuidock compose up -d",
    tabs=(
        Tab("graphs", "Graphs"),
        Tab("replicas", "Replicas", documents.service_replicas, every=2.0),
    ),
)
