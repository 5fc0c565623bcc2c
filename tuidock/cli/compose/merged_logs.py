"""Several containers' logs as one stream, each line with its container's name before it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuidock.cli.compose.target import NUMBER, service_of
from tuidock.cli.output import timestamp_rfc3339

if TYPE_CHECKING:
    from runtime.containers.logs import LogEntry, LogFollower
    from runtime.model.container import Container
    from tuidock.cli.compose.target import Target

__all__ = ["MergedLogs", "Style"]

_LOOK_AGAIN = 0.5
"""Seconds between two looks for containers that are new or have ended."""
_SETTLE = 0.02
"""Seconds after its exit file until a container's row tells of the end."""
_COLORS = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")


@dataclass(frozen=True)
class Style:
    """``color`` is of the prefix, and only in a terminal without NO_COLOR."""

    color: bool = True
    prefix: bool = True
    timestamps: bool = False


class MergedLogs:
    """A follower a container and one watch for all: no thread, no polling, no memory beyond what is new."""

    def __init__(
        self,
        target: Target,
        services: Sequence[str] = (),
        *,
        style: Style = Style(),
        index: int | None = None,
        tail: int | None = None,
        since: int | None = None,
        until: int | None = None,
    ) -> None:
        self._target = target
        self._services = services
        self._style = style
        self._index = index
        self._tail, self._since, self._until = tail, since, until
        self._followers: dict[str, LogFollower] = {}
        self._prefixes: dict[str, bytes] = {}
        self._color = style.color and sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._width = 0

    def show(self) -> None:
        """What there is, once."""
        self._join(self._containers())
        while self._print_new():
            pass
        self._print_rest()

    def follow(self, *, until_any_ended: bool = False) -> None:
        """Until every container has ended, or the first one; new ones join."""
        from contextlib import closing

        of_them = all if until_any_ended else any
        alive = True
        looked = 0.0
        with closing(self._target.engine.containers.log_watch()) as watch:
            while True:
                now = time.monotonic()
                if now - looked >= _LOOK_AGAIN:
                    looked = now
                    found = self._containers()
                    for container_id in self._join(found):
                        watch.add(container_id)
                    alive = bool(found) and of_them(item.state.status.alive for item in found)
                if self._print_new():
                    continue
                if not alive:
                    self._print_rest()
                    return
                if b"exit" in watch.wait(max(0.0, looked + _LOOK_AGAIN - time.monotonic())):
                    looked = min(looked, time.monotonic() - _LOOK_AGAIN + _SETTLE)

    def _containers(self) -> list[Container]:
        found = self._target.containers(self._services)
        if self._index is not None:
            found = [item for item in found if item.config.labels.get(NUMBER) == str(self._index)]
        return found

    def _join(self, found: Sequence[Container]) -> list[str]:
        """Follow those that are new; their ids."""
        from runtime.errors import NotFound

        names = {item.id: f"{service_of(item)}-{item.config.labels.get(NUMBER, '1')}" for item in found}
        self._width = max([self._width, *(len(name) for name in names.values())])
        new = []
        for item in found:
            if item.id not in self._followers:
                try:
                    self._followers[item.id] = self._target.engine.containers.log_follower(
                        item.id, tail=self._tail, since=self._since
                    )
                except NotFound:  # removed meanwhile
                    continue
                new.append(item.id)
            self._prefixes[item.id] = self._prefix(names[item.id], item.id)
        return new

    def _prefix(self, name: str, container_id: str) -> bytes:
        if not self._style.prefix:
            return b""
        text = f"{name:<{self._width}}  | "
        if self._color:
            place = list(self._followers).index(container_id)
            text = f"\x1b[{_COLORS[place % len(_COLORS)]}m{text}\x1b[0m"
        return text.encode()

    def _print_new(self) -> bool:
        """Lines that came, by time; False when there were none."""
        batch = [(key, entry) for key, follower in self._followers.items() for entry in follower.read_new()]
        self._print(batch)
        return bool(batch)

    def _print_rest(self) -> None:
        """Unfinished last lines."""
        self._print([(key, entry) for key, follower in self._followers.items() for entry in follower.rest()])

    def _print(self, batch: list[tuple[str, LogEntry]]) -> None:
        batch.sort(key=lambda item: item[1].time)
        out: list[bytes] = []
        for key, entry in batch:
            if (self._since is not None and entry.time < self._since) or (
                self._until is not None and entry.time > self._until
            ):
                continue
            stamp = timestamp_rfc3339(entry.time).encode() + b" " if self._style.timestamps else b""
            out.append(b"".join((self._prefixes[key], stamp, entry.line, b"\n")))
        if out:
            sys.stdout.buffer.write(b"".join(out))
            sys.stdout.buffer.flush()
