"""A stand-in for the engine with its verbs and no kernel: fast, and it fails on request.

These tests are about the interface; that the verbs do what they say is proved by the engine's own tests.
"""

from __future__ import annotations

import builtins
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any, cast

from runtime.containers.logs import LogEntry
from runtime.engine import Engine
from runtime.errors import Conflict, NotFound
from runtime.model.container import (
    Container,
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    Endpoint,
    PortBinding,
    Resources,
)
from runtime.model.event import Event
from runtime.model.image import HistoryEntry, Image, ImageConfig, ImageSummary
from runtime.model.network import Network
from runtime.model.stats import ContainerStats
from runtime.model.volume import Volume

NOW = 1_790_000_000_000_000_000
MIB = 1 << 20


FakeEntry = LogEntry


class FakeFollower:
    def __init__(self, lines: list[FakeEntry], start: int) -> None:
        self._lines = lines
        self._next = start
        self.closed = False

    def read_new(self, max_lines: int = 10_000) -> list[FakeEntry]:
        assert not self.closed
        found = self._lines[self._next : self._next + max_lines]
        self._next += len(found)
        return found

    def close(self) -> None:
        self.closed = True


@dataclass(frozen=True)
class FakeService:
    project: str
    service: str
    image: str
    replicas: int
    running: int
    ports: tuple[PortBinding, ...]
    containers: tuple[Container, ...]


@dataclass
class FakeWorld:
    """What there is. ``failures`` maps (verb, name) to the error that it raises; ``delay`` is how long
    every verb takes; ``calls`` is what was asked."""

    containers: dict[str, Container] = field(default_factory=dict)
    images: list[ImageSummary] = field(default_factory=list)
    networks: list[Network] = field(default_factory=list)
    volumes: list[Volume] = field(default_factory=list)
    logs: dict[str, list[FakeEntry]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    failures: dict[tuple[str, str], Exception] = field(default_factory=dict)
    load: dict[str, float] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    delay: float = 0.0
    followers: list[FakeFollower] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, reference: str) -> Container:
        for container in list(self.containers.values()):
            if reference in (container.id, container.name):
                return container
        raise NotFound(f"No such container: {reference}")

    def tell(self, kind: str, action: str, actor: str, **attributes: str) -> None:
        with self.lock:
            self.events.append(Event(len(self.events) + 1, time.time_ns(), kind, action, actor, attributes))

    def put(self, container: Container, action: str) -> None:
        self.containers[container.id] = container
        self.tell("container", action, container.id, name=container.name)

    def write(self, reference: str, line: str, stream: int = 1) -> None:
        found = self.find(reference)
        self.logs.setdefault(found.id, []).append(FakeEntry(time.time_ns(), stream, line.encode()))

    def act(self, verb: str, reference: str) -> Container:
        found = self.find(reference)
        self.calls.append((verb, found.name))
        if self.delay:
            time.sleep(self.delay)
        if (verb, found.name) in self.failures:
            raise self.failures[verb, found.name]
        return found


