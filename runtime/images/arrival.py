"""A layer that comes as an archive: unpacked, and what is kept to give the same archive again.

What comes compressed from elsewhere is kept as it is, since its digest is known there. A plain tar in a file
is kept as a recipe (:mod:`runtime.images.recipe`). A plain one in a stream, which cannot be read twice should
the recipe not do, is kept as quick gzip.

Large ones in files are unpacked by a process of their own, so that several use several processors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeGuard

from runtime.errors import InvalidInput
from runtime.images.compression import CHUNK, Compression, Readable
from runtime.images.content import BlobWriter
from runtime.images.layer_stream import MEDIA_TYPE_TAR, PASSED_ON, LayerStream, media_type
from runtime.images.member import Member
from runtime.images.recipe import RecipeWriter
from runtime.images.tar_reader import TarReader
from runtime.images.unpack import unpack
from runtime.store.images import LayerRow

if TYPE_CHECKING:
    from runtime.context import Context
    from runtime.images.unpack_apart import Followable

__all__ = ["Arrival", "KeptBlob"]

_APART = 4 << 20
"""Bytes from which a process of its own (30 ms to start) is worth it."""


class KeptBlob(Protocol):
    """A layer's blob that its bringer puts into the content store."""

    size: int

    def commit(self) -> str:
        """Make it content; returns its digest."""


class Arrival:
    """Call ``run``, compare ``diff_id`` and ``source_digest`` with what they should be, then ``keep``; always
    ``close``. Nothing is content before ``keep``."""

    def __init__(
        self,
        ctx: Context,
        stream: Readable,
        directory: Path,
        *,
        kept: KeptBlob | None,
        check: Callable[[], None] | None,
        on_bytes: Callable[[int], None] | None,
    ) -> None:
        self._ctx = ctx
        self._stream = stream
        self._directory = directory
        self._kept = kept
        self._check = check
        self._on_bytes = on_bytes
        self._blob: BlobWriter | None = None
        self._recipe: BlobWriter | None = None
        self._compression: Compression = ""
        self._tar_size = 0
        self._size = 0
        self.diff_id = ""
        self.source_digest = ""
        """Of the bytes as they came; "" for a compression that no layer may have, or when ``kept`` knows."""

    def run(self) -> None:
        """Raises what :func:`runtime.images.unpack.unpack` does."""
        stream = self._stream
        if self._kept is not None:
            if _is_large(stream):
                self._apart(stream)
            else:
                self._here(stream)
            return
        if not isinstance(stream, Member):
            self._blob = BlobWriter(self._ctx)
            self._here(stream)
            return
        member = stream
        compression = member.compression()
        if not compression:
            self._recipe = BlobWriter(self._ctx)
            if _is_large(stream):
                self._apart(stream)
            else:
                self._here(stream)
            self.source_digest = self.diff_id
            return
        self._blob = BlobWriter(self._ctx)
        if compression in PASSED_ON and _is_large(stream):
            self._copy(member, self._blob)
            self._apart(self._blob)
            self.source_digest = self._blob.digest
        else:
            self._here(stream)

    def keep(self, row_directory: str) -> LayerRow:
        """Make content of what is kept; the layer's row."""
        blob_digest, size, kind, recipe = "", self._tar_size, MEDIA_TYPE_TAR, ""
        if self._kept is not None:
            blob_digest, size, kind = self._kept.commit(), self._kept.size, media_type(self._compression)
        elif self._recipe is not None:
            recipe = self._recipe.commit()
        elif self._blob is not None:
            blob_digest, size = self._blob.commit(), self._blob.size
            kind = media_type(self._compression or "gzip")
        return LayerRow(
            diff_id=self.diff_id,
            directory=row_directory,
            size=self._size,
            blob_digest=blob_digest,
            media_type=kind,
            blob_size=size,
            recipe=recipe,
        )

    def close(self) -> None:
        for writer in (self._blob, self._recipe):
            if writer is not None:
                writer.abandon()

    def _here(self, stream: Readable) -> None:
        layer = LayerStream(stream, self._on_bytes, self._blob)
        try:
            recipe = RecipeWriter(self._recipe.write) if self._recipe is not None else None
            reader = TarReader(layer, recipe.literal if recipe is not None else None)
            unpacked = unpack(reader, self._directory, check=self._check, recipe=recipe)
            layer.finish()
            if recipe is not None:
                recipe.finish()
        finally:
            layer.close()
        self._size, self._tar_size = unpacked.size, layer.tar_size
        self.diff_id, self.source_digest = layer.diff_id, layer.source_digest
        self._compression = layer.compression
        if recipe is not None and recipe.spoiled:
            self._keep_whole()

    def _apart(self, source: Followable) -> None:
        from runtime.images.unpack_apart import unpack_apart

        found = unpack_apart(
            source,
            self._directory,
            check=self._check,
            on_bytes=self._on_bytes,
            recipe=self._recipe.write if self._recipe is not None else None,
        )
        self._size, self._tar_size = found.unpacked.size, found.tar_size
        self.diff_id, self._compression = found.diff_id, found.compression
        if self._recipe is not None and not found.recipe:
            self._keep_whole()

    def _copy(self, member: Member, blob: BlobWriter) -> None:
        """The member as a file that nobody else can change meanwhile."""
        while data := member.read(CHUNK):
            if self._check is not None:
                self._check()
            blob.write(data)

    def _keep_whole(self) -> None:
        """The recipe does not tell all: keep the archive, compressed, read once more."""
        from isal import isal_zlib

        assert isinstance(self._stream, Member) and self._recipe is not None
        self._recipe.abandon()
        self._recipe = None
        self._blob = BlobWriter(self._ctx)
        digest = hashlib.sha256()
        compressor = isal_zlib.compressobj(1, wbits=31)
        again = self._stream.again()
        while data := again.read(CHUNK):
            if self._check is not None:
                self._check()
            digest.update(data)
            self._blob.write(compressor.compress(data))
        self._blob.write(compressor.flush())
        if f"sha256:{digest.hexdigest()}" != self.diff_id:
            raise InvalidInput("the archive was changed while it was read")


def _is_large(stream: object) -> TypeGuard[Followable]:
    from runtime.images.unpack_apart import Followable

    return isinstance(stream, Followable) and stream.size >= _APART
