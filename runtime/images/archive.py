"""An image archive as files by name: read in place where it can be, else from a temporary copy."""

from __future__ import annotations

import io
import os
import posixpath
import tempfile
from typing import IO, TYPE_CHECKING

from runtime.errors import Cancelled, Failed, InvalidInput
from runtime.images import tar_reader
from runtime.images.compression import CHUNK, Readable, decompressed, detect
from runtime.images.member import Member
from runtime.images.tar_reader import TarReader
from runtime.model.event import CancelEvent

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["Archive"]

_MAX_MEMBERS = 200_000
_MAX_DOCUMENT = 64 << 20


class Archive:
    """``docker save``'s and OCI's archives keep their parts in any order, so they are indexed first. Names
    are only looked up here, never used as paths. Use as a context manager.

    Raises InvalidInput for what is no archive, Failed when there is no room for the copy.
    """

    def __init__(self, ctx: Context, source: IO[bytes], cancel: CancelEvent | None = None) -> None:
        self._copy: IO[bytes] | None = None
        self._fd, self._base = _in_place(source)
        if self._fd < 0:
            self._copy = _copied(ctx, source, cancel)
            self._fd = self._copy.fileno()
        self._files: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        try:
            self._index()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        if self._copy is not None:
            self._copy.close()
            self._copy = None

    def __contains__(self, name: str) -> bool:
        return self._place(name) is not None

    def open(self, name: str) -> Member:
        """Raises InvalidInput for a name that is not there."""
        place = self._place(name)
        if place is None:
            raise InvalidInput(f"the archive has no {name!r}, which it speaks of", subject=name)
        return Member(self._fd, *place)

    def read(self, name: str) -> bytes:
        """A small document."""
        member = self.open(name)
        if member.size > _MAX_DOCUMENT:
            raise InvalidInput(f"{name!r} in the archive is too large", subject=name)
        return member.read()

    def _place(self, name: str) -> tuple[int, int] | None:
        name = _clean(name)
        for _ in range(10):
            if name in self._files:
                return self._files[name]
            if name not in self._links:
                return None
            name = self._links[name]
        return None

    def _index(self) -> None:
        stream = Member(self._fd, self._base, os.fstat(self._fd).st_size - self._base)
        reader = TarReader(stream)
        for count, entry in enumerate(reader):
            if count > _MAX_MEMBERS:
                raise InvalidInput(f"the archive has more than {_MAX_MEMBERS} members")
            name = _clean(os.fsdecode(entry.name))
            if entry.type == tar_reader.REGULAR:
                self._files[name] = (self._base + reader.offset, entry.size)
            elif entry.type == tar_reader.SYMLINK:
                target = posixpath.join(posixpath.dirname(name), os.fsdecode(entry.linkname))
                self._links[name] = _clean(target)
            elif entry.type == tar_reader.HARD_LINK:
                self._links[name] = _clean(os.fsdecode(entry.linkname))


def _clean(name: str) -> str:
    return posixpath.normpath(name).lstrip("/")


def _in_place(source: IO[bytes]) -> tuple[int, int]:
    """(descriptor, offset) of a plain file that can be read by offset; (-1, 0) for anything else."""
    try:
        if not source.seekable():
            return -1, 0
        fd, position = source.fileno(), source.tell()
    except (OSError, AttributeError, io.UnsupportedOperation, ValueError):
        return -1, 0
    return (-1, 0) if detect(os.pread(fd, 6, position)) else (fd, position)


def _copied(ctx: Context, source: Readable, cancel: CancelEvent | None) -> IO[bytes]:
    """The plain bytes in a file without a name, which the kernel drops with us."""
    _, plain = decompressed(source)
    copy = tempfile.TemporaryFile(dir=ctx.paths.content)  # noqa: SIM115 - the archive closes it
    try:
        while chunk := plain.read(CHUNK):
            if cancel is not None and cancel.is_set():
                raise Cancelled("cancelled")
            copy.write(chunk)
        copy.flush()
    except OSError as error:
        copy.close()
        raise Failed(
            f"cannot read the archive: {error.strerror}",
            hint="free some disk space, or load it from a plain file",
        ) from error
    except BaseException:
        copy.close()
        raise
    return copy
