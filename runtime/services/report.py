"""Progress of service verbs, from several threads; and the pool that they run in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from runtime.errors import Cancelled
from runtime.model.event import CancelEvent, Progress, ProgressCallback

__all__ = ["Report", "in_parallel"]

PARALLEL = 4
"""How many containers are worked on at once."""


class Report:
    """Serializes a progress callback and looks at the cancel event between steps."""

    def __init__(self, progress: ProgressCallback | None, cancel: CancelEvent | None) -> None:
        self._progress = progress
        self.cancel = cancel
        self._lock = threading.Lock()

    def __call__(self, id: str, stage: str, *, done: bool = False, line: str | None = None) -> None:
        self.forward(Progress(id=id, stage=stage, done=done, line=line))

    def forward(self, progress: Progress) -> None:
        if self._progress is not None:
            with self._lock:
                self._progress(progress)

    @property
    def cancelled(self) -> bool:
        return self.cancel is not None and self.cancel.is_set()

    def check(self) -> None:
        """Raises Cancelled when the caller asked to stop."""
        if self.cancelled:
            raise Cancelled("cancelled")


def in_parallel(tasks: Iterable[Callable[[], None]]) -> None:
    """Runs all, some at a time; raises the first failure when all have ended, the others as its notes."""
    listed = list(tasks)
    if len(listed) == 1:
        listed[0]()
        return
    if not listed:
        return
    with ThreadPoolExecutor(min(PARALLEL, len(listed)), thread_name_prefix="services") as pool:
        futures = [pool.submit(task) for task in listed]
    failures = [error for future in futures if (error := future.exception()) is not None]
    if failures:
        for other in failures[1:]:
            failures[0].add_note(f"also: {other}")
        raise failures[0]
