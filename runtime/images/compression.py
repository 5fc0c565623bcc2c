"""Compressed streams, told apart by their first bytes."""

from __future__ import annotations

from typing import IO, Protocol, cast

from runtime.errors import EngineError, InvalidInput

__all__ = ["CHUNK", "Compression", "Peeked", "Readable", "decompressed", "detect"]

CHUNK = 256 << 10
"""Bytes read at a time, where it matters: what is read, hashed and written while the processor's cache has it
costs two thirds of the system time that a megabyte does (measured)."""

Compression = str
""""gzip", "zstd", "bzip2", "xz" or "" (none)."""

_MAGIC: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
)
_MAGIC_LENGTH = 6


class Readable(Protocol):
    """What is read from: ``read(n)`` gives at most n bytes, b"" at the end."""

    def read(self, n: int = ..., /) -> bytes: ...


class Peeked:
    """A stream whose first bytes were looked at; reads give all of it."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        head = b""
        while len(head) < _MAGIC_LENGTH:
            more = source.read(_MAGIC_LENGTH - len(head))
            if not more:
                break
            head += more
        self.head = head
        self._rest = head

    def read(self, n: int = -1, /) -> bytes:
        if not self._rest:
            return self._source.read(n)
        if n < 0:
            data, self._rest = self._rest + self._source.read(), b""
            return data
        data, self._rest = self._rest[:n], self._rest[n:]
        return data

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        """isal reads this way."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def detect(head: bytes) -> Compression:
    """By the first six bytes."""
    return next((name for magic, name in _MAGIC if head.startswith(magic)), "")


def decompressed(source: Readable) -> tuple[Compression, Readable]:
    """The compression and the plain stream. Errors of the data surface in ``read`` as the codec's own."""
    peeked = Peeked(source)
    compression = detect(peeked.head)
    return compression, _decoder(compression, peeked)


def _decoder(compression: Compression, source: Peeked) -> Readable:
    """The codecs ask for a file and use its ``read`` only."""
    file = cast("IO[bytes]", source)
    if compression == "gzip":
        from isal import igzip

        return _Decoded(cast("Readable", igzip.IGzipFile(fileobj=file, mode="rb")), compression)  # type: ignore[no-untyped-call]  # isal's own
    if compression == "zstd":
        import zstandard

        return _Decoded(
            zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True), compression
        )
    if compression == "bzip2":
        import bz2

        return _Decoded(bz2.BZ2File(file), compression)
    if compression == "xz":
        import lzma

        return _Decoded(lzma.LZMAFile(file), compression)
    return source


class _Decoded:
    """Turns the codecs' many errors into one."""

    def __init__(self, stream: Readable, compression: Compression) -> None:
        self._stream = stream
        self._compression = compression

    def read(self, n: int = -1, /) -> bytes:
        try:
            return self._stream.read(n)
        except Exception as error:
            if isinstance(error, EngineError) or (isinstance(error, OSError) and error.errno is not None):
                raise
            raise InvalidInput(f"damaged {self._compression} data: {error}") from error
