"""Starting processes that work on one layer (:mod:`runtime.images.worker`), and hearing what they say."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from runtime.errors import Cancelled, EngineError, Failed, InvalidInput
from runtime.images.worker import FRAME

__all__ = ["Frames", "ended_early", "error_of", "start_worker"]

_PACKAGE_ROOT = Path(__file__).resolve().parent.parent.parent
_RAISED = {kind.__name__: kind for kind in (InvalidInput, Failed, Cancelled)}
_PIECE = 1 << 16


def start_worker(
    module: str, arguments: Sequence[str], *, stdin: int = subprocess.DEVNULL, pass_fds: Sequence[int]
) -> subprocess.Popen[bytes]:
    """``main`` of the module, given our pid and the arguments, in the interpreter without site-packages (they
    cost 50 ms), with the directories that hold our codecs. Its standard output is a pipe to us."""
    paths = [str(_PACKAGE_ROOT), *_codec_paths()]
    boot = f"import sys; sys.path[:0] = {paths!r}; from {module} import main; main()"
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", boot, str(os.getpid()), *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=pass_fds,
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


class Frames:
    """What comes out of a worker's pipe."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._rest = b""

    def read(self) -> Iterator[tuple[int, bytes]] | None:
        """The frames of one read, which waits for them; None when no more come."""
        data = os.read(self._pipe, _PIECE)
        return self._split(self._rest + data) if data else None

    def _split(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        position = 0
        while len(data) - position >= FRAME.size:
            kind, length = FRAME.unpack_from(data, position)
            end = position + FRAME.size + length
            if end > len(data):
                break
            yield kind, data[position + FRAME.size : end]
            position = end
        self._rest = data[position:]


def error_of(body: bytes) -> EngineError:
    """What a worker's error frame tells, to be raised."""
    told: dict[str, str] = json.loads(body)
    return _RAISED.get(told["name"], Failed)(told["message"], hint=told["hint"])


def ended_early(what: str) -> Failed:
    return Failed(
        f"the process that {what} a layer ended before its time",
        hint="was it killed? `dmesg` tells when memory ran out",
    )
