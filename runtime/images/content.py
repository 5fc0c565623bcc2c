"""The content store: blobs by digest, in an OCI image layout (image-spec, image-layout.md).

The database is the home of names, so the layout's ``index.json`` stays empty; ``save`` writes a full one. A
blob appears under its digest by rename, after its bytes were hashed: a reader never sees half of one.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from runtime.errors import Failed, InvalidInput, NotFound
from runtime.images.leases import temporary_name
from runtime.model.hashing import sha256

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = [
    "BlobWriter",
    "blob_path",
    "ensure_layout",
    "has_blob",
    "open_blob",
    "put_blob",
    "read_blob",
    "remove_blob",
]


def blob_path(ctx: Context, digest: str) -> Path:
    """Where the blob is or would be. Raises InvalidInput for what is no digest, so no path can be made up."""
    algorithm, _, encoded = digest.partition(":")
    if algorithm != "sha256" or len(encoded) != 64 or not set(encoded) <= set("0123456789abcdef"):
        raise InvalidInput(f"not a sha256 digest: {digest!r}", subject=digest)
    return ctx.paths.content / "blobs" / "sha256" / encoded


def has_blob(ctx: Context, digest: str) -> bool:
    return blob_path(ctx, digest).exists()


def read_blob(ctx: Context, digest: str) -> bytes:
    """All of a small blob (configs, manifests), verified. Raises NotFound, Failed."""
    try:
        data = blob_path(ctx, digest).read_bytes()
    except FileNotFoundError:
        raise NotFound(f"no such content: {digest}", subject=digest) from None
    if f"sha256:{sha256(data).hex()}" != digest:
        raise Failed(
            f"content {digest} is damaged", hint="remove the image and load it again", subject=digest
        )
    return data


def open_blob(ctx: Context, digest: str) -> IO[bytes]:
    """Raises NotFound."""
    try:
        return blob_path(ctx, digest).open("rb")
    except FileNotFoundError:
        raise NotFound(f"no such content: {digest}", subject=digest) from None


def put_blob(ctx: Context, data: bytes) -> str:
    """Store a small blob, unless it is there whole; returns its digest."""
    digest = f"sha256:{sha256(data).hex()}"
    with suppress(FileNotFoundError):
        if blob_path(ctx, digest).read_bytes() == data:
            return digest
    writer = BlobWriter(ctx)
    try:
        writer.write(data)
        return writer.commit()
    finally:
        writer.abandon()


def remove_blob(ctx: Context, digest: str) -> None:
    blob_path(ctx, digest).unlink(missing_ok=True)


class BlobWriter:
    """Collects a blob in a temporary file; ``commit`` names it, ``abandon`` (always call it) drops it."""

    def __init__(self, ctx: Context) -> None:
        import hashlib

        ensure_layout(ctx)
        self._ctx = ctx
        self._path: Path | None = ctx.paths.content / temporary_name()
        self.fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._hash = hashlib.sha256()
        self.start = 0
        self.size = 0

    def reached(self) -> tuple[int, bool]:
        """All that was written, for who reads it before it is content."""
        return self.size, True

    def write(self, data: bytes | memoryview) -> None:
        self._hash.update(data)
        self.size += len(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self.fd, view) :]

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def commit(self, expected: str | None = None) -> str:
        """Returns the digest. Raises InvalidInput when it is not the ``expected`` one."""
        assert self._path is not None, "a blob is committed once"
        digest = self.digest
        if expected is not None and digest != expected:
            raise InvalidInput(f"content does not match its digest: expected {expected}, got {digest}")
        self._path.rename(blob_path(self._ctx, digest))
        self._path = None
        return digest

    def abandon(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None


def ensure_layout(ctx: Context) -> None:
    """The directories and files that make it an OCI image layout."""
    blobs = ctx.paths.content / "blobs" / "sha256"
    if blobs.is_dir():
        return
    blobs.mkdir(mode=0o700, parents=True, exist_ok=True)
    index = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
    for name, data in (("index.json", index), ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')):
        scratch = ctx.paths.content / temporary_name()
        scratch.write_bytes(data)
        scratch.rename(ctx.paths.content / name)
