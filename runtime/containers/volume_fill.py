"""A new volume starts with what the image has at its mount point, as docker's does."""

from __future__ import annotations

import os
from pathlib import Path

from runtime.context import Context
from runtime.model.container import Container

__all__ = ["fill"]


def fill(ctx: Context, container: Container, target: str, volume: Path) -> None:
    """Only when the volume is empty. Owner and mode of the directory itself come along."""
    with os.scandir(volume) as entries:
        if next(entries, None) is not None:
            return
    from runtime.images.layers import layer_path
    from runtime.images.view import LayerView

    view = LayerView([layer_path(ctx, diff_id) for diff_id in container.layers])
    view.copy_directory(target, volume)
