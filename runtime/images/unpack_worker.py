"""The process that unpacks one layer: reads, inflates and hashes in one thread, makes files in another.

A process of its own, because making 27,000 files is 100,000 short system calls: threads of one interpreter
would hand its lock to each other for every one. :mod:`runtime.images.unpack_apart` starts it, with

- descriptor 0: a pipe of 8-byte numbers, how much of the data can be read; ``COMPLETE`` is added when that is
  all. Its end without that means that the starter is gone;
- descriptor 1: a pipe to the starter, of frames (:mod:`runtime.images.worker`);
- the data in a further one.

Only what it needs is imported: it starts once a layer.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from pathlib import Path

from runtime.images.layer_stream import LayerStream
from runtime.images.recipe import RecipeWriter
from runtime.images.tar_reader import TarReader
from runtime.images.unpack import Limits, unpack
from runtime.images.worker import RESULT, run, tell

__all__ = ["COMPLETE", "LIMIT", "READ", "RECIPE", "main"]

COMPLETE = 1 << 63
LIMIT = struct.Struct("=Q")
READ, RECIPE = b"rc"
"""Kinds of frames: bytes read so far (as text), a piece of the recipe."""
_TOLD_SECONDS = 0.1


def main() -> None:
    """Arguments: the starter's pid, the directory, the data's descriptor and where it begins, the most
    entries and bytes, "recipe" or ""."""
    starter, directory, fd, offset, entries, size, wanted = sys.argv[1:]

    def work() -> None:
        data = _Followed(int(fd), int(offset))
        _unpack(data, Path(directory), Limits(int(entries), int(size)), wanted == "recipe")

    run(int(starter), work, "unpack")


def _unpack(data: _Followed, directory: Path, limits: Limits, with_recipe: bool) -> None:
    told = 0.0
    read = 0

    def count(size: int) -> None:
        nonlocal read, told
        read += size
        now = time.monotonic()
        if now - told >= _TOLD_SECONDS:
            told = now
            tell(READ, b"%d" % read)

    layer = LayerStream(data, count)
    recipe = RecipeWriter(lambda data: tell(RECIPE, data)) if with_recipe else None
    reader = TarReader(layer, recipe.literal if recipe is not None else None)
    unpacked = unpack(reader, directory, limits=limits, recipe=recipe, unmasked=True)
    layer.finish()
    if recipe is not None:
        recipe.finish()
    outcome = {
        "diff_id": layer.diff_id,
        "compression": layer.compression,
        "tar_size": layer.tar_size,
        "size": unpacked.size,
        "entries": unpacked.entries,
        "recipe": recipe is not None and not recipe.spoiled,
    }
    tell(RESULT, json.dumps(outcome).encode())


class _Followed:
    """The data, as far as the starter says that it is there."""

    def __init__(self, fd: int, offset: int) -> None:
        self._fd = fd
        self._offset = offset
        self._read = 0
        self._limit = 0
        self._complete = False

    def read(self, n: int = -1, /) -> bytes:
        while self._read >= self._limit and not self._complete:
            self._wait()
        left = self._limit - self._read
        data = os.pread(self._fd, left if n < 0 else min(n, left), self._offset + self._read)
        self._read += len(data)
        return data

    def _wait(self) -> None:
        message = os.read(0, LIMIT.size * 512)
        if not message:
            os._exit(1)
        (limit,) = LIMIT.unpack(message[-LIMIT.size :])
        self._limit = limit & ~COMPLETE
        self._complete = limit != self._limit
