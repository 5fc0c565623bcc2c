"""Volumes, named and anonymous."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from tuidock.app import documents
from tuidock.app.actions import Subject
from tuidock.app.panes.pane import Column, Order, Pane, Tab
from tuidock.app.wording import Cell, age, cell

if TYPE_CHECKING:
    from runtime.model.volume import Volume
    from tuidock.app.board import Board

__all__ = ["VOLUMES"]


def _items(board: Board) -> Sequence[object]:
    return board.snapshot.volumes


def _subject(item: object) -> Subject:
    volume = cast("Volume", item)
    return Subject("volumes", volume.name, volume.name if not volume.anonymous else volume.name[:12], volume)


def _cells(item: object, board: Board) -> tuple[Cell, ...]:
    volume = cast("Volume", item)
    used = sum(
        any(mount.source == volume.name for mount in container.config.mounts)
        for container in board.snapshot.containers
    )
    doing = board.doing.get(volume.name, "")
    return (
        cell(_subject(item).name, "dim" if volume.anonymous else ""),
        cell(doing or volume.driver, "warn" if doing else "dim"),
        cell(age(board.now - volume.created_at), "dim"),
        cell(f"{used} in use" if used else "", "dim"),
    )


def _by_name(item: object, board: Board) -> tuple[float | str, ...]:
    volume = cast("Volume", item)
    return (1 if volume.anonymous else 0, volume.name)


VOLUMES = Pane(
    id="volumes",
    title="Volumes",
    columns=(Column("VOLUME"), Column("DRIVER", 9, 3), Column("AGE", 4, 1, right=True), Column("USE", 9, 2)),
    items=_items,
    subject=_subject,
    cells=_cells,
    orders=(Order("name", _by_name),),
    empty="No volumes. One is made by run -v NAME:/path",
    tabs=(Tab("inspect", "Inspect", documents.volume_inspect),),
    compact=True,
)
