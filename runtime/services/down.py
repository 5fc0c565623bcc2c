"""down: stop and remove a project's containers, its networks, and on request its volumes and images."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from functools import partial

from runtime.context import Context
from runtime.errors import Conflict, InvalidInput, NotFound
from runtime.model.container import Container
from runtime.model.event import CancelEvent, ProgressCallback
from runtime.services import labels
from runtime.services.plan import stop_levels
from runtime.services.replicas import inline_directory, remove_container, stop_container
from runtime.services.report import Report, in_parallel
from runtime.services.status import project_containers

__all__ = ["down"]


def down(
    ctx: Context,
    project_name: str,
    *,
    volumes: bool = False,
    remove_images: str | None = None,
    timeout: int | None = None,
    remove_orphans: bool = False,
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
) -> None:
    """Works from labels, without a compose file, so every container of the project goes, orphans included
    (``remove_orphans`` is docker's flag for what is always done). ``remove_images`` is None, "local" (those
    built under the project's own names) or "all". Raises InvalidInput, Cancelled."""
    if remove_images not in (None, "local", "all"):
        raise InvalidInput(f"invalid value for --rmi: {remove_images!r}", hint="give local or all")
    report = Report(progress, cancel)
    containers = project_containers(ctx, project_name, oneoff=True)
    levels = stop_levels(containers)
    for level in levels:
        in_parallel([_stop(ctx, item, report, timeout) for item in level])
    for level in levels:
        in_parallel([_remove(ctx, item, report, volumes) for item in level])
    found = _remove_networks(ctx, project_name, report)
    if volumes:
        found = _remove_volumes(ctx, project_name, report) or found
    if remove_images:
        _remove_images(ctx, project_name, containers, remove_images, report)
    shutil.rmtree(inline_directory(ctx, project_name), ignore_errors=True)
    if not containers and not found:
        report(project_name, f'Warning: No resource found to remove for project "{project_name}".', done=True)


def _stop(ctx: Context, container: Container, report: Report, timeout: int | None) -> Callable[[], None]:
    def task() -> None:
        report.check()
        try:
            stop_container(ctx, container, report, timeout=timeout)
        except NotFound:
            return

    return task


def _remove(ctx: Context, container: Container, report: Report, volumes: bool) -> Callable[[], None]:
    def task() -> None:
        try:
            remove_container(ctx, container, report, volumes=volumes)
        except NotFound:
            report(f"Container {container.name}", "Removed", done=True)

    return task


def _remove_networks(ctx: Context, project: str, report: Report) -> bool:
    """One that containers of others are on stays, and is said to."""
    from runtime.network.list import list_networks
    from runtime.network.remove import remove

    found = [network for network in list_networks(ctx) if network.labels.get(labels.PROJECT) == project]
    for network in found:
        report.check()
        _removing(report, f"Network {network.name}", partial(remove, ctx, network.name))
    return bool(found)


def _remove_volumes(ctx: Context, project: str, report: Report) -> bool:
    from runtime.volumes.volumes import list_volumes, remove

    found = [volume for volume in list_volumes(ctx) if volume.labels.get(labels.PROJECT) == project]
    for volume in found:
        report.check()
        _removing(report, f"Volume {volume.name}", partial(remove, ctx, volume.name))
    return bool(found)


def _remove_images(
    ctx: Context, project: str, containers: Iterable[Container], which: str, report: Report
) -> None:
    from runtime.images.remove import remove

    names: dict[str, None] = {}
    for item in containers:
        built = item.config.image == f"{project}-{item.config.labels.get(labels.SERVICE, '')}"
        if which == "all" or built:
            names[item.config.image] = None
    for name in names:
        report.check()
        _removing(report, f"Image {name}", partial(_discard, partial(remove, ctx, name)))


def _discard(call: Callable[[], object]) -> None:
    call()


def _removing(report: Report, step: str, remove: Callable[[], None]) -> None:
    report(step, "Removing")
    try:
        remove()
    except NotFound:
        report(step, "Removed", done=True)
    except Conflict:
        report(step, "Resource is still in use", done=True)
    else:
        report(step, "Removed", done=True)
