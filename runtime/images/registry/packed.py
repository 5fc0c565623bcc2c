"""A layer that has no blob, compressed for a registry: into a file without a name, sent while it grows.

The file makes a second try cheap when the connection breaks. Compression is deterministic, so every push
of the layer makes the same blob. A large layer is compressed by a process of its own.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from runtime.errors import Cancelled, Failed, NotFound
from runtime.images import pack_worker
from runtime.images.compression import CHUNK
from runtime.images.gzip_layer import GzipLayer
from runtime.images.layers import paths_of
from runtime.images.worker import ERROR, RESULT
from runtime.images.worker_start import Frames, ended_early, error_of, start_worker
from runtime.model.event import CancelEvent
from runtime.store import images as rows

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["PackedLayer", "StoredBlob"]

_APART = 4 << 20
"""Bytes from which a process of its own (30 ms to start) is worth it."""
_WAIT_MS = 200


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
    """Use as a context manager, in one thread; the compressing process ends with it. Raises NotFound; reading
    it raises Failed, Cancelled."""

    def __init__(self, ctx: Context, diff_id: str, cancel: CancelEvent | None) -> None:
        row = rows.get_layer(ctx.db, diff_id)
        if row is None:
            raise NotFound(f"no such layer: {diff_id}", subject=diff_id)
        self._diff_id = diff_id
        self._paths = paths_of(ctx, row)
        self._large = row.size >= _APART
        self._cancel = cancel
        self._file = tempfile.TemporaryFile(dir=ctx.paths.content)  # noqa: SIM115 - closed with us
        self._fd = self._file.fileno()
        self._process: subprocess.Popen[bytes] | None = None
        self._frames: Frames | None = None
        self._written = 0
        self._digest = ""

    def __enter__(self) -> PackedLayer:
        try:
            if self._large:
                self._start()
            else:
                self._pack()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
        self._file.close()

    @property
    def size(self) -> int | None:
        return self._written if self._digest else None

    @property
    def digest(self) -> str:
        assert self._digest, "the digest is known when all is compressed"
        return self._digest

    def chunks(self, start: int) -> Iterator[bytes]:
        """Waits for what is not compressed yet."""
        position = start
        while True:
            while position >= self._written and not self._digest:
                self._hear()
            available = self._written - position
            if not available:
                return
            data = os.pread(self._fd, min(CHUNK, available), position)
            position += len(data)
            yield data

    def _start(self) -> None:
        self._process = start_worker(pack_worker.__name__, self._paths, stdin=self._fd, pass_fds=[])
        assert self._process.stdout is not None
        self._frames = Frames(self._process.stdout.fileno())

    def _hear(self) -> None:
        """Wait for the process to tell more, or a moment."""
        assert self._process is not None and self._process.stdout is not None and self._frames is not None
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled("cancelled")
        poll = select.poll()
        poll.register(self._process.stdout, select.POLLIN)
        if not poll.poll(_WAIT_MS):
            return
        frames = self._frames.read()
        if frames is None:
            raise ended_early("compresses")
        for kind, body in frames:
            if kind == pack_worker.WRITTEN:
                self._written = int(body)
            elif kind == ERROR:
                raise error_of(body)
            elif kind == RESULT:
                told = json.loads(body)
                self._finish(told["diff_id"], told["digest"], told["size"])

    def _pack(self) -> None:
        layer = GzipLayer(self._paths)
        size = 0
        try:
            for data in layer:
                self._file.write(data)
                size += len(data)
            self._file.flush()
        except OSError as error:
            raise Failed(f"cannot compress a layer: {error.strerror}") from error
        self._finish(layer.diff_id, layer.digest, size)

    def _finish(self, diff_id: str, digest: str, size: int) -> None:
        if diff_id != self._diff_id:
            raise Failed(
                f"layer {self._diff_id[7:19]} was changed on the disk and cannot be pushed",
                hint="tuidock system check tells more",
                subject=self._diff_id,
            )
        self._written, self._digest = size, digest
