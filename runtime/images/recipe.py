"""Recipes: how another writer's tar is made again, byte for byte, from the directory it was unpacked to.

No two writers of tar pad, sort and name alike, and a layer is called by its tar's digest. What is not a
file's data (headers, padding, the end) is kept as it came, compressed, and each file's data as the place
where it is now. That takes some tens of bytes a file, where a compressed copy takes a third of all.

Form, before gzip: a line that tells it, then records. ``L`` length(4) data; ``F`` length(2) path, offset(8)
and length(8) of a piece of that file; ``E`` at the end. Numbers are big endian.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from runtime.errors import EngineError, Failed
from runtime.images.compression import CHUNK, Readable, decompressed
from runtime.images.trees import RootWalker, split_name

__all__ = ["RecipeTar", "RecipeWriter"]

_FIRST = b"tuidock tar recipe 1\n"
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_PENDING = 1 << 17
_LITERAL, _PIECE, _END = b"LFE"


class RecipeWriter:
    """``put`` gets the compressed recipe in pieces. When ``spoiled``, the archive cannot be made again: it
    brought a file that it replaced later."""

    def __init__(self, put: Callable[[bytes], object]) -> None:
        from isal import isal_zlib

        self._put = put
        self._compressor = isal_zlib.compressobj(1, wbits=31)
        self._literal: list[bytes] = []
        self._records: list[bytes] = [_FIRST]
        self._size = 0
        self.spoiled = False

    def literal(self, data: bytes) -> None:
        """Bytes of the archive that are no file's data."""
        if not self.spoiled:
            self._literal.append(data)
            self._size += len(data)
            if self._size >= _PENDING:
                self._flush()

    def file(self, path: bytes, pieces: list[tuple[int, int]]) -> None:
        """(offset, length) of what came next, in the file that it went to."""
        if not self.spoiled:
            self._settle()
            for piece in pieces:
                self._records.append(
                    struct.pack(">BH", _PIECE, len(path)) + path + struct.pack(">QQ", *piece)
                )

    def spoil(self) -> None:
        self.spoiled = True
        self._literal, self._records = [], []

    def finish(self) -> None:
        if not self.spoiled:
            self._settle()
            self._records.append(bytes((_END,)))
            self._flush()
            self._put(self._compressor.flush())

    def _settle(self) -> None:
        if self._literal:
            data = b"".join(self._literal)
            self._records += (struct.pack(">BI", _LITERAL, len(data)), data)
            self._literal = []

    def _flush(self) -> None:
        self._settle()
        packed = self._compressor.compress(b"".join(self._records))
        self._records, self._size = [], 0
        if packed:
            self._put(packed)


class RecipeTar:
    """Iterate (once) for the archive in pieces. Raises Failed when the directory or the recipe is not what
    it was; a file that was changed shows in the archive's digest only."""

    def __init__(self, directory: Path, recipe: Readable) -> None:
        self._directory = directory
        self._recipe = decompressed(recipe)[1]
        self._rest = b""
        self._position = 0

    def __iter__(self) -> Iterator[bytes]:
        """Pieces of about :data:`CHUNK`: most files are small, and whoever hashes, compresses and sends pays
        for each piece."""
        pending: list[bytes] = []
        size = 0
        for piece in self._pieces():
            pending.append(piece)
            size += len(piece)
            if size >= CHUNK:
                yield b"".join(pending)
                pending, size = [], 0
        yield b"".join(pending)

    def _pieces(self) -> Iterator[bytes]:
        walker = RootWalker(self._directory)
        try:
            if self._take(len(_FIRST)) != _FIRST:
                raise _damaged(self._directory)
            while True:
                kind = self._take(1)[0]
                if kind == _LITERAL:
                    yield self._take(struct.unpack(">I", self._take(4))[0])
                elif kind == _PIECE:
                    path = self._take(struct.unpack(">H", self._take(2))[0])
                    offset, length = struct.unpack(">QQ", self._take(16))
                    yield from _piece(walker, path, offset, length)
                elif kind == _END:
                    return
                else:
                    raise _damaged(self._directory)
        finally:
            walker.close()

    def _take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._rest):
            parts = [self._rest[self._position :]]
            missing = count - len(parts[0])
            while missing > 0:
                part = self._recipe.read(CHUNK)
                if not part:
                    raise _damaged(self._directory)
                parts.append(part)
                missing -= len(part)
            self._rest, self._position, end = b"".join(parts), 0, count
        data = self._rest[self._position : end]
        self._position = end
        return data


def _piece(walker: RootWalker, path: bytes, offset: int, length: int) -> Iterator[bytes]:
    try:
        *parents, name = split_name(path)
        file = os.open(name, _FILE, dir_fd=walker.directory(parents, create=False)[0])
    except (OSError, ValueError, EngineError) as error:
        raise Failed(f"{os.fsdecode(path)} of a layer cannot be read: {error}") from error
    try:
        while length:
            data = os.pread(file, min(length, CHUNK), offset)
            if not data:
                raise Failed(f"{os.fsdecode(path)} of a layer became shorter")
            offset += len(data)
            length -= len(data)
            yield data
    finally:
        os.close(file)


def _damaged(directory: Path) -> Failed:
    return Failed(f"the recipe of the layer in {directory.name} is damaged")
