"""From a project and what exists to the actions that make the one of the other; pure, printable, in order.

A replica is recreated when its configuration or its image changed, started when it does not run, and kept
otherwise; too many replicas lose the highest numbers, too few get the lowest free ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from runtime.compose.project import NetworkSpec, Project, ServiceSpec, VolumeSpec
from runtime.errors import InvalidInput
from runtime.model.container import Container, ContainerStatus, MountType
from runtime.model.service import UpOptions
from runtime.services import labels

__all__ = ["Action", "ActionKind", "Plan", "ServicePlan", "levels", "make_plan", "stop_levels"]


class ActionKind(StrEnum):
    CREATE = "create"
    RECREATE = "recreate"
    START = "start"
    KEEP = "keep"
    REMOVE = "remove"


@dataclass(frozen=True)
class Action:
    """``container`` is what exists (all kinds but CREATE); ``reason`` says why, for ``--dry-run``."""

    kind: ActionKind
    service: str
    number: int
    name: str
    container: Container | None = None
    reason: str = ""

    def describe(self) -> str:
        return f"{self.kind} {self.name}" + (f" ({self.reason})" if self.reason else "")


@dataclass(frozen=True)
class ServicePlan:
    service: ServiceSpec
    actions: tuple[Action, ...]


@dataclass(frozen=True)
class Plan:
    """``levels`` are services that do not depend on each other; a level is done after those before it."""

    networks: tuple[NetworkSpec, ...]
    volumes: tuple[VolumeSpec, ...]
    levels: tuple[tuple[ServicePlan, ...], ...]
    orphans: tuple[Action, ...]

    def describe(self) -> list[str]:
        """A line for each thing that would be done."""
        lines = [f"create network {network.name}" for network in self.networks]
        lines += [f"create volume {volume.name}" for volume in self.volumes]
        lines += [action.describe() for action in self.orphans]
        for level in self.levels:
            for plan in level:
                lines += [action.describe() for action in plan.actions if action.kind is not ActionKind.KEEP]
        return lines


def make_plan(
    project: Project,
    options: UpOptions,
    *,
    containers: Sequence[Container],
    images: Mapping[str, str],
    networks: Iterable[str] = (),
    volumes: Iterable[str] = (),
) -> Plan:
    """``containers`` are the project's; ``images`` maps an image's name to its id, where it exists;
    ``networks`` and ``volumes`` name those that exist. Raises NotFound, InvalidInput."""
    chosen = project.selected(options.services, dependencies=not options.no_deps)
    for name in options.scale:
        if name not in project.services:
            raise InvalidInput(
                f"cannot scale {name}: no such service in {project.name}",
                hint=f"services: {', '.join(project.services)}",
                subject=name,
            )
    recreated: set[str] = set()
    plans: dict[str, ServicePlan] = {}
    for name, service in chosen.items():
        own = [item for item in containers if item.config.labels.get(labels.SERVICE) == name]
        bound = _shared_with(service)
        stale = any(
            item.service in recreated
            and (item.restart or item.service in bound or options.always_recreate_deps)
            for item in service.depends_on
        )
        actions = _service_actions(
            project, service, own, options, images.get(service.config.image, ""), stale
        )
        if any(action.kind is ActionKind.RECREATE for action in actions):
            recreated.add(name)
        plans[name] = ServicePlan(service, actions)
    missing_networks = set(_used_networks(chosen.values())) - set(networks)
    missing_volumes = set(_used_volumes(chosen.values())) - set(volumes)
    return Plan(
        networks=tuple(spec for spec in project.networks.values() if spec.name in missing_networks),
        volumes=tuple(spec for spec in project.volumes.values() if spec.name in missing_volumes),
        levels=tuple(tuple(plans[item.name] for item in level) for level in levels(chosen)),
        orphans=tuple(_orphans(project, containers)) if options.remove_orphans else (),
    )


def _shared_with(service: ServiceSpec) -> set[str]:
    """Services whose namespaces or volumes it lives in: a new container of theirs has new ones."""
    modes = (service.config.network_mode, service.config.pid_mode, service.config.ipc_mode)
    found = {mode.removeprefix("service:") for mode in modes if mode.startswith("service:")}
    return found | {name for name, _ in service.volumes_from}


def _service_actions(
    project: Project,
    service: ServiceSpec,
    existing: Sequence[Container],
    options: UpOptions,
    image_id: str,
    stale: bool,
) -> tuple[Action, ...]:
    wanted = options.scale.get(service.name, service.replicas)
    if wanted < 0:
        raise InvalidInput(f"{service.name} cannot have {wanted} replicas", subject=service.name)
    if service.container_name and wanted > 1:
        raise InvalidInput(
            f"{service.name} cannot have {wanted} replicas: container_name is {service.container_name}",
            hint="remove container_name from the compose file",
            subject=service.name,
        )
    ordered = sorted(existing, key=lambda item: (labels.number(item), item.created_at))
    actions = [
        _existing_action(service, item, options, image_id, stale, project) for item in ordered[:wanted]
    ]
    taken = {labels.number(item) for item in ordered[:wanted]}
    free = (number for number in range(1, wanted + len(taken) + 1) if number not in taken)
    for _ in range(wanted - len(ordered[:wanted])):
        replica = next(free)
        actions.append(
            Action(ActionKind.CREATE, service.name, replica, _replica_name(project, service, replica))
        )
    extra = [
        Action(ActionKind.REMOVE, service.name, labels.number(item), item.name, item, "scaled down")
        for item in reversed(ordered[wanted:])
    ]
    return (*extra, *actions)


def _replica_name(project: Project, service: ServiceSpec, replica: int) -> str:
    return service.container_name or labels.container_name(project.name, service.name, replica)


def _existing_action(
    service: ServiceSpec,
    container: Container,
    options: UpOptions,
    image_id: str,
    stale: bool,
    project: Project,
) -> Action:
    replica = labels.number(container) or 1
    reason = _why_recreate(service, container, options, image_id, stale)
    if reason:
        name = _replica_name(project, service, replica)
        return Action(ActionKind.RECREATE, service.name, replica, name, container, reason)
    running = container.state.status in (
        ContainerStatus.RUNNING,
        ContainerStatus.RESTARTING,
        ContainerStatus.PAUSED,
    )
    kind = ActionKind.KEEP if running else ActionKind.START
    name = container.name
    if re.fullmatch(r"[0-9a-f]{12}_.+", name):  # made to replace another one, and never renamed
        name = _replica_name(project, service, replica)
    return Action(kind, service.name, replica, name, container)


def _why_recreate(
    service: ServiceSpec, container: Container, options: UpOptions, image_id: str, stale: bool
) -> str:
    if container.state.status in (ContainerStatus.DEAD, ContainerStatus.REMOVING):
        return "it is dead"
    if options.force_recreate:
        return "as asked"
    if options.no_recreate:
        return ""
    if container.config.labels.get(labels.CONFIG_HASH) != labels.config_hash(service):
        return "its configuration changed"
    if image_id and container.image_id != image_id:
        return "its image changed"
    return "a service that it depends on is recreated" if stale else ""


def _orphans(project: Project, containers: Sequence[Container]) -> list[Action]:
    return [
        Action(
            ActionKind.REMOVE,
            item.config.labels.get(labels.SERVICE, ""),
            labels.number(item),
            item.name,
            item,
            "its service is not in the project",
        )
        for item in containers
        if item.config.labels.get(labels.SERVICE) not in project.services
    ]


def _used_networks(services: Iterable[ServiceSpec]) -> list[str]:
    return [item.network for service in services for item in service.config.networks]


def _used_volumes(services: Iterable[ServiceSpec]) -> list[str]:
    return [
        mount.source
        for service in services
        for mount in service.config.mounts
        if mount.type is MountType.VOLUME and mount.source
    ]


def levels(services: Mapping[str, ServiceSpec]) -> list[list[ServiceSpec]]:
    """``services`` (in dependency order) by their distance from what depends on nothing."""
    depth: dict[str, int] = {}
    for name, service in services.items():
        below = [depth[item.service] for item in service.depends_on if item.service in depth]
        depth[name] = max(below, default=-1) + 1
    return _by_depth({name: (depth[name], service) for name, service in services.items()})


def stop_levels(containers: Sequence[Container]) -> list[list[Container]]:
    """A project's containers, those first that nothing else depends on, by their labels."""
    needs: dict[str, set[str]] = {}
    for item in containers:
        service = item.config.labels.get(labels.SERVICE, "")
        needs.setdefault(service, set()).update(labels.dependencies(item.config.labels))
    depth: dict[str, int] = {}

    def measure(service: str, seen: frozenset[str]) -> int:
        if service not in depth:
            below = [
                measure(other, seen | {service})
                for other in needs[service]
                if other in needs and other not in seen
            ]
            depth[service] = max(below, default=-1) + 1
        return depth[service]

    found: list[list[Container]] = []
    for item in containers:
        at = measure(item.config.labels.get(labels.SERVICE, ""), frozenset())
        while len(found) <= at:
            found.append([])
        found[at].append(item)
    return [level for level in reversed(found) if level]


def _by_depth(services: Mapping[str, tuple[int, ServiceSpec]]) -> list[list[ServiceSpec]]:
    found: list[list[ServiceSpec]] = []
    for at, service in services.values():
        while len(found) <= at:
            found.append([])
        found[at].append(service)
    return found
