"""The container of ``compose run``: a service's configuration, changed, beside its replicas."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

from runtime.compose.project import Project
from runtime.containers.create import create
from runtime.context import Context
from runtime.model.container import Container, ContainerConfig, RestartPolicy
from runtime.model.event import CancelEvent, ProgressCallback
from runtime.model.service import UpOptions
from runtime.services import labels
from runtime.services.conditions import await_dependencies
from runtime.services.replicas import replica_config
from runtime.services.report import Report
from runtime.services.resources import create_network, create_volume, ensure_images
from runtime.services.up import plan_up, up

__all__ = ["create_oneoff"]


def create_oneoff(
    ctx: Context,
    project: Project,
    service: str,
    change: Callable[[ContainerConfig], ContainerConfig],
    *,
    name: str | None = None,
    no_deps: bool = False,
    build: bool = False,
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
) -> Container:
    """Without published ports and without a restart policy, as docker compose does it; ``change`` may bring
    them back. Raises NotFound (service) and what ``up`` and ``create`` raise."""
    report = Report(progress, cancel)
    spec = project.selected([service], dependencies=False)[service]
    wanted = UpOptions(services=(service,), no_deps=True, build=build)
    if not no_deps and spec.depends_on:
        names = tuple(item.service for item in spec.depends_on if item.service in project.services)
        up(
            ctx,
            project,
            UpOptions(services=names, detach=True, no_recreate=True),
            progress=progress,
            cancel=cancel,
        )
        await_dependencies(ctx, project.name, spec, report)
    images = ensure_images(ctx, project, [spec], wanted, report)
    plan = plan_up(ctx, project, wanted, images)
    for network in plan.networks:
        create_network(ctx, project, network, report)
    for volume in plan.volumes:
        create_volume(ctx, project, volume, report)
    config = replica_config(ctx, project, spec, 1)
    config = replace(
        config,
        ports=(),
        restart=RestartPolicy(),
        labels={**config.labels, labels.ONEOFF: "True"},
    )
    report.check()
    return create(ctx, change(config), name=name or f"{project.name}-{service}-run-{secrets.token_hex(6)}")
