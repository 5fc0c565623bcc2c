"""Layers: unpacked once per diff id, one directory each, in overlayfs form.

A layer is known by its diff id, the digest of its uncompressed tar, which :func:`open_layer_tar` gives again.
One that came as an archive keeps its blob in the content store, or a recipe; one that we made keeps neither,
since the same directory gives the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import Cancelled, InvalidInput, NotFound
from runtime.images.arrival import Arrival, KeptBlob
from runtime.images.compression import Readable
from runtime.images.content import blob_path
from runtime.images.layer_index import LayerInfo, has_layer, layer_info, layer_path, layer_paths
from runtime.images.layer_stream import MEDIA_TYPE_TAR
from runtime.images.layer_tar import LayerPaths, open_tar
from runtime.images.leases import lease, temporary_name
from runtime.images.pack import LayerTar
from runtime.kernel.tree import remove_tree
from runtime.model.event import CancelEvent
from runtime.store import images as rows

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = [
    "MEDIA_TYPE_TAR",
    "KeptBlob",
    "LayerInfo",
    "adopt_layer",
    "has_layer",
    "layer_info",
    "layer_path",
    "layer_paths",
    "open_layer_tar",
    "paths_of",
    "temporary_directory",
    "unpack_layer",
]


def temporary_directory(ctx: Context) -> Path:
    """A new empty directory (0755) to make a layer in; it goes away by :func:`runtime.images.sweep.sweep`
    when its process has died."""
    directory = ctx.paths.layers / temporary_name()
    directory.mkdir()
    directory.chmod(0o755)
    return directory


def adopt_layer(ctx: Context, directory: Path, *, cancel: CancelEvent | None = None) -> LayerInfo:
    """Take a directory in overlayfs form (an upper directory, say) as a layer: it is renamed, or removed when
    the same layer is there already. Must be on the file system of ``Paths.layers``.

    Raises Failed for a directory that overlayfs wrote with redirects.
    """
    digest = hashlib.sha256()
    tar_size = 0
    archive = LayerTar(directory, _checker(cancel))
    for chunk in archive:
        digest.update(chunk)
        tar_size += len(chunk)
    with lease(ctx):
        row = rows.LayerRow(
            diff_id=f"sha256:{digest.hexdigest()}",
            directory=os.urandom(5).hex(),
            size=archive.size,
            media_type=MEDIA_TYPE_TAR,
            blob_size=tar_size,
        )
        return _insert(ctx, row, directory)


def unpack_layer(
    ctx: Context,
    stream: Readable,
    *,
    diff_id: str | None = None,
    blob_digest: str | None = None,
    cancel: CancelEvent | None = None,
    on_bytes: Callable[[int], None] | None = None,
    kept: KeptBlob | None = None,
) -> LayerInfo:
    """A layer from its tar, plain or compressed, safely; an expected ``diff_id`` or ``blob_digest`` (of the
    bytes as they come) is checked before anything is kept. ``on_bytes`` hears how much was read. ``kept``
    has the blob already, and has checked its digest when the stream ends.

    Raises InvalidInput for a hostile, damaged or different archive, Failed when the disk is full.
    """
    check = _checker(cancel)
    with lease(ctx):
        scratch = temporary_directory(ctx)
        layer = Arrival(ctx, stream, scratch, kept=kept, check=check, on_bytes=on_bytes)
        try:
            layer.run()
            if diff_id is not None and layer.diff_id != diff_id:
                raise InvalidInput(
                    f"a layer does not match its digest: expected {diff_id}, got {layer.diff_id}",
                    subject=diff_id,
                )
            if blob_digest is not None and layer.source_digest != blob_digest:
                raise InvalidInput(
                    f"a layer does not match its digest: expected {blob_digest}, got {layer.source_digest}",
                    subject=blob_digest,
                )
            row = layer.keep(os.urandom(5).hex())
            return _insert(ctx, row, scratch)
        finally:
            layer.close()
            remove_tree(scratch)


def open_layer_tar(ctx: Context, diff_id: str) -> Readable:
    """The layer's uncompressed tar, whose digest is the diff id: its blob's, or made again."""
    row = rows.get_layer(ctx.db, diff_id)
    if row is None:
        raise NotFound(f"no such layer: {diff_id}", subject=diff_id)
    try:
        return open_tar(paths_of(ctx, row))
    except FileNotFoundError as error:
        missing = row.blob_digest or row.recipe
        raise NotFound(f"no such content: {missing}", subject=missing) from error


def paths_of(ctx: Context, row: rows.LayerRow) -> LayerPaths:
    """Where the layer's archive comes from."""
    blob = str(blob_path(ctx, row.blob_digest)) if row.blob_digest else ""
    recipe = str(blob_path(ctx, row.recipe)) if row.recipe and not blob else ""
    return LayerPaths(str(ctx.paths.layers / row.directory), blob, recipe)


def _insert(ctx: Context, row: rows.LayerRow, directory: Path) -> LayerInfo:
    """Row and directory together; the one that was there first stays."""
    with ctx.db.write() as tx:
        fresh = rows.insert_layer(tx, row)
        if fresh:
            directory.rename(ctx.paths.layers / row.directory)
    if not fresh:
        remove_tree(directory)
    return layer_info(ctx, row.diff_id)


def _checker(cancel: CancelEvent | None) -> Callable[[], None] | None:
    if cancel is None:
        return None

    def check() -> None:
        if cancel.is_set():
            raise Cancelled("cancelled")

    return check
