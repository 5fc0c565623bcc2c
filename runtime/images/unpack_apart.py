"""Starting and watching the process that unpacks one layer (:mod:`runtime.images.unpack_worker`)."""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from runtime.images import unpack_worker
from runtime.images.unpack import Limits, Unpacked
from runtime.images.unpack_worker import COMPLETE, LIMIT, READ, RECIPE
from runtime.images.worker import ERROR, RESULT
from runtime.images.worker_start import Frames, ended_early, error_of, start_worker

__all__ = ["Apart", "Followable", "unpack_apart"]

_TICK_MS = 20


@runtime_checkable
class Followable(Protocol):
    """Data in a file that may still grow: ``fd`` from ``start`` on, ``size`` bytes once it is complete."""

    fd: int
    start: int
    size: int

    def reached(self) -> tuple[int, bool]:
        """How many bytes there are, and whether that is all. Raises why no more will come."""
        ...


@dataclass(frozen=True)
class Apart:
    """What came of it. ``tar_size`` is the plain archive's; ``recipe``: one was written and tells all."""

    unpacked: Unpacked
    diff_id: str
    compression: str
    tar_size: int
    recipe: bool


def unpack_apart(
    source: Followable,
    directory: Path,
    *,
    check: Callable[[], None] | None = None,
    on_bytes: Callable[[int], None] | None = None,
    recipe: Callable[[bytes], object] | None = None,
) -> Apart:
    """Unpack the layer, plain or compressed, into ``directory``. ``recipe`` gets the pieces of the recipe to
    make the archive again. The digests are the caller's to compare, before anything is used.

    Raises what :func:`runtime.images.unpack.unpack` does, and what ``check`` and ``source`` raise.
    """
    limits = Limits.of(directory)
    known_read, known_write = os.pipe2(os.O_CLOEXEC)
    try:
        process = _start(source, directory, limits, known_read, recipe is not None)
    except BaseException:
        os.close(known_write)
        raise
    finally:
        os.close(known_read)
    assert process.stdout is not None
    watch = _Watch(process.stdout.fileno(), on_bytes, recipe)
    try:
        outcome = watch.run(source, known_write, check)
    finally:
        os.close(known_write)
        process.kill()
        process.stdout.close()
        process.wait()
    if outcome is None:
        raise ended_early("unpacks")
    return outcome


def _start(
    source: Followable, directory: Path, limits: Limits, known: int, recipe: bool
) -> subprocess.Popen[bytes]:
    arguments = [
        *(str(directory), str(source.fd), str(source.start)),
        *(str(limits.entries), str(limits.bytes), "recipe" if recipe else ""),
    ]
    return start_worker(unpack_worker.__name__, arguments, stdin=known, pass_fds=[source.fd])


class _Watch:
    """Tells the process what there is to read, and hears what it has to say."""

    def __init__(
        self,
        pipe: int,
        on_bytes: Callable[[int], None] | None,
        recipe: Callable[[bytes], object] | None,
    ) -> None:
        self._pipe = pipe
        self._on_bytes = on_bytes
        self._recipe = recipe
        self._frames = Frames(pipe)
        self._read = 0
        self._outcome: Apart | None = None

    def run(self, source: Followable, known: int, check: Callable[[], None] | None) -> Apart | None:
        """None when the process ended without an outcome."""
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        told = (-1, False)
        while True:
            if check is not None:
                check()
            if not told[1]:
                reached = source.reached()
                if reached != told:
                    told = reached
                    _tell(known, reached)
            if not poll.poll(_TICK_MS if not told[1] else 5 * _TICK_MS):
                continue
            frames = self._frames.read()
            if frames is None:
                return self._outcome
            for kind, body in frames:
                self._take(kind, body)

    def _take(self, kind: int, body: bytes) -> None:
        if kind == READ:
            read = int(body)
            if self._on_bytes is not None:
                self._on_bytes(read - self._read)
            self._read = read
        elif kind == RECIPE:
            if self._recipe is not None:
                self._recipe(body)
        elif kind == ERROR:
            raise error_of(body)
        elif kind == RESULT:
            told = json.loads(body)
            self._outcome = Apart(
                Unpacked(told["size"], told["entries"]),
                told["diff_id"],
                told["compression"],
                told["tar_size"],
                told["recipe"],
            )


def _tell(known: int, reached: tuple[int, bool]) -> None:
    try:
        os.write(known, LIMIT.pack(reached[0] | (COMPLETE if reached[1] else 0)))
    except BrokenPipeError:
        return  # it has failed; what it says next tells why
