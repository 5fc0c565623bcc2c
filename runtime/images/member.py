"""Part of a file: an archive inside of an archive, read where it lies."""

from __future__ import annotations

import os

from runtime.images.compression import Compression, detect

__all__ = ["Member"]


class Member:
    """Part of a file, read by offset: several may be read at once."""

    def __init__(self, fd: int, offset: int, size: int) -> None:
        self.fd = fd
        self.start = offset
        self._offset = offset
        self._end = offset + size
        self.size = size

    def read(self, n: int = -1, /) -> bytes:
        left = max(0, self._end - self._offset)
        data = os.pread(self.fd, left if n < 0 else min(n, left), self._offset)
        self._offset += len(data)
        return data

    def skip(self, n: int) -> None:
        self._offset += n

    def again(self) -> Member:
        """The same from its beginning."""
        return Member(self.fd, self.start, self.size)

    def compression(self) -> Compression:
        return detect(self.again().read(6))

    def reached(self) -> tuple[int, bool]:
        """How much there is to read, and that it is all (:class:`runtime.images.unpack_apart.Followable`)."""
        return self.size, True
