"""What a layer's bytes pass on their way to the extractor: digest, kept blob, decompression, diff id.

A thread of its own reads ahead: hashing and inflating release the interpreter's lock, so the extractor's
system calls run beside them.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from runtime.images.compression import CHUNK, Compression, Readable, decompressed

if TYPE_CHECKING:
    from runtime.images.content import BlobWriter

__all__ = ["MEDIA_TYPE_TAR", "PASSED_ON", "LayerStream", "media_type"]

MEDIA_TYPE_TAR = "application/vnd.oci.image.layer.v1.tar"
PASSED_ON = ("gzip", "zstd")
"""The compressions that every registry and engine reads."""
_AHEAD = 16


def media_type(compression: Compression) -> str:
    """Of a layer's blob; what is not passed on is made gzip."""
    if not compression:
        return MEDIA_TYPE_TAR
    return f"{MEDIA_TYPE_TAR}+{compression if compression in PASSED_ON else 'gzip'}"


class LayerStream:
    """Read the plain tar from it; after the end, ``finish`` and the properties tell what it was.

    ``blob`` (whose owner commits or abandons it) gets what came when that was gzip or zstd, and quick gzip of
    anything else.
    """

    def __init__(
        self,
        source: Readable,
        on_bytes: Callable[[int], None] | None = None,
        blob: BlobWriter | None = None,
    ) -> None:
        self._source = _Source(source, on_bytes)
        self._blob = blob
        self._diff = hashlib.sha256()
        self.tar_size = 0
        """Bytes of the plain archive so far."""
        self.compression: Compression = ""
        self._queue: queue.Queue[bytes | BaseException] = queue.Queue(_AHEAD)
        self._stopped = threading.Event()
        self._ended = False
        self._rest = b""
        self._thread = threading.Thread(target=self._run, name="layer-reader", daemon=True)
        self._thread.start()

    def read(self, n: int = CHUNK, /) -> bytes:
        """The next piece, at most ``n`` bytes; b"" at the end."""
        if not self._rest:
            if self._ended:
                return b""
            item = self._queue.get()
            if isinstance(item, BaseException):
                self._ended = True
                raise item
            if not item:
                self._ended = True
            self._rest = item
        if 0 <= n < len(self._rest):
            data, self._rest = self._rest[:n], self._rest[n:]
            return data
        data, self._rest = self._rest, b""
        return data

    def finish(self) -> None:
        """Read to the end and wait for the digests."""
        while self.read(CHUNK):
            pass
        self._thread.join()

    def close(self) -> None:
        """Stop reading."""
        self._stopped.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    @property
    def diff_id(self) -> str:
        return f"sha256:{self._diff.hexdigest()}"

    @property
    def source_digest(self) -> str:
        """Of the bytes as they came; "" for a compression that no layer may have."""
        if self.compression in PASSED_ON and self._blob is not None:
            return self._blob.digest
        return self.diff_id if self.compression == "" else ""

    def _run(self) -> None:
        try:
            self._pump()
            self._put(b"")
        except BaseException as error:  # handed to the reader, which raises it
            self._put(error)

    def _pump(self) -> None:
        self.compression, plain = decompressed(self._source)
        compressor = None
        blob = self._blob
        if blob is None:
            pass
        elif self.compression in PASSED_ON:
            self._source.blob = blob
            blob.write(self._source.seen)
        else:
            from isal import isal_zlib

            compressor = isal_zlib.compressobj(1, wbits=31)
        self._source.seen = b""
        self._source.peeking = False
        while not self._stopped.is_set():
            chunk = plain.read(CHUNK)
            if not chunk:
                break
            self._diff.update(chunk)
            self.tar_size += len(chunk)
            if compressor is not None and blob is not None:
                blob.write(compressor.compress(chunk))
            self._put(chunk)
        if compressor is not None and blob is not None:
            blob.write(compressor.flush())
        while not self._stopped.is_set() and self._source.read(CHUNK):
            pass

    def _put(self, item: bytes | BaseException) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue
            return


class _Source:
    """The source, with what was read counted and copied to the blob."""

    def __init__(self, source: Readable, on_bytes: Callable[[int], None] | None) -> None:
        self._source = source
        self._on_bytes = on_bytes
        self.blob: BlobWriter | None = None
        self.seen = b""
        self.peeking = True
        """While the compression is found out, what was read is remembered."""

    def read(self, n: int = -1, /) -> bytes:
        data = self._source.read(n)
        if self.peeking:
            self.seen += data
        elif self.blob is not None:
            self.blob.write(data)
        if self._on_bytes is not None:
            self._on_bytes(len(data))
        return data
