"""up: make what is missing, replace what changed, start what does not run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from runtime.compose.project import Project
from runtime.containers.launch import warmed
from runtime.context import Context
from runtime.model.event import CancelEvent, ProgressCallback
from runtime.model.service import UpOptions
from runtime.services import labels, resources
from runtime.services.conditions import await_dependencies, await_ready
from runtime.services.plan import Action, ActionKind, Plan, make_plan
from runtime.services.replicas import carry_out, stop_and_remove
from runtime.services.report import Report, in_parallel
from runtime.services.status import project_containers

__all__ = ["plan_up", "up"]


def up(
    ctx: Context,
    project: Project,
    options: UpOptions | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
) -> None:
    """Images, networks and volumes, then services level by level, replicas in parallel. A failure leaves what
    was made; the next ``up`` goes on from there. Raises what building and the container verbs raise."""
    chosen = options or UpOptions()
    report = Report(progress, cancel)
    services = project.selected(chosen.services, dependencies=not chosen.no_deps)
    if chosen.dry_run:
        images = resources.image_ids(ctx, services.values())
        for line in plan_up(ctx, project, chosen, images).describe():
            report("DRY-RUN", line, done=True)
        return
    images = resources.ensure_images(ctx, project, services.values(), chosen, report)
    plan = plan_up(ctx, project, chosen, images)
    for network in plan.networks:
        resources.create_network(ctx, project, network, report)
    for volume in plan.volumes:
        resources.create_volume(ctx, project, volume, report)
    _tell_orphans(ctx, project, chosen, report)
    in_parallel([_orphan(ctx, action, chosen, report) for action in plan.orphans])
    with warmed(ctx):
        for level in plan.levels:
            tasks: list[Callable[[], None]] = []
            for item in level:
                if not chosen.no_start and any(_begins(action) for action in item.actions):
                    await_dependencies(ctx, project.name, item.service, report)
                for action in item.actions:
                    tasks.append(partial(carry_out, ctx, project, item.service, action, chosen, report))
            in_parallel(tasks)
    if chosen.wait and not chosen.no_start:
        await_ready(ctx, project_containers(ctx, project.name, tuple(services)), report, chosen.wait_timeout)


def _tell_orphans(ctx: Context, project: Project, options: UpOptions, report: Report) -> None:
    """Containers whose service has left the file stay, and are named."""
    if options.remove_orphans:
        return
    names = [
        item.name
        for item in project_containers(ctx, project.name)
        if item.config.labels.get(labels.SERVICE) not in project.services
    ]
    if names:
        report(
            f"Project {project.name}",
            f"Warning: found orphan containers ({', '.join(names)}); --remove-orphans removes them",
            done=True,
        )


def _begins(action: Action) -> bool:
    return action.kind in (ActionKind.CREATE, ActionKind.RECREATE, ActionKind.START)


def _orphan(ctx: Context, action: Action, options: UpOptions, report: Report) -> Callable[[], None]:
    assert action.container is not None
    return partial(stop_and_remove, ctx, action.container, report, timeout=options.timeout)


def plan_up(ctx: Context, project: Project, options: UpOptions, images: dict[str, str]) -> Plan:
    """The plan for what exists now; nothing is changed."""
    from runtime.network.list import list_networks
    from runtime.volumes.volumes import list_volumes

    return make_plan(
        project,
        options,
        containers=project_containers(ctx, project.name),
        images=images,
        networks=[network.name for network in list_networks(ctx)],
        volumes=[volume.name for volume in list_volumes(ctx)],
    )
