"""scale: more or fewer replicas of a service, from its compose file or from the replicas that exist."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from runtime.compose.project import Project
from runtime.containers.create import create
from runtime.containers.start import start
from runtime.context import Context
from runtime.errors import InvalidInput, NotFound
from runtime.model.container import Container, ContainerConfig, MountType
from runtime.model.event import CancelEvent, ProgressCallback
from runtime.model.hashing import sha256
from runtime.model.service import UpOptions
from runtime.services import labels
from runtime.services.replicas import stop_and_remove
from runtime.services.report import Report, in_parallel
from runtime.services.status import project_containers
from runtime.services.up import up

__all__ = ["scale", "scale_service", "template"]


def scale(
    ctx: Context,
    project: Project,
    replicas: Mapping[str, int],
    *,
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
) -> None:
    """``replicas`` by service; what runs is not recreated. Raises NotFound (service), InvalidInput."""
    for name, count in replicas.items():
        _checked(name, count)
    options = UpOptions(
        services=tuple(replicas), scale=dict(replicas), no_recreate=True, no_deps=True, detach=True
    )
    up(ctx, project, options, progress=progress, cancel=cancel)


def _checked(service: str, count: int) -> None:
    if count < 0:
        raise InvalidInput(
            f"{service} cannot have {count} replicas", hint="give a whole number, 0 or more", subject=service
        )


def scale_service(
    ctx: Context,
    project_name: str,
    service: str,
    replicas: int,
    *,
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
) -> None:
    """New replicas are copies of what the newest one was made from; the highest numbers go first. Raises
    NotFound when no container of the service is left to copy."""
    _checked(service, replicas)
    report = Report(progress, cancel)
    with _turn(ctx, project_name, service, report):
        _scale_copies(ctx, project_name, service, replicas, report)


def _scale_copies(ctx: Context, project_name: str, service: str, replicas: int, report: Report) -> None:
    existing = project_containers(ctx, project_name, (service,))
    if not existing:
        raise NotFound(
            f"service {service} of project {project_name} has no container",
            hint="bring it up from its compose file: tuidock compose up -d",
            subject=service,
        )
    tasks: list[Callable[[], None]] = [
        partial(stop_and_remove, ctx, item, report) for item in reversed(existing[replicas:])
    ]
    tasks += [partial(_started, ctx, item, report) for item in existing[:replicas]]
    missing = replicas - len(existing)
    if missing > 0:
        source = max(existing, key=lambda item: item.created_at)
        _check_name(source, project_name, service, replicas)
        taken = {labels.number(item) for item in existing}
        free = [number for number in range(1, replicas + len(taken) + 1) if number not in taken]
        config = template(source)
        tasks += [
            partial(_added, ctx, config, project_name, service, number, report) for number in free[:missing]
        ]
    report.check()
    in_parallel(tasks)


@contextmanager
def _turn(ctx: Context, project: str, service: str, report: Report) -> Iterator[None]:
    """One scaling of a service at a time, whoever asks: a key pressed twice is two steps, not a clash. The
    kernel drops the lock with its owner (flock(2))."""
    directory = ctx.paths.run / "services"
    directory.mkdir(mode=0o700, exist_ok=True)
    name = sha256(f"{project}/{service}".encode()).hex()[:32]
    with (directory / name).open("w") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                report.check()
                time.sleep(0.02)
        yield


def _check_name(source: Container, project: str, service: str, replicas: int) -> None:
    if source.name != labels.container_name(project, service, labels.number(source)):
        raise InvalidInput(
            f"{service} cannot have {replicas} replicas: it has the container_name {source.name}",
            hint="remove container_name from the compose file",
            subject=service,
        )


def template(container: Container) -> ContainerConfig:
    """What the container was made from, without what belongs to it alone: its host name when that is its id,
    its anonymous volumes and its inherited number."""
    config = container.config
    mounts = tuple(
        replace(mount, source="") if mount.type is MountType.VOLUME and len(mount.source) == 64 else mount
        for mount in config.mounts
    )
    networks = tuple(replace(item, ipv4_address=None) for item in config.networks)
    return replace(
        config,
        hostname="" if config.hostname == container.short_id else config.hostname,
        # An empty entrypoint was merged already; ("",) keeps the image's from coming back.
        entrypoint=config.entrypoint or ("",),
        mounts=mounts,
        networks=networks,
    )


def _started(ctx: Context, container: Container, report: Report) -> None:
    report.check()
    step = f"Container {container.name}"
    if container.state.status.alive:
        report(step, "Running", done=True)
        return
    report(step, "Starting")
    start(ctx, container.id)
    report(step, "Started", done=True)


def _added(
    ctx: Context, config: ContainerConfig, project: str, service: str, number: int, report: Report
) -> None:
    report.check()
    name = labels.container_name(project, service, number)
    report(f"Container {name}", "Creating")
    made = create(ctx, replace(config, labels={**config.labels, labels.NUMBER: str(number)}), name=name)
    report(f"Container {name}", "Created", done=True)
    report(f"Container {name}", "Starting")
    start(ctx, made.id)
    report(f"Container {name}", "Started", done=True)
