"""Images: one row for each reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from tuidock.app import documents
from tuidock.app.actions import Subject
from tuidock.app.panes.pane import Column, Order, Pane, Tab
from tuidock.app.wording import Cell, age, cell, size

if TYPE_CHECKING:
    from runtime.model.image import ImageSummary
    from tuidock.app.board import Board

__all__ = ["IMAGES"]


def _items(board: Board) -> Sequence[object]:
    return board.snapshot.images


def _subject(item: object) -> Subject:
    image = cast("ImageSummary", item)
    if image.repository == "<none>" or image.tag == "<none>":
        return Subject("images", image.id, image.id.removeprefix("sha256:")[:12], image)
    reference = f"{image.repository}:{image.tag}"
    return Subject("images", reference, reference, image)


def _cells(item: object, board: Board) -> tuple[Cell, ...]:
    image = cast("ImageSummary", item)
    dangling = image.repository == "<none>"
    doing = board.doing.get(_subject(item).key, "")
    name: Cell = ((image.repository, "dim" if dangling else ""), (f":{image.tag}", "dim"))
    return (
        (*name, (f" {doing}", "warn")) if doing else name,
        cell(size(image.size)),
        cell(age(board.now - image.created_at), "dim"),
        cell(image.id.removeprefix("sha256:")[:12], "dim"),
        cell(f"{image.containers} in use" if image.containers else "", "dim"),
    )


def _by_name(item: object, board: Board) -> tuple[float | str, ...]:
    image = cast("ImageSummary", item)
    return (1 if image.repository == "<none>" else 0, image.repository, image.tag)


def _by_size(item: object, board: Board) -> tuple[float | str, ...]:
    return (-cast("ImageSummary", item).size,)


def _by_age(item: object, board: Board) -> tuple[float | str, ...]:
    return (-cast("ImageSummary", item).created_at,)


IMAGES = Pane(
    id="images",
    title="Images",
    columns=(
        Column("IMAGE"),
        Column("SIZE", 8, 0, right=True),
        Column("AGE", 4, 1, right=True),
        Column("ID", 12, 2),
        Column("USE", 9, 3),
    ),
    items=_items,
    subject=_subject,
    cells=_cells,
    orders=(Order("name", _by_name), Order("size", _by_size), Order("newest", _by_age)),
    empty="No images. Make one: tuidock image bootstrap",
    tabs=(
        Tab("inspect", "Inspect", documents.image_inspect),
        Tab("history", "Layers", documents.image_history),
        Tab("environment", "Environment", documents.image_environment),
    ),
)
