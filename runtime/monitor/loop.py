"""A small epoll loop: descriptors with handlers, named timers."""

from __future__ import annotations

import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["READ", "WRITE", "Loop"]

READ = select.EPOLLIN
WRITE = select.EPOLLOUT


class Loop:
    """One thread, no tasks. Handlers get the event mask."""

    __slots__ = ("_epoll", "_handlers", "_masks", "_timers")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._masks: dict[int, int] = {}
        self._timers: dict[str, tuple[float, Callable[[], None]]] = {}

    def watch(self, fd: int, mask: int, handler: Callable[[int], None]) -> None:
        """Start or change; a mask of 0 keeps the descriptor and mutes it (hang-ups still come)."""
        if fd not in self._masks:
            self._epoll.register(fd, mask)
        elif self._masks[fd] != mask:
            self._epoll.modify(fd, mask)
        self._masks[fd] = mask
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """Before the descriptor is closed."""
        if self._masks.pop(fd, None) is not None:
            self._handlers.pop(fd, None)
            self._epoll.unregister(fd)

    def after(self, name: str, seconds: float, callback: Callable[[], None]) -> None:
        """Once; a timer of the same name is replaced."""
        self._timers[name] = (time.monotonic() + seconds, callback)

    def cancel(self, name: str) -> None:
        self._timers.pop(name, None)

    def turn(self) -> None:
        """Wait for something and handle it."""
        timeout = -1.0
        if self._timers:
            timeout = max(0.0, min(due for due, _ in self._timers.values()) - time.monotonic())
        for fd, mask in self._epoll.poll(timeout, 64):
            handler = self._handlers.get(fd)
            if handler is not None:
                handler(mask)
        now = time.monotonic()
        for name in [name for name, (due, _) in self._timers.items() if due <= now]:
            entry = self._timers.pop(name, None)
            if entry is not None:
                entry[1]()
