"""Services: what ``up`` is asked for, and what runs of a project."""

from __future__ import annotations

from dataclasses import field

from runtime.model.container import Container, PortBinding
from runtime.model.record import record

__all__ = ["ServiceStatus", "UpOptions"]


@record
class ServiceStatus:
    """One service of one project. ``replicas`` counts its containers, ``running`` those that run; ``ports``
    are the bindings in force, each once."""

    project: str
    service: str
    image: str
    replicas: int
    running: int
    ports: tuple[PortBinding, ...] = ()
    containers: tuple[Container, ...] = ()


@record
class UpOptions:
    """``docker compose up``'s flags. ``services`` empty means all; ``scale`` overrides replicas by service;
    ``timeout`` (seconds) is for stopping what is recreated; ``wait`` returns when everything is healthy,
    running or has completed with 0, and fails after ``wait_timeout`` seconds."""

    detach: bool = False
    build: bool = False
    no_build: bool = False
    force_recreate: bool = False
    no_recreate: bool = False
    always_recreate_deps: bool = False
    renew_anonymous_volumes: bool = False
    no_deps: bool = False
    no_start: bool = False
    services: tuple[str, ...] = ()
    scale: dict[str, int] = field(default_factory=dict)
    wait: bool = False
    wait_timeout: float | None = None
    timeout: int | None = None
    remove_orphans: bool = False
    dry_run: bool = False
    quiet_pull: bool = False
    pull: str = ""
    """always, missing or never: instead of each service's own policy."""
