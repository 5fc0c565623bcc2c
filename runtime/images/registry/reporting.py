"""What a transfer tells of itself, in docker's words; an event without an id is a line of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from runtime.model.event import Progress, ProgressCallback

__all__ = ["LayerReport", "TransferReport", "short"]

_REPORT_SECONDS = 0.1


def short(digest: str) -> str:
    """How docker calls a layer: twelve digits."""
    return digest.removeprefix("sha256:")[:12]


class TransferReport:
    """Serializes the callback: layers tell from several threads."""

    def __init__(self, progress: ProgressCallback | None) -> None:
        self._progress = progress
        self._lock = threading.Lock()

    def line(self, text: str) -> None:
        self.tell(Progress("", text, done=True))

    def tell(self, event: Progress) -> None:
        if self._progress is not None:
            with self._lock:
                self._progress(event)

    def layer(self, digest: str) -> LayerReport:
        return LayerReport(self, short(digest))


class LayerReport:
    """One layer's stages, and how far it is, told some times a second."""

    def __init__(self, report: TransferReport, id: str) -> None:
        self._report = report
        self._id = id
        self._last = 0.0

    def __call__(self, stage: str, *, done: bool = False) -> None:
        self._report.tell(Progress(self._id, stage, done=done))

    def counter(self, stage: str, total: int, start: int = 0) -> Callable[[int], None]:
        """Add what was transferred."""
        current = start
        self._report.tell(Progress(self._id, stage, current, total))

        def count(size: int) -> None:
            nonlocal current
            current += size
            now = time.monotonic()
            if now - self._last >= _REPORT_SECONDS or current == total:
                self._last = now
                self._report.tell(Progress(self._id, stage, current, total))

        return count
