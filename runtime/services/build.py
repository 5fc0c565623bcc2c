"""build: the images of a project's services, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runtime.build.options import Output
from runtime.compose.project import Project
from runtime.context import Context
from runtime.model.event import CancelEvent, ProgressCallback
from runtime.services.report import Report
from runtime.services.resources import build_options

__all__ = ["build"]


def build(
    ctx: Context,
    project: Project,
    services: Sequence[str] = (),
    *,
    build_args: Mapping[str, str],
    no_cache: bool = False,
    pull: bool = False,
    push: bool = False,
    dependencies: bool = False,
    memory: int | None = None,
    ssh: Mapping[str, tuple[Path, ...]] | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
) -> dict[str, str]:
    """Name to id of what was built; services without a ``build`` are passed over. Raises NotFound (service)
    and what the build raises."""
    from runtime.build.build import build as build_image

    report = Report(progress, cancel)
    built: dict[str, str] = {}
    for service in project.selected(services, dependencies=dependencies).values():
        if service.build is None:
            continue
        report.check()
        options = build_options(project, service, service.build)
        options = replace(
            options,
            build_args={**options.build_args, **build_args},
            no_cache=options.no_cache or no_cache,
            pull=options.pull or pull,
            resources=replace(options.resources, memory=memory),
            ssh={**options.ssh, **(ssh or {})},
            outputs=(Output("image", push=True),) if push else (),
        )
        name = service.config.image
        report(f"Image {name}", "Building")
        built[name] = build_image(ctx, options, progress=report.forward, cancel=cancel).image_id
        report(f"Image {name}", "Built", done=True)
    return built
