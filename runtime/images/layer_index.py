"""Where unpacked layers are: what every start asks, apart from the code that makes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import NotFound
from runtime.model.record import record
from runtime.store import images as rows

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["LayerInfo", "has_layer", "layer_info", "layer_path", "layer_paths"]


@record
class LayerInfo:
    """``size`` is the bytes of its regular files, each counted once."""

    diff_id: str
    size: int
    directory: Path


def layer_path(ctx: Context, diff_id: str) -> Path:
    """The unpacked directory. Raises NotFound."""
    return layer_info(ctx, diff_id).directory


def layer_paths(ctx: Context, diff_ids: tuple[str, ...] | list[str]) -> list[Path]:
    """The same for several, in the same order."""
    return [layer_path(ctx, diff_id) for diff_id in diff_ids]


def layer_info(ctx: Context, diff_id: str) -> LayerInfo:
    """Raises NotFound."""
    row = rows.get_layer(ctx.db, diff_id)
    if row is None:
        raise NotFound(f"no such layer: {diff_id}", subject=diff_id)
    return LayerInfo(diff_id, row.size, ctx.paths.layers / row.directory)


def has_layer(ctx: Context, diff_id: str) -> bool:
    return rows.get_layer(ctx.db, diff_id) is not None
