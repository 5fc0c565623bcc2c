"""What the interface knows at this moment. Owned by the app's thread; the observer only posts to it."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.model.container import Container
    from runtime.model.image import ImageSummary
    from runtime.model.network import Network
    from runtime.model.stats import ContainerStats
    from runtime.model.volume import Volume
    from runtime.services.project import ServiceStatus

__all__ = ["Board", "History", "Rates", "Series", "Snapshot"]

KEEP = 360
"""Samples that a graph can look back on: six minutes at one a second."""


@dataclass(frozen=True)
class Snapshot:
    """The engine's objects as they were read together; ``containers`` newest first."""

    containers: tuple[Container, ...] = ()
    services: tuple[ServiceStatus, ...] = ()
    images: tuple[ImageSummary, ...] = ()
    networks: tuple[Network, ...] = ()
    volumes: tuple[Volume, ...] = ()

    def with_container(self, container: Container) -> Snapshot:
        """The same with one container put in the place of its older self."""
        swapped = tuple(container if known.id == container.id else known for known in self.containers)
        return replace(self, containers=swapped)


class Series:
    """The last :data:`KEEP` samples of one figure, four bytes each."""

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples = array("f")

    def add(self, value: float) -> None:
        self._samples.append(value)
        if len(self._samples) > 2 * KEEP:
            del self._samples[:KEEP]

    def last(self, count: int = KEEP) -> array[float]:
        return self._samples[-min(count, KEEP) :]

    def __len__(self) -> int:
        return min(len(self._samples), KEEP)


@dataclass(frozen=True)
class Rates:
    """What two samples say together: ``cpu`` in percent of a core, the rest in bytes (a second)."""

    cpu: float
    memory: float
    received: float
    sent: float
    read: float
    written: float


class History:
    """The figures of one container over time, made out of successive counters."""

    __slots__ = ("cpu", "latest", "memory", "rates", "read", "received", "sent", "written")

    def __init__(self) -> None:
        self.cpu = Series()
        self.memory = Series()
        self.received = Series()
        self.sent = Series()
        self.read = Series()
        self.written = Series()
        self.latest: ContainerStats | None = None
        self.rates: Rates | None = None

    def add(self, stats: ContainerStats) -> None:
        """A sample that is not newer than the last one is ignored. Counters that went back (the container
        was started anew) count as no use."""
        before = self.latest
        if before is not None and stats.time <= before.time:
            return
        self.latest = stats
        if before is None:
            self.memory.add(stats.memory_usage)
            return
        seconds = (stats.time - before.time) / 1e9

        def rate(new: int, old: int) -> float:
            return max(new - old, 0) / seconds

        rates = Rates(
            cpu=rate(stats.cpu_usage, before.cpu_usage) / 1e7,
            memory=stats.memory_usage,
            received=rate(stats.network_rx, before.network_rx),
            sent=rate(stats.network_tx, before.network_tx),
            read=rate(stats.block_read, before.block_read),
            written=rate(stats.block_write, before.block_write),
        )
        self.rates = rates
        self.cpu.add(rates.cpu)
        self.memory.add(rates.memory)
        self.received.add(rates.received)
        self.sent.add(rates.sent)
        self.read.add(rates.read)
        self.written.add(rates.written)


@dataclass
class Board:
    """``doing`` maps a row's key to what an action is doing to it ("stopping…") until it is done."""

    snapshot: Snapshot = field(default_factory=Snapshot)
    loaded: bool = False
    histories: dict[str, History] = field(default_factory=dict)
    doing: dict[str, str] = field(default_factory=dict)
    hide_stopped: bool = False
    now: int = 0
    by_id: dict[str, Container] = field(default_factory=dict)
    image_names: dict[str, str] = field(default_factory=dict)

    def take(self, snapshot: Snapshot, now: int) -> None:
        """Replace what is known; histories of containers that are gone go too."""
        self.snapshot = snapshot
        self.loaded = True
        self.now = now
        self.by_id = {container.id: container for container in snapshot.containers}
        self.image_names = {
            image.id: image.repository if image.tag == "latest" else f"{image.repository}:{image.tag}"
            for image in snapshot.images
            if image.repository != "<none>"
        }
        for gone in self.histories.keys() - self.by_id.keys():
            del self.histories[gone]

    def sample(self, samples: Iterable[ContainerStats]) -> None:
        for stats in samples:
            self.histories.setdefault(stats.container_id, History()).add(stats)

    def rates(self, container: Container) -> Rates | None:
        """The newest figures of a container that is alive."""
        history = self.histories.get(container.id)
        return history.rates if history is not None and container.state.status.alive else None

    def total(self, containers: Iterable[Container]) -> tuple[float, float]:
        """(CPU percent, memory bytes) of several containers together."""
        cpu = memory = 0.0
        for container in containers:
            rates = self.rates(container)
            if rates is not None:
                cpu += rates.cpu
                memory += rates.memory
        return cpu, memory

    def of_service(self, project: str, service: str = "") -> tuple[Container, ...]:
        """The project's (or one service's) containers as they are now, by name."""
        from tuidock.app.wording import service_of

        found = [
            container
            for container in self.snapshot.containers
            if service_of(container.config.labels)[0] == project
            and (not service or service_of(container.config.labels)[1] == service)
        ]
        return tuple(sorted(found, key=lambda container: container.name))

    def working(self, keys: Iterable[str], doing: str) -> None:
        for key in keys:
            self.doing[key] = doing

    def settled(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.doing.pop(key, None)

    def environment(self, container: Container) -> Mapping[str, str]:
        """The variables a container was made with, in their order."""
        return dict(pair.partition("=")[::2] for pair in container.config.env)