class _Containers:
    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    def list(self, *, all: bool = False) -> list[Container]:
        return [each for each in reversed(self._world.containers.values()) if all or each.state.status.alive]

    def get(self, reference: str) -> Container:
        return self._world.find(reference)

    def _state(self, container: Container, action: str, **state: Any) -> None:
        self._world.put(replace(container, state=replace(container.state, **state)), action)

    def start(self, reference: str) -> None:
        found = self._world.act("start", reference)
        if found.state.status.alive:
            raise Conflict(f"{found.name} is already running")
        self._state(
            found, "start", status=ContainerStatus.RUNNING, oom_killed=False, started_at=time.time_ns()
        )

    def stop(self, reference: str) -> None:
        self._state(self._world.act("stop", reference), "stop", status=ContainerStatus.EXITED, exit_code=0)

    def kill(self, reference: str) -> None:
        self._state(self._world.act("kill", reference), "kill", status=ContainerStatus.EXITED, exit_code=137)

    def restart(self, reference: str) -> None:
        self._state(self._world.act("restart", reference), "restart", status=ContainerStatus.RUNNING)

    def pause(self, reference: str) -> None:
        self._state(self._world.act("pause", reference), "pause", status=ContainerStatus.PAUSED)

    def unpause(self, reference: str) -> None:
        self._state(self._world.act("unpause", reference), "unpause", status=ContainerStatus.RUNNING)

    def remove(self, reference: str, *, force: bool = False) -> None:
        found = self._world.act("remove", reference)
        del self._world.containers[found.id]
        self._world.tell("container", "destroy", found.id, name=found.name)

    def run(self, config: ContainerConfig, *, name: str | None = None) -> Container:
        if not any(config.image in (f"{i.repository}:{i.tag}", i.repository) for i in self._world.images):
            raise NotFound(f"No such image: {config.image}", hint="tuidock image ls lists them")
        made = container(name or "fresh_one", image=config.image)
        self._world.put(made, "start")
        return made

    def inspect(self, reference: str) -> dict[str, Any]:
        found = self._world.find(reference)
        return {
            "Id": found.id,
            "Name": f"/{found.name}",
            "State": {"Status": found.state.status, "Pid": 1234},
        }

    def top(self, reference: str) -> builtins.list[dict[str, str]]:
        self._world.find(reference)
        row = {"UID": "root", "PID": "4711", "PPID": "4700", "TIME": "00:00:01", "CMD": "python3 app.py"}
        return [row]

    def stats(self, references: builtins.list[str] | None = None) -> builtins.list[ContainerStats]:
        now = time.time_ns()
        found = []
        for each in self._world.containers.values():
            if not each.state.status.alive or (references is not None and each.id not in references):
                continue
            busy = self._world.load.get(each.name, 0.02)
            found.append(
                ContainerStats(
                    container_id=each.id,
                    time=now,
                    cpu_usage=int(now * busy) - int(NOW * busy),
                    online_cpus=2,
                    memory_usage=self._world.used.get(each.name, 12 * MIB),
                    memory_limit=each.config.resources.memory or 8 << 30,
                    memory_cache=3 * MIB,
                    pids=3,
                    pids_limit=0,
                    network_rx=(now - NOW) // 100_000,
                    network_tx=(now - NOW) // 50_000,
                    block_read=4 * MIB,
                    block_write=MIB,
                )
            )
        return found

    def log_follower(
        self, reference: str, *, tail: int | None = None, since: int | None = None
    ) -> FakeFollower:
        lines = self._world.logs.setdefault(self._world.find(reference).id, [])
        start = 0
        if since is not None:
            start = sum(entry.time < since for entry in lines)
        elif tail is not None:
            start = max(len(lines) - tail, 0)
        follower = FakeFollower(lines, start)
        self._world.followers.append(follower)
        return follower


class _Images:
    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    def list(self, *, all: bool = False) -> list[ImageSummary]:
        return list(self._world.images)

    def get(self, reference: str) -> Image:
        return Image(
            id="sha256:" + "ab" * 32,
            created_at=NOW,
            architecture="amd64",
            os="linux",
            config=ImageConfig(env=("PATH=/usr/bin:/bin",)),
            layers=("sha256:1",),
            size=70 * MIB,
            history=(
                HistoryEntry(created_by="COPY . /app", size=1000),
                HistoryEntry(created_by="ENV A=1", empty_layer=True),
            ),
        )

    history = get

    def inspect(self, reference: str) -> dict[str, Any]:
        return {"RepoTags": [reference]}

    def remove(self, reference: str, *, force: bool = False) -> builtins.list[dict[str, str]]:
        self._world.calls.append(("rmi", reference))
        if ("rmi", reference) in self._world.failures:
            raise self._world.failures["rmi", reference]
        self._world.images = [i for i in self._world.images if f"{i.repository}:{i.tag}" != reference]
        self._world.tell("image", "untag", reference)
        return [{"Untagged": reference}]


class _Networks:
    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    def list(self) -> list[Network]:
        return list(self._world.networks)

    def inspect(self, reference: str) -> dict[str, Any]:
        return {"Name": reference}


class _Volumes:
    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    def list(self) -> list[Volume]:
        return list(self._world.volumes)

    def get(self, name: str) -> Volume:
        return next(volume for volume in self._world.volumes if volume.name == name)


