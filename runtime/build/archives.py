"""Archives that ADD unpacks, known by their content."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from runtime.errors import InvalidInput
from runtime.images.compression import Readable
from runtime.images.layer_view import Node
from runtime.images.tar_reader import TarReader
from runtime.images.unpack import unpack

__all__ = ["archive_stream", "unpack_archive"]

_MAGIC = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))
_USTAR_AT = 257


class _Stream:
    """A file as a stream of what its codec decompresses."""

    def __init__(self, path: str, codec: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        self._file = os.fdopen(descriptor, "rb")
        self._reader = _decoder(self._file, codec)

    def read(self, n: int = -1, /) -> bytes:
        """Raises InvalidInput for damaged data, whatever the codec's own error is."""
        try:
            return self._reader.read(n)
        except (OSError, EOFError, ValueError) as error:
            raise InvalidInput(f"a damaged archive: {error}") from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in ("zlib", "lzma", "_lzma", "zstandard", "zstd"):
                raise
            raise InvalidInput(f"a damaged archive: {error}") from error

    def close(self) -> None:
        self._file.close()


def _decoder(file: IO[bytes], codec: str) -> Readable:
    if codec == "gzip":
        import gzip

        return gzip.GzipFile(fileobj=file)
    if codec == "bzip2":
        import bz2

        return bz2.BZ2File(file)
    if codec == "xz":
        import lzma

        return lzma.LZMAFile(file)
    if codec == "zstd":
        import zstandard

        return zstandard.ZstdDecompressor().stream_reader(file)
    return file


def unpack_archive(node: Node, directory: Path) -> bool:
    """Unpack into a new directory when the file is a tar archive, plain or compressed, by its content. False,
    with nothing made, for any other file. Raises InvalidInput for a damaged archive."""
    if not node.is_file or (node.stat.st_size < 512 and not _codec(node.real)):
        return False
    codec = _codec(node.real)
    if not _is_tar(node.real, codec):
        return False
    directory.mkdir()
    directory.chmod(0o755)
    stream = _Stream(node.real, codec)
    try:
        unpack(TarReader(stream), directory, plain=True)
    finally:
        stream.close()
    return True


def _codec(path: str) -> str:
    stream = _Stream(path, "")
    try:
        head = stream.read(8)
    finally:
        stream.close()
    return next((name for magic, name in _MAGIC if head.startswith(magic)), "")


def _is_tar(path: str, codec: str) -> bool:
    """The first header's magic, or, for the oldest format, its checksum."""
    stream = _Stream(path, codec)
    try:
        head = stream.read(512)
    except InvalidInput:
        return False
    finally:
        stream.close()
    if len(head) < 512:
        return False
    if head[_USTAR_AT : _USTAR_AT + 5] == b"ustar":
        return True
    try:
        written = int(head[148:156].strip(b"\0 ") or b"-1", 8)
    except ValueError:
        return False
    return written == sum(head[:148]) + 8 * 32 + sum(head[156:])


def archive_stream(path: Path) -> IO[bytes] | None:
    """A file's stream from its beginning when it is a tar archive, plain or compressed."""
    if not _is_tar(str(path), _codec(str(path))):
        return None
    return path.open("rb")
