"""What runs of a project, from the containers' labels."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.containers.list import list_containers
from runtime.context import Context
from runtime.model.container import Container, ContainerStatus
from runtime.model.service import ServiceStatus
from runtime.services import labels

__all__ = ["project_containers", "status"]


def status(ctx: Context, project_name: str | None = None) -> list[ServiceStatus]:
    """A row a service, by project and name; one-off containers are left out."""
    groups: dict[tuple[str, str], list[Container]] = {}
    for item in list_containers(ctx, all=True):
        project = item.config.labels.get(labels.PROJECT)
        if project and labels.is_replica(item) and project_name in (None, project):
            groups.setdefault((project, item.config.labels[labels.SERVICE]), []).append(item)
    return [_row(project, service, found) for (project, service), found in sorted(groups.items())]


def _row(project: str, service: str, found: list[Container]) -> ServiceStatus:
    ordered = sorted(found, key=labels.number)
    ports = {
        (port.host_ip, port.host_port, port.container_port, port.protocol): port
        for item in ordered
        for port in item.ports
    }
    return ServiceStatus(
        project=project,
        service=service,
        image=ordered[-1].config.image,
        replicas=len(ordered),
        running=sum(item.state.status is ContainerStatus.RUNNING for item in ordered),
        ports=tuple(ports.values()),
        containers=tuple(ordered),
    )


def project_containers(
    ctx: Context, project_name: str, services: Sequence[str] = (), *, oneoff: bool = False
) -> list[Container]:
    """Running or not, by service and number; with ``oneoff`` those of ``compose run`` too."""
    found = [
        item
        for item in list_containers(ctx, all=True)
        if item.config.labels.get(labels.PROJECT) == project_name
        and (oneoff or labels.is_replica(item))
        and (not services or item.config.labels.get(labels.SERVICE) in services)
    ]
    return sorted(found, key=lambda item: (item.config.labels.get(labels.SERVICE, ""), labels.number(item)))