class _Services:
    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    def status(self, project: str | None = None) -> list[FakeService]:
        groups: dict[tuple[str, str], list[Container]] = {}
        for each in self._world.containers.values():
            labels = each.config.labels
            if "com.docker.compose.service" in labels:
                key = labels["com.docker.compose.project"], labels["com.docker.compose.service"]
                groups.setdefault(key, []).append(each)
        return [
            FakeService(
                name[0],
                name[1],
                found[0].config.image,
                len(found),
                sum(each.state.status is ContainerStatus.RUNNING for each in found),
                found[0].ports,
                tuple(found),
            )
            for name, found in sorted(groups.items())
        ]

    def project_containers(self, project: str, services: tuple[str, ...] = ()) -> list[Container]:
        return [
            each
            for each in self._world.containers.values()
            if each.config.labels.get("com.docker.compose.project") == project
            and (not services or each.config.labels.get("com.docker.compose.service") in services)
        ]

    def scale_service(self, project: str, service: str, replicas: int, *, progress: object = None) -> None:
        self._world.calls.append(("scale", f"{project}/{service}={replicas}"))

    def down(self, project: str, *, progress: object = None) -> None:
        self._world.calls.append(("down", project))
        for each in self.project_containers(project):
            del self._world.containers[each.id]
        self._world.tell("network", "destroy", "net")
        self._world.tell("container", "destroy", "gone")


class _Events:
    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    @property
    def data_version(self) -> int:
        return len(self._world.events)

    def last_seq(self) -> int:
        return len(self._world.events)

    def since(self, seq: int, *, limit: int = 1000) -> list[Event]:
        return self._world.events[seq : seq + limit]


@dataclass
class _Config:
    tui: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Context:
    config: _Config = field(default_factory=_Config)


class FakeEngine:
    def __init__(self, world: FakeWorld, **tui: Any) -> None:
        self.world = world
        self.context = _Context(_Config(tui))
        self.containers = _Containers(world)
        self.images = _Images(world)
        self.networks = _Networks(world)
        self.volumes = _Volumes(world)
        self.services = _Services(world)
        self.events = _Events(world)

    @property
    def as_engine(self) -> Engine:
        return cast(Engine, self)

    def close(self) -> None:
        pass


_made = 0


def container(
    name: str,
    *,
    image: str = "base",
    status: ContainerStatus = ContainerStatus.RUNNING,
    labels: dict[str, str] | None = None,
    memory: int | None = None,
    cpus: float | None = None,
    ports: tuple[PortBinding, ...] = (),
    **state: Any,
) -> Container:
    global _made
    _made += 1
    return Container(
        id=f"{_made:064x}",
        name=name,
        image_id="sha256:" + "ab" * 32,
        created_at=NOW + _made,
        config=ContainerConfig(
            image=image,
            cmd=("python3", "app.py"),
            env=("NAME=World", "PATH=/usr/bin:/bin"),
            labels=labels or {},
            resources=Resources(cpus=cpus, memory=memory),
        ),
        layers=(),
        state=ContainerState(status=status, pid=4711, started_at=NOW, **state),
        endpoints=(
            Endpoint(
                "n1", "demo_webnet", f"172.18.0.{_made % 250 + 2}", 16, "172.18.0.1", "02:42:ac:12:00:02"
            ),
        ),
        ports=ports,
    )


def demo_world() -> FakeWorld:
    """Three replicas of a service, and three other containers in other states."""
    world = FakeWorld()
    port = PortBinding(80, "tcp", "0.0.0.0", 4000, "demo/web")
    for number in (1, 2, 3):
        labels = {
            "com.docker.compose.project": "demo",
            "com.docker.compose.service": "web",
            "com.docker.compose.container-number": str(number),
        }
        made = container(
            f"demo-web-{number}", image="demo-web", labels=labels, memory=50 * MIB, cpus=0.5, ports=(port,)
        )
        world.containers[made.id] = made
        world.used[made.name] = (11 + number) * MIB
        for i in range(40):
            world.write(made.name, f'172.18.0.1 - "GET / HTTP/1.1" 200 visit {i} of {made.name}')
    for made in (
        container("hungry", status=ContainerStatus.EXITED, exit_code=137, oom_killed=True, memory=32 * MIB),
        container("broken", status=ContainerStatus.EXITED, exit_code=3),
        container("oneshot", status=ContainerStatus.EXITED, exit_code=0),
    ):
        world.containers[made.id] = made
    world.images = [
        ImageSummary("sha256:" + "ab" * 32, "base", "latest", NOW, 118 * MIB, 3),
        ImageSummary("sha256:" + "cd" * 32, "demo-web", "latest", NOW, 119 * MIB, 3),
    ]
    world.networks = [
        Network("n0", "bridge", "bridge", NOW, "td123456-0", "172.17.0.0/16", "172.17.0.1"),
        Network("n1", "demo_webnet", "bridge", NOW, "td123456-1", "172.18.0.0/16", "172.18.0.1"),
    ]
    world.volumes = [Volume("data", NOW, "/var/lib/tuidock/volumes/data/_data")]
    return world
