"""Is the store whole? Compares what the database says with what is on the disk, bytes included."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from runtime.errors import EngineError
from runtime.images.compression import CHUNK, Readable
from runtime.images.content import open_blob, read_blob
from runtime.images.leases import lease
from runtime.images.pack import LayerTar, TarStream
from runtime.store import images as rows

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["verify"]


def verify(ctx: Context) -> list[str]:
    """What is wrong, in words; empty when all is well. Reads everything, so it takes its time."""
    problems: list[str] = []
    with lease(ctx):
        layers = {row.diff_id: row for row in rows.all_layers(ctx.db)}
        for row in layers.values():
            problems += _layer_problems(ctx, row)
        for image in rows.all_images(ctx.db):
            name = image.refs[0] if image.refs else image.id[7:19]
            for digest in (image.id, image.manifest_digest):
                try:
                    read_blob(ctx, digest)
                except EngineError as error:
                    problems.append(f"image {name}: {error.message}")
            problems += [f"image {name}: no layer {item}" for item in image.layers if item not in layers]
    return problems


def _layer_problems(ctx: Context, row: rows.LayerRow) -> list[str]:
    """A kept blob must match its digest. A layer without one must still give the tar that it is named after;
    the directory of one with a blob was written by another program's rules, so only its presence is told."""
    name = f"layer {row.diff_id[7:19]}"
    directory = ctx.paths.layers / row.directory
    if not directory.is_dir():
        return [f"{name}: its directory {row.directory} is missing"]
    try:
        if row.blob_digest:
            if _digest(open_blob(ctx, row.blob_digest)) != row.blob_digest:
                return [f"{name}: its content {row.blob_digest} is damaged"]
        elif _digest(TarStream(LayerTar(directory))) != row.diff_id:
            return [f"{name}: its directory {row.directory} was changed"]
    except (EngineError, OSError) as error:
        return [f"{name}: {error}"]
    return []


def _digest(stream: Readable) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"
