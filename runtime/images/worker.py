"""What a process of ours that works on one layer has in common with the others, and says to its starter.

It starts with as few modules as it can, once a layer; :mod:`runtime.images.worker_start` is the other side.
What it says are frames on its standard output: a kind, a length (4 bytes, big endian), that many bytes.
"""

from __future__ import annotations

import errno
import json
import os
import struct
import threading
from collections.abc import Callable

from runtime.errors import EngineError, Failed
from runtime.kernel import process_calls

__all__ = ["ERROR", "FRAME", "RESULT", "run", "tell"]

FRAME = struct.Struct(">BI")
RESULT, ERROR = b"de"
"""Kinds that every one has: the outcome and what failed (both JSON)."""
_STARTER = 1
_telling = threading.Lock()


def run(starter: int, work: Callable[[], None], what: str) -> None:
    """Do it and end, with its starter at the latest; an error goes to the starter, which raises it."""
    process_calls.prctl(process_calls.PR_SET_PDEATHSIG, 9)
    if os.getppid() != starter:
        os._exit(1)
    os.umask(0)
    try:
        work()
    except EngineError as error:
        _tell_error(type(error).__name__, error.message, error.hint)
    except OSError as error:
        hint = "free some disk space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else None
        _tell_error(Failed.__name__, f"cannot {what} a layer: {error.strerror or error}", hint)
    except BaseException as error:
        _tell_error(Failed.__name__, f"cannot {what} a layer: {error!r}", None)
    os._exit(0)


def tell(kind: int, data: bytes) -> None:
    """From any thread: a write of more than PIPE_BUF bytes may be mixed with another's (pipe(7))."""
    view = memoryview(FRAME.pack(kind, len(data)) + data)
    with _telling:
        while view:
            view = view[os.write(_STARTER, view) :]


def _tell_error(name: str, message: str, hint: str | None) -> None:
    tell(ERROR, json.dumps({"name": name, "message": message, "hint": hint}).encode())
