"""Errors inside the client: which of them are worth another try, and how long to wait before it."""

from __future__ import annotations

import random
import time

from runtime.errors import Cancelled, EngineError, Failed, Unavailable
from runtime.model.event import CancelEvent

__all__ = ["Backoff", "BadContent", "Temporary", "Unreachable", "WrongScheme", "pause"]

_SLICE = 0.05


class Temporary(Unavailable):
    """The network or the registry failed in a way that may pass. ``after``: its wish, in seconds."""

    def __init__(
        self, message: str, *, hint: str | None = None, subject: str | None = None, after: float | None = None
    ) -> None:
        super().__init__(message, hint=hint, subject=subject)
        self.after = after


class Unreachable(Temporary):
    """There was no connection at all."""


class WrongScheme(Unavailable):
    """TLS was spoken to a server that speaks plain HTTP."""


class BadContent(Failed):
    """The registry sent something other than what it had announced."""


class Backoff:
    """Counts failures in a row and waits longer after each. ``progress`` forgets them, so that a long blob
    over a bad line comes through while one that never gets on does not try for ever."""

    def __init__(self, attempts: int, first: float, longest: float) -> None:
        self._attempts = attempts
        self._first = first
        self._longest = longest
        self._failures = 0

    def progress(self) -> None:
        self._failures = 0

    def wait(self, error: EngineError, cancel: CancelEvent | None) -> None:
        """Sleep before the next try; raises ``error`` when there have been enough, or Cancelled."""
        self._failures += 1
        if not isinstance(error, Temporary) or self._failures >= self._attempts:
            raise error
        delay = min(self._longest, self._first * 2 ** (self._failures - 1))
        delay *= 0.5 + random.random() / 2
        if error.after is not None:
            delay = max(delay, min(error.after, self._longest))
        pause(delay, cancel)


def pause(seconds: float, cancel: CancelEvent | None) -> None:
    """Sleep, awake to cancellation. Raises Cancelled."""
    deadline = time.monotonic() + seconds
    while True:
        if cancel is not None and cancel.is_set():
            raise Cancelled("cancelled")
        left = deadline - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, _SLICE))
