"""Telling of progress: numbered steps, each with a beginning, lines of output and an end."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.build.options import BuildWarning
from runtime.errors import Cancelled, EngineError
from runtime.model.event import Progress, ProgressCallback

__all__ = ["Report", "Step"]

_KEPT_LINES = 20


class Step:
    """One step. ``tail`` has its last lines of output."""

    def __init__(self, number: int, title: str, callback: ProgressCallback | None) -> None:
        self.id = f"#{number}"
        self.title = title
        self.cached = False
        self.tail: deque[str] = deque(maxlen=_KEPT_LINES)
        self._callback = callback
        self._pending: dict[int, bytes] = {}

    def tell(self, *, done: bool = False, prefix: str = "", error: str = "") -> None:
        if self._callback is not None:
            self._callback(Progress(self.id, prefix + self.title, done=done, error=error))

    def line(self, text: str) -> None:
        self.tail.append(text)
        if self._callback is not None:
            self._callback(Progress(self.id, self.title, line=text))

    def note(self, text: str) -> None:
        """What we did ourselves, in words."""
        if self._callback is not None:
            self._callback(Progress(self.id, self.title, line=text, note=True))

    def output(self, stream: int, data: bytes) -> None:
        """Raw output of what runs; told line by line."""
        lines = (self._pending.pop(stream, b"") + data).split(b"\n")
        if lines[-1]:
            self._pending[stream] = lines[-1]
        for line in lines[:-1]:
            self._output_line(line)

    def flush(self) -> None:
        """What came without a newline."""
        for stream in sorted(self._pending):
            self._output_line(self._pending.pop(stream))

    def _output_line(self, line: bytes) -> None:
        shown = line.rstrip(b"\r").rpartition(b"\r")[2]
        self.line(shown.decode("utf-8", "replace"))


class Report:
    """Numbers the steps of one build and counts those that make files. Stages may tell at the same time."""

    def __init__(self, callback: ProgressCallback | None) -> None:
        self._callback = callback
        self._number = 0
        self._lock = threading.Lock()
        self.steps = 0
        self.cached_steps = 0
        self.warnings: list[BuildWarning] = []

    @contextmanager
    def step(self, title: str, *, counted: bool = True) -> Iterator[Step]:
        """Ends with CACHED before the title when ``Step.cached`` was set, with ERROR when it raised."""
        with self._lock:
            self._number += 1
            step = Step(self._number, title, self._callback)
        step.tell()
        try:
            yield step
        except BaseException as error:
            step.flush()
            told = isinstance(error, (Cancelled, KeyboardInterrupt))
            step.tell(done=True, prefix="CANCELED " if told else "ERROR ", error=_reason(error))
            raise
        step.flush()
        if counted:
            with self._lock:
                self.steps += 1
                self.cached_steps += step.cached
        step.tell(done=True, prefix="CACHED " if step.cached else "")

    def warn(self, warning: BuildWarning) -> None:
        if warning not in self.warnings:
            self.warnings.append(warning)


def _reason(error: BaseException) -> str:
    if isinstance(error, (Cancelled, KeyboardInterrupt)):
        return "context canceled"
    return getattr(error, "reason", "") or (error.message if isinstance(error, EngineError) else str(error))
