"""A layer's uncompressed tar, out of whatever is kept of it. Imports little: see runtime.images.worker."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from runtime.images.compression import Readable, decompressed
from runtime.images.pack import LayerTar, TarStream
from runtime.images.recipe import RecipeTar

__all__ = ["LayerPaths", "open_tar"]


class LayerPaths(NamedTuple):
    """Where a layer's tree is, and the blob or the recipe that makes its archive again ("" for none: it is
    ours, and packing the tree gives it)."""

    directory: str
    blob: str
    recipe: str


def open_tar(paths: LayerPaths) -> Readable:
    """The archive whose digest is the layer's diff id. Raises FileNotFoundError; reading raises Failed."""
    if paths.blob:
        return decompressed(open(paths.blob, "rb"))[1]
    directory = Path(paths.directory)
    if paths.recipe:
        return TarStream(RecipeTar(directory, open(paths.recipe, "rb")))
    return TarStream(LayerTar(directory))
