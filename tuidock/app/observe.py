"""The only reader of the engine's events and figures: one thread that posts what it saw.

It asks for the database's ``data_version`` several times a second (microseconds), reads events when that
moved and then only the nouns that the events name. Once in a while everything is read again, which also
notices containers whose monitor died without a word.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from runtime.errors import NotFound
from tuidock.app.board import Snapshot
from tuidock.app.messages import Observed, Sampled, Unreadable

if TYPE_CHECKING:
    from textual.message import Message

    from runtime.engine import Engine
    from runtime.model.container import Container

__all__ = ["Observer"]

TICK = 0.2
"""Seconds between two looks at ``data_version``."""
RECHECK = 4.0
"""Seconds after which everything is read, whatever the events say."""
SAMPLE = 1.0
"""Seconds between two samples of the rows that are looked at."""
FEW = 64
"""Up to so many running containers are all sampled every time; of more, the unseen ones are sampled
every :data:`SELDOM` seconds."""
SELDOM = 5.0

_NOUNS = {
    "container": {"containers", "services"},
    "service": {"services"},
    "image": {"images"},
    "builder": {"images"},
    "network": {"networks"},
    "volume": {"volumes"},
}
EVERYTHING = frozenset({"containers", "services", "images", "networks", "volumes"})


class Observer:
    """``start`` it once; ``stop`` ends the thread. ``wanted`` is set by the app: the ids on screen."""

    def __init__(self, engine: Engine, post: Callable[[Message], object]) -> None:
        self._engine = engine
        self._post = post
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)
        self._wake = threading.Event()
        self._stopping = False
        self._paused = False
        self._stale = True
        self.wanted: frozenset[str] = frozenset()
        self._snapshot = Snapshot()
        self._seq = 0
        self._version = -1
        self._failed = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; waits a moment for it."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(2)

    def refresh(self) -> None:
        """Look again at once, at everything."""
        self._stale = True
        self._wake.set()

    def pause(self, paused: bool) -> None:
        """While another program has the terminal nobody looks."""
        self._paused = paused
        if not paused:
            self.refresh()

    def _run(self) -> None:
        read_at = sampled_at = seldom_at = 0.0
        while not self._stopping:
            if not self._paused:
                now = time.monotonic()
                try:
                    if self._look(everything=self._stale or now - read_at >= RECHECK):
                        read_at = now
                    if now - sampled_at >= SAMPLE:
                        sampled_at = now
                        whole = now - seldom_at >= SELDOM
                        if whole:
                            seldom_at = now
                        self._sample(everything=whole)
                    self._report(None)
                except Exception as error:  # whatever it is, the user is told and we look again
                    self._report(error)
            self._wake.wait(TICK)
            self._wake.clear()

    def _report(self, error: BaseException | None) -> None:
        if (error is not None) or self._failed:
            self._failed = error is not None
            self._post(Unreadable(error))

    def _look(self, *, everything: bool) -> bool:
        """Read what has changed and post it. Says whether everything was read."""
        version = self._engine.events.data_version
        if everything:
            self._stale = False
            if self._version < 0:
                self._seq = self._engine.events.last_seq()
        elif version == self._version:
            return False
        self._version = version
        events = self._engine.events.since(self._seq)
        if events:
            self._seq = events[-1].seq
        nouns: set[str] = set(EVERYTHING) if everything or not events else set()
        for event in events:
            nouns |= _NOUNS.get(event.type, EVERYTHING)
        changed = {event.actor for event in events if event.type == "container"}
        snapshot = self._read(nouns, changed if not everything and events else None)
        if snapshot != self._snapshot or events or everything:
            self._snapshot = snapshot
            self._post(Observed(snapshot, events))
        return everything

    def _read(self, nouns: Iterable[str], changed: set[str] | None) -> Snapshot:
        """``changed``: the only containers to read, when few; None reads all."""
        engine, snapshot = self._engine, self._snapshot
        for noun in nouns:
            if noun == "containers":
                containers = self._containers(changed)
                snapshot = replace(snapshot, containers=containers)
            elif noun == "services":
                snapshot = replace(snapshot, services=tuple(engine.services.status()))
            elif noun == "images":
                snapshot = replace(snapshot, images=tuple(engine.images.list()))
            elif noun == "networks":
                snapshot = replace(snapshot, networks=tuple(engine.networks.list()))
            elif noun == "volumes":
                snapshot = replace(snapshot, volumes=tuple(engine.volumes.list()))
        return snapshot

    def _containers(self, changed: set[str] | None) -> tuple[Container, ...]:
        known = {container.id: container for container in self._snapshot.containers}
        if changed is None or len(changed) > 8 or not changed <= known.keys():
            return tuple(self._engine.containers.list(all=True))
        for container_id in changed:
            try:
                known[container_id] = self._engine.containers.get(container_id)
            except NotFound:
                del known[container_id]
        return tuple(known.values())

    def _sample(self, *, everything: bool) -> None:
        running = [c.id for c in self._snapshot.containers if c.state.status.alive]
        if len(running) > FEW and not everything:
            wanted = self.wanted
            running = [container_id for container_id in running if container_id in wanted]
        if running:
            self._post(Sampled(self._engine.containers.stats(running)))
