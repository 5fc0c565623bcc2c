"""``--progress rawjson``: BuildKit's solve status, a JSON object a line on standard error."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.model.event import Progress

__all__ = ["RawJson"]


class RawJson:
    """The keys of github.com/moby/buildkit's client.SolveStatus: vertexes, statuses, logs."""

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._write = write or sys.stderr.write
        self._vertexes: dict[str, dict[str, object]] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Progress) -> None:
        with self._lock:
            vertex = self._vertexes.get(event.id)
            if vertex is None:
                digest = hashlib.sha256(f"{event.id} {event.stage}".encode()).hexdigest()
                vertex = {"digest": f"sha256:{digest}", "name": event.stage, "started": _now()}
                self._vertexes[event.id] = vertex
                self._tell("vertexes", vertex)
            if event.line is not None:
                self._line(event, vertex)
            elif event.current is not None:
                status = {"id": event.id, "vertex": vertex["digest"], "name": event.stage}
                counted = {"current": event.current, "total": event.total or 0, "timestamp": _now()}
                self._tell("statuses", {**status, **counted})
            if event.done:
                if event.stage.startswith("CACHED "):
                    vertex["cached"] = True
                if event.error:
                    vertex["error"] = event.error
                vertex["completed"] = _now()
                self._tell("vertexes", vertex)

    def _line(self, event: Progress, vertex: dict[str, object]) -> None:
        if event.note:
            status = {"id": event.line, "vertex": vertex["digest"], "current": 0, "timestamp": _now()}
            self._tell("statuses", status)
            return
        data = base64.b64encode(f"{event.line}\n".encode(errors="surrogateescape")).decode()
        self._tell("logs", {"vertex": vertex["digest"], "stream": 1, "data": data, "timestamp": _now()})

    def _tell(self, key: str, item: dict[str, object]) -> None:
        self._write(json.dumps({key: [item]}, separators=(",", ":")) + "\n")
        sys.stderr.flush()

    def finish(self) -> None:
        return None


def _now() -> str:
    """RFC 3339 with nanoseconds, UTC."""
    now = time.time_ns()
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now // 10**9))}.{now % 10**9:09d}Z"
