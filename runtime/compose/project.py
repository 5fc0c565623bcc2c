"""The model that a set of compose files comes to: everything checked, every name and path resolved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runtime.build.options import CacheStore
from runtime.errors import InvalidInput, NotFound
from runtime.model.container import ContainerConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "BuildSpec",
    "Dependency",
    "InlineFile",
    "NetworkSpec",
    "PortRange",
    "Project",
    "ServiceSpec",
    "VolumeSpec",
]

STARTED, HEALTHY, COMPLETED = "service_started", "service_healthy", "service_completed_successfully"


@dataclass(frozen=True)
class Dependency:
    """``condition`` is service_started, service_healthy or service_completed_successfully."""

    service: str
    condition: str = STARTED
    restart: bool = False
    required: bool = True


@dataclass(frozen=True)
class BuildSpec:
    """``context`` is an absolute directory, or a URL; ``dockerfile`` is relative to it or absolute, "" the
    default. Of several ``platforms`` this machine's is built."""

    context: str
    dockerfile: str = ""
    dockerfile_inline: str = ""
    args: dict[str, str] = field(default_factory=dict)
    target: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    no_cache: bool = False
    pull: bool = False
    network: str = "default"
    tags: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    shm_size: int = 64 << 20
    additional_contexts: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Id to ("file", path) or ("environment", variable)."""
    ssh: dict[str, str] = field(default_factory=dict)
    no_cache_filter: tuple[str, ...] = ()
    cache_from: tuple[CacheStore, ...] = ()
    cache_to: tuple[CacheStore, ...] = ()
    platforms: tuple[str, ...] = ()
    ulimits: tuple[str, ...] = ()


@dataclass(frozen=True)
class InlineFile:
    """A secret or config whose content stands in the compose file or in a variable: written to a file of
    ours and mounted read-only at ``target``."""

    target: str
    content: str
    mode: int = 0o444
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class PortRange:
    """``8000-8005:80``: each replica publishes the port on a host port of its own, the first on ``first``."""

    container_port: int
    first: int
    last: int
    protocol: str = "tcp"
    host_ip: str = "0.0.0.0"


@dataclass(frozen=True)
class ServiceSpec:
    """``config`` is what each replica is created from; its labels, name and inline files are added then.
    ``network_mode``, ``pid_mode`` and ``ipc_mode`` may be "service:NAME"."""

    name: str
    config: ContainerConfig
    replicas: int = 1
    build: BuildSpec | None = None
    container_name: str = ""
    depends_on: tuple[Dependency, ...] = ()
    profiles: tuple[str, ...] = ()
    pull_policy: str = ""
    platform: str = ""
    files: tuple[InlineFile, ...] = ()
    port_ranges: tuple[PortRange, ...] = ()
    volumes_from: tuple[tuple[str, bool], ...] = ()
    """Services whose mounts are taken over, and whether read-only."""
    mode: str = "replicated"
    start_first: bool = False


@dataclass(frozen=True)
class NetworkSpec:
    """``key`` is its name in the file, ``name`` the network's own."""

    key: str
    name: str
    external: bool = False
    driver: str = "bridge"
    subnet: str | None = None
    gateway: str | None = None
    internal: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class VolumeSpec:
    key: str
    name: str
    external: bool = False
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Project:
    """``services`` holds every service, also those whose profile is not active; ``document`` is the merged
    file as plain data, for ``compose config``."""

    name: str
    working_dir: str
    files: tuple[str, ...]
    services: dict[str, ServiceSpec]
    networks: dict[str, NetworkSpec] = field(default_factory=dict)
    volumes: dict[str, VolumeSpec] = field(default_factory=dict)
    profiles: tuple[str, ...] = ()
    document: dict[str, object] = field(default_factory=dict)

    def enabled(self, service: ServiceSpec) -> bool:
        """Has it no profile, or an active one?"""
        return (
            not service.profiles
            or "*" in self.profiles
            or any(profile in self.profiles for profile in service.profiles)
        )

    def selected(self, names: Iterable[str] = (), *, dependencies: bool = True) -> dict[str, ServiceSpec]:
        """The services to act on, in dependency order: the named ones (which activates their profiles), or
        all enabled ones, and with ``dependencies`` what they depend on. Raises NotFound, InvalidInput."""
        wanted = list(names)
        for name in wanted:
            if name not in self.services:
                raise NotFound(
                    f"no such service: {name}",
                    hint=f"services of {self.name}: {', '.join(self.services)}",
                    subject=name,
                )
        if not wanted:
            wanted = [name for name, service in self.services.items() if self.enabled(service)]
        chosen: dict[str, ServiceSpec] = {}
        for name in wanted:
            self._add(name, chosen, wanted, dependencies=dependencies)
        return chosen

    def _add(
        self, name: str, chosen: dict[str, ServiceSpec], wanted: list[str], *, dependencies: bool
    ) -> None:
        if name in chosen:
            return
        service = self.services[name]
        for dependency in service.depends_on:
            target = self.services.get(dependency.service)
            if target is None or not (dependencies or dependency.service in wanted):
                continue
            if not self.enabled(target) and not dependency.required and dependency.service not in wanted:
                continue
            if not self.enabled(target) and dependency.required and self.enabled(service):
                raise InvalidInput(
                    f'service "{name}" depends on "{target.name}", whose profile is not active',
                    hint=f"activate it: --profile {target.profiles[0]}",
                    subject=target.name,
                )
            self._add(dependency.service, chosen, wanted, dependencies=dependencies)
        chosen[name] = service
