"""Is the store whole? Compares what the database says with what is on the disk, bytes included."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from runtime.errors import EngineError, Failed
from runtime.images.compression import CHUNK, Readable, decompressed
from runtime.images.content import open_blob, read_blob
from runtime.images.layers import open_layer_tar
from runtime.images.leases import exclusive_lease, lease
from runtime.store import images as rows

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["Damage", "damages", "unpack_anew", "verify"]


class Damage(NamedTuple):
    """``layer`` is the diff id of a layer whose directory is gone while its content is sound, else ""."""

    kind: str
    name: str
    problem: str
    layer: str = ""

    @property
    def named(self) -> tuple[str, str, str]:
        return self.kind, self.name, self.problem


def verify(ctx: Context) -> list[str]:
    """What is wrong, in words; empty when all is well. Reads everything, so it takes its time."""
    return [f"{found.kind} {found.name}: {found.problem}" for found in damages(ctx)]


def damages(ctx: Context) -> Iterator[Damage]:
    """Every layer and every image that is not what its digest says."""
    with lease(ctx):
        layers = {row.diff_id: row for row in rows.all_layers(ctx.db)}
        for row in layers.values():
            yield from _layer_damage(ctx, row)
        for image in rows.all_images(ctx.db):
            name = image.refs[0] if image.refs else image.id[7:19]
            for digest in (image.id, image.manifest_digest):
                try:
                    read_blob(ctx, digest)
                except EngineError as error:
                    yield Damage("image", name, error.message)
            yield from (Damage("image", name, f"no layer {d}") for d in image.layers if d not in layers)


def _layer_damage(ctx: Context, row: rows.LayerRow) -> Iterator[Damage]:
    """What is kept must match its digest. A layer without a blob must still give the tar it is named after;
    the directory of one with a blob was written by another program's rules, so only its presence is told."""
    name = row.diff_id[7:19]
    directory = ctx.paths.layers / row.directory
    here = directory.is_dir()
    try:
        for kept in sorted(row.content):
            if _digest(open_blob(ctx, kept)) != kept:
                yield Damage("layer", name, f"its content {kept} is damaged")
                return
        if not here:
            sound = row.diff_id if row.blob_digest else ""
            yield Damage("layer", name, f"its directory {row.directory} is missing", sound)
        elif not row.blob_digest and _digest(open_layer_tar(ctx, row.diff_id)) != row.diff_id:
            yield Damage("layer", name, f"its directory {row.directory} was changed")
    except (EngineError, OSError) as error:
        yield Damage("layer", name, str(error))


def unpack_anew(ctx: Context, diff_id: str) -> None:
    """The directory of a layer from the blob that is kept of it. Raises InvalidInput when that is damaged."""
    from runtime.images.layers import temporary_directory
    from runtime.images.tar_reader import TarReader
    from runtime.images.unpack import unpack
    from runtime.kernel.tree import remove_tree

    row = rows.get_layer(ctx.db, diff_id)
    if row is None:
        return
    scratch = temporary_directory(ctx)
    try:
        unpack(TarReader(decompressed(open_blob(ctx, row.blob_digest))[1]), scratch)
        with exclusive_lease(ctx) as alone:
            if not alone:
                raise Failed("images are being made or used", hint="try again when that has ended")
            if not (ctx.paths.layers / row.directory).exists():
                scratch.rename(ctx.paths.layers / row.directory)
    finally:
        remove_tree(scratch)


def _digest(stream: Readable) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"
