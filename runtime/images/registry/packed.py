"""A layer that has no blob, compressed for a registry: into a file without a name, sent while it grows.

The file makes a second try cheap when the connection breaks. Compression is deterministic, so every push
of the layer makes the same blob.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from runtime.errors import Cancelled, Failed
from runtime.images.compression import CHUNK
from runtime.images.layers import open_layer_tar
from runtime.model.event import CancelEvent

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["PackedLayer", "StoredBlob"]

_LEVEL = 2
"""igzip's quick one: 480 MB/s, and a third larger at most than gzip's default."""
_GZIP = 31
_WAIT = 0.2
_PROCESSORS = threading.Semaphore(os.cpu_count() or 1)
"""Layers that are compressed at once: more only take the processors from each other. All of them are sent."""


class StoredBlob:
    """A blob of the content store, to be sent as it is."""

    def __init__(self, path: os.PathLike[str], digest: str, size: int) -> None:
        self._path = path
        self.digest = digest
        self.size: int | None = size

    def chunks(self, start: int) -> Iterator[bytes]:
        with open(self._path, "rb") as file:
            file.seek(start)
            while chunk := file.read(CHUNK):
                yield chunk


class PackedLayer:
    """Use as a context manager; the compressing thread ends with it."""

    def __init__(self, ctx: Context, diff_id: str, cancel: CancelEvent | None) -> None:
        self._ctx = ctx
        self._diff_id = diff_id
        self._cancel = cancel
        self._file = tempfile.TemporaryFile(dir=ctx.paths.content)  # noqa: SIM115 - closed with us
        self._fd = self._file.fileno()
        self._condition = threading.Condition()
        self._hash = hashlib.sha256()
        self._written = 0
        self._done = False
        self._stopped = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="layer-packer", daemon=True)

    def __enter__(self) -> PackedLayer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True
        self._thread.join()
        self._file.close()

    @property
    def size(self) -> int | None:
        return self._written if self._done else None

    @property
    def digest(self) -> str:
        assert self._done, "the digest is known when all is compressed"
        return f"sha256:{self._hash.hexdigest()}"

    def chunks(self, start: int) -> Iterator[bytes]:
        """Waits for what is not compressed yet."""
        position = start
        while True:
            with self._condition:
                while position >= self._written and not self._done:
                    if self._error is not None:
                        raise self._error
                    if self._cancel is not None and self._cancel.is_set():
                        raise Cancelled("cancelled")
                    self._condition.wait(_WAIT)
                available = self._written - position
            if not available:
                return
            data = os.pread(self._fd, min(CHUNK, available), position)
            position += len(data)
            yield data

    def _run(self) -> None:
        try:
            with _PROCESSORS:
                self._compress()
        except BaseException as error:  # the sender raises it
            with self._condition:
                self._error = error
                self._condition.notify_all()
        finally:
            self._ctx.db.close()

    def _compress(self) -> None:
        from isal import isal_zlib

        compressor = isal_zlib.compressobj(_LEVEL, wbits=_GZIP)
        tar = open_layer_tar(self._ctx, self._diff_id)
        plain = hashlib.sha256()
        while chunk := tar.read(CHUNK):
            if self._stopped:
                return
            plain.update(chunk)
            self._put(compressor.compress(chunk))
        self._put(compressor.flush())
        if f"sha256:{plain.hexdigest()}" != self._diff_id:
            raise Failed(
                f"layer {self._diff_id[7:19]} was changed on the disk and cannot be pushed",
                hint="tuidock system check tells more",
                subject=self._diff_id,
            )
        with self._condition:
            self._done = True
            self._condition.notify_all()

    def _put(self, data: bytes) -> None:
        if not data:
            return
        self._hash.update(data)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise Failed(f"cannot compress a layer: {error.strerror}", hint="free some disk space") from error
        with self._condition:
            self._written += len(data)
            self._condition.notify_all()
