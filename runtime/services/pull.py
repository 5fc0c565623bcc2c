"""Images of a project's services out of registries, and into them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.compose.project import Project, ServiceSpec
from runtime.context import Context
from runtime.errors import Denied, EngineError, NotFound, Unavailable
from runtime.images.ensure import ensure_image
from runtime.images.reference import Reference
from runtime.model.event import CancelEvent, Progress, ProgressCallback
from runtime.model.quantities import parse_duration
from runtime.services.report import Report
from runtime.store.events import last_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["pull", "pull_image", "pull_policy", "push"]


def pull_policy(ctx: Context, service: ServiceSpec, asked: str = "") -> str:
    """always, missing or never. Of compose's words for how old an image may be, one of these is made."""
    policy = asked or service.pull_policy or "missing"
    if policy in ("missing", "if_not_present", "build"):
        return "missing"
    if policy in ("always", "never"):
        return policy
    text = {"daily": "1d", "weekly": "1w"}.get(policy, policy.removeprefix("every_"))
    name = Reference.parse(service.config.image).familiar()
    age = time.time_ns() - last_of(ctx.db, "image", "pull", name)
    return "always" if age > parse_duration(text, days=True) else "missing"


def pull_image(
    ctx: Context, service: ServiceSpec, policy: str, report: Report, *, quiet: bool = False
) -> str:
    """The image's id; a row of progress for the service and one for each layer. Raises NotFound, and what a
    pull raises."""
    name = service.config.image
    if policy == "never":
        raise NotFound(
            f"service {service.name}: no such image: {name}",
            hint="its pull policy is never: load, import or build it first",
            subject=name,
        )
    report(service.name, "Pulling")
    try:
        found = ensure_image(
            ctx,
            name,
            platform=service.platform,
            policy=policy,
            progress=None if quiet else _layers_only(report),
            cancel=report.cancel,
        )
    except EngineError as error:
        report(service.name, "Error", done=True)
        if isinstance(error, (NotFound, Unavailable, Denied)):
            raise NotFound(
                f"service {service.name}: no such image: {name}: {error.message}",
                hint=error.hint,
                subject=name,
            ) from error
        raise
    report(service.name, "Pulled", done=True)
    return found.id


def pull(
    ctx: Context,
    project: Project,
    services: Sequence[str] = (),
    *,
    dependencies: bool = False,
    policy: str = "",
    ignore_failures: bool = False,
    ignore_buildable: bool = False,
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
) -> None:
    """``compose pull``: always, unless a ``policy`` says otherwise. What is built and has no image of its own
    in a registry is passed over. Raises NotFound, and what a pull raises."""
    report = Report(progress, cancel)
    done: set[str] = set()
    for service in project.selected(services, dependencies=dependencies).values():
        report.check()
        name = service.config.image
        named = service.build is None or (name != f"{project.name}-{service.name}" and not ignore_buildable)
        if not named or service.pull_policy == "build":
            report(service.name, "Skipped - No image to be pulled", done=True)
            continue
        if name in done:
            report(service.name, "Skipped - Image is already being pulled", done=True)
            continue
        done.add(name)
        try:
            pull_image(ctx, service, policy or "always", report)
        except EngineError as error:
            if not ignore_failures or report.cancelled:
                raise
            report(service.name, f"Warning: {error.message}", done=True)


def push(
    ctx: Context,
    project: Project,
    services: Sequence[str] = (),
    *,
    dependencies: bool = False,
    ignore_failures: bool = False,
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
) -> None:
    """``compose push``: the images that the project builds. Raises what a push raises."""
    from runtime.images.registry.push import push as push_image

    report = Report(progress, cancel)
    for service in project.selected(services, dependencies=dependencies).values():
        report.check()
        if service.build is None:
            continue
        report(service.name, "Pushing")
        try:
            push_image(ctx, service.config.image, progress=_layers_only(report), cancel=cancel)
        except EngineError as error:
            if not ignore_failures or report.cancelled:
                raise
            report(service.name, f"Warning: {error.message}", done=True)
            continue
        report(service.name, "Pushed", done=True)


def _layers_only(report: Report) -> Callable[[Progress], None]:
    """Without the lines that a single pull prints around its layers."""
    return lambda event: report.forward(event) if event.id else None
