"""Networks, the three built-in ones included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from tuidock.app import documents
from tuidock.app.actions import Subject
from tuidock.app.panes.pane import Column, Order, Pane, Tab
from tuidock.app.wording import Cell, cell

if TYPE_CHECKING:
    from runtime.model.network import Network
    from tuidock.app.board import Board

__all__ = ["NETWORKS"]


def _items(board: Board) -> Sequence[object]:
    return board.snapshot.networks


def _subject(item: object) -> Subject:
    network = cast("Network", item)
    return Subject("networks", network.id, network.name, network)


def _cells(item: object, board: Board) -> tuple[Cell, ...]:
    network = cast("Network", item)
    used = sum(
        any(endpoint.network_id == network.id for endpoint in container.endpoints)
        for container in board.snapshot.containers
    )
    doing = board.doing.get(network.id, "")
    return (
        cell(network.name),
        cell(doing or network.driver, "warn" if doing else "dim"),
        cell(network.subnet),
        cell(f"{used} in use" if used else "", "dim"),
    )


def _by_name(item: object, board: Board) -> tuple[float | str, ...]:
    return (cast("Network", item).name,)


NETWORKS = Pane(
    id="networks",
    title="Networks",
    columns=(Column("NETWORK"), Column("DRIVER", 9, 2), Column("SUBNET", 18, 1), Column("USE", 9, 3)),
    items=_items,
    subject=_subject,
    cells=_cells,
    orders=(Order("name", _by_name),),
    empty="No networks. Make one: tuidock network create NAME",
    tabs=(Tab("inspect", "Inspect", documents.network_inspect),),
    compact=True,
)
