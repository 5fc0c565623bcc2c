"""Starting and watching the process that unpacks one layer (:mod:`runtime.images.unpack_worker`)."""

from __future__ import annotations

import importlib.util
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from runtime.errors import Cancelled, EngineError, Failed, InvalidInput
from runtime.images.unpack import Limits, Unpacked
from runtime.images.unpack_worker import COMPLETE, ERROR, FRAME, LIMIT, READ, RECIPE, RESULT

__all__ = ["Apart", "Followable", "unpack_apart"]

_PACKAGE_ROOT = Path(__file__).resolve().parent.parent.parent
_TICK_MS = 20
_PIECE = 1 << 16
_RAISED = {kind.__name__: kind for kind in (InvalidInput, Failed, Cancelled)}


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
        raise Failed(
            "the process that unpacks a layer ended before its time",
            hint="was it killed? `dmesg` tells when memory ran out",
        )
    return outcome


def _start(
    source: Followable, directory: Path, limits: Limits, known: int, recipe: bool
) -> subprocess.Popen[bytes]:
    """The interpreter without site-packages (they cost 50 ms), with the directories that hold our codecs."""
    paths = [str(_PACKAGE_ROOT), *_codec_paths()]
    boot = f"import sys; sys.path[:0] = {paths!r}; from runtime.images.unpack_worker import main; main()"
    return subprocess.Popen(
        [
            *(sys.executable, "-I", "-S", "-c", boot),
            *(str(os.getpid()), str(directory), str(source.fd), str(source.start)),
            *(str(limits.entries), str(limits.bytes), "recipe" if recipe else ""),
        ],
        stdin=known,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=[source.fd],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        process_group=0,  # what interrupts us at the terminal is ours to handle
    )


def _codec_paths() -> list[str]:
    found = []
    for name in ("isal", "zstandard"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            found.append(str(Path(spec.origin).resolve().parent.parent))
    return list(dict.fromkeys(found))


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
        self._rest = b""
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
            data = os.read(self._pipe, _PIECE)
            if not data:
                return self._outcome
            self._hear(data)

    def _hear(self, data: bytes) -> None:
        data = self._rest + data
        position = 0
        while len(data) - position >= FRAME.size:
            kind, length = FRAME.unpack_from(data, position)
            end = position + FRAME.size + length
            if end > len(data):
                break
            self._take(kind, data[position + FRAME.size : end])
            position = end
        self._rest = data[position:]

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
            raise _error(json.loads(body))
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


def _error(told: dict[str, str]) -> EngineError:
    return _RAISED.get(told["name"], Failed)(told["message"], hint=told["hint"])
