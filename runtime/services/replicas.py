"""One replica: made, replaced, started, removed; with docker compose's words for each step."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from runtime.compose.project import InlineFile, PortRange, Project, ServiceSpec
from runtime.containers.create import create
from runtime.containers.remove import remove
from runtime.containers.rename import rename
from runtime.containers.start import start
from runtime.containers.stop import stop
from runtime.context import Context
from runtime.errors import Conflict, EngineError, NotFound
from runtime.model.container import Container, ContainerConfig, HealthCheck, Mount, MountType, PortBinding
from runtime.model.hashing import sha256
from runtime.model.mounts import IDMAP
from runtime.model.service import UpOptions
from runtime.services import labels
from runtime.services.plan import Action, ActionKind
from runtime.services.report import Report
from runtime.services.status import project_containers

__all__ = [
    "carry_out",
    "inline_directory",
    "remove_container",
    "replica_config",
    "stop_and_remove",
    "stop_container",
]


def carry_out(
    ctx: Context, project: Project, service: ServiceSpec, action: Action, options: UpOptions, report: Report
) -> None:
    """Do one action of the plan. Raises what the container verbs raise, and Cancelled before it begins."""
    report.check()
    step = f"Container {action.name}"
    found = action.container
    if found and action.kind in (ActionKind.KEEP, ActionKind.START) and found.name != action.name:
        rename(ctx, found.id, action.name)  # what a recreation that was interrupted did not come to
    if action.kind is ActionKind.KEEP:
        report(step, "Running", done=True)
        return
    if action.kind is ActionKind.REMOVE:
        assert action.container is not None
        stop_and_remove(ctx, action.container, report, timeout=options.timeout)
        return
    if action.kind is ActionKind.CREATE:
        report(step, "Creating")
        config = replica_config(ctx, project, service, action.number)
        reference = _create(ctx, config, action.name).id
        report(step, "Created", done=True)
    elif action.kind is ActionKind.RECREATE:
        reference = _recreate(ctx, project, service, action, options, report)
    else:
        assert action.container is not None
        reference = action.container.id
    if options.no_start:
        return
    report(step, "Starting")
    start(ctx, reference)
    report(step, "Started", done=True)


def _create(ctx: Context, config: ContainerConfig, name: str) -> Container:
    try:
        return create(ctx, config, name=name)
    except Conflict as error:
        if error.hint is None or "rename" not in error.hint:
            raise
        raise Conflict(
            error.message,
            hint=f"it is not part of the project; remove it: tuidock rm {name}",
            subject=error.subject,
        ) from error


def _recreate(
    ctx: Context, project: Project, service: ServiceSpec, action: Action, options: UpOptions, report: Report
) -> str:
    """The successor is made under a temporary name first, so that a failure leaves the old one alone."""
    old = action.container
    assert old is not None
    step = f"Container {action.name}"
    report(step, "Recreate")
    config = replica_config(ctx, project, service, action.number)
    if not options.renew_anonymous_volumes:
        config = _with_anonymous_volumes(config, old)
    new = create(ctx, config, name=f"{old.short_id}_{action.name}")
    try:
        if service.start_first and old.state.status.alive and not options.no_start:
            start(ctx, new.id)
        stop(ctx, old.id, timeout=options.timeout)
        remove(ctx, old.id, force=True, volumes=options.renew_anonymous_volumes)
    except EngineError:
        remove(ctx, new.id, force=True)
        raise
    rename(ctx, new.id, action.name)
    report(step, "Recreated", done=True)
    return new.id


def _with_anonymous_volumes(config: ContainerConfig, old: Container) -> ContainerConfig:
    """The old container's anonymous volumes where the new one would get empty ones."""
    known = {mount.target: mount for mount in config.mounts}
    kept = []
    for mount in old.config.mounts:
        anonymous = mount.type is MountType.VOLUME and len(mount.source) == 64
        if anonymous and (mount.target not in known or known[mount.target].source == ""):
            known.pop(mount.target, None)
            kept.append(mount)
    return replace(config, mounts=(*known.values(), *kept))


def replica_config(ctx: Context, project: Project, service: ServiceSpec, number: int) -> ContainerConfig:
    """The service's configuration with the replica's labels, inline files and references filled in."""
    config = service.config
    mounts = list(config.mounts)
    for file in service.files:
        source_path = str(_written(ctx, project.name, file))
        mounts.append(Mount(MountType.BIND, source_path, file.target, read_only=True, options=(IDMAP,)))
    for name, read_only in service.volumes_from:
        targets = {mount.target for mount in mounts}
        source = _first_container(ctx, project.name, name)
        for mount in source.config.mounts:
            if mount.target not in targets:
                mounts.append(replace(mount, read_only=mount.read_only or read_only))
    return replace(
        config,
        healthcheck=_healthcheck(ctx, config),
        ports=config.ports + tuple(_port_of(service, item, number) for item in service.port_ranges),
        labels=labels.container_labels(project, service, number),
        mounts=tuple(mounts),
        network_mode=_shared(ctx, project.name, config.network_mode),
        pid_mode=_shared(ctx, project.name, config.pid_mode),
        ipc_mode=_shared(ctx, project.name, config.ipc_mode),
    )


def _healthcheck(ctx: Context, config: ContainerConfig) -> HealthCheck | None:
    """One without a test changes the image's, where it has one."""
    check = config.healthcheck
    if check is None or check.test:
        return check
    from runtime.images.list import get_image

    inherited = get_image(ctx, config.image).config.healthcheck
    if inherited is None:
        return None
    default = HealthCheck(())
    return HealthCheck(
        inherited.test,
        *(
            mine if mine != usual else theirs
            for mine, usual, theirs in (
                (getattr(check, name), getattr(default, name), getattr(inherited, name))
                for name in ("interval", "timeout", "start_period", "start_interval", "retries")
            )
        ),
    )


def _port_of(service: ServiceSpec, item: PortRange, number: int) -> PortBinding:
    port = item.first + number - 1
    if port > item.last:
        raise Conflict(
            f"{service.name} has no port left for replica {number}: {item.first}-{item.last} is published",
            hint="publish a single port to balance it over all replicas, or a longer range",
            subject=service.name,
        )
    return PortBinding(item.container_port, item.protocol, item.host_ip, port)


def _shared(ctx: Context, project: str, mode: str) -> str:
    """service:NAME becomes container:ID."""
    if not mode.startswith("service:"):
        return mode
    return f"container:{_first_container(ctx, project, mode.removeprefix('service:')).id}"


def _first_container(ctx: Context, project: str, service: str) -> Container:
    found = project_containers(ctx, project, (service,))
    if not found:
        raise NotFound(
            f"service {service} has no container",
            hint=f"start it first: compose up {service}",
            subject=service,
        )
    return next((item for item in found if item.state.status.alive), found[0])


def inline_directory(ctx: Context, project: str) -> Path:
    """Where a project's secrets and configs that have no file of their own are kept (0700)."""
    return ctx.paths.state / "projects" / project


def _written(ctx: Context, project: str, file: InlineFile) -> Path:
    """The file of that content, mode and owner; made once, whole or not at all."""
    directory = inline_directory(ctx, project)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    identity = f"{file.mode:o} {file.uid} {file.gid} {file.content}"
    path = directory / sha256(identity.encode()).hex()[:32]
    if not path.exists():
        partial = path.with_name(f"{path.name}.{os.getpid()}.{id(file)}")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(file.content.encode())
            os.fchown(descriptor, file.uid, file.gid)
            os.fchmod(descriptor, file.mode)
        partial.replace(path)
    return path


def stop_and_remove(
    ctx: Context, container: Container, report: Report, *, timeout: int | None = None, volumes: bool = False
) -> None:
    """A container that is gone meanwhile counts as removed."""
    try:
        stop_container(ctx, container, report, timeout=timeout)
        remove_container(ctx, container, report, volumes=volumes)
    except NotFound:
        report(f"Container {container.name}", "Removed", done=True)


def stop_container(ctx: Context, container: Container, report: Report, *, timeout: int | None = None) -> None:
    step = f"Container {container.name}"
    if container.state.status.alive:
        report(step, "Stopping")
        stop(ctx, container.id, timeout=timeout)
    report(step, "Stopped", done=True)


def remove_container(ctx: Context, container: Container, report: Report, *, volumes: bool = False) -> None:
    step = f"Container {container.name}"
    report(step, "Removing")
    remove(ctx, container.id, force=True, volumes=volumes)
    report(step, "Removed", done=True)
