"""What a project's containers stand on: images, networks, volumes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from runtime.build.options import BuildOptions, Secret
from runtime.compose.project import BuildSpec, NetworkSpec, Project, ServiceSpec, VolumeSpec
from runtime.context import Context
from runtime.errors import InvalidInput, NotFound
from runtime.images.oci import host_architecture
from runtime.model.service import UpOptions
from runtime.services import labels
from runtime.services.pull import pull_image, pull_policy
from runtime.services.report import Report

__all__ = ["build_options", "create_network", "create_volume", "ensure_images", "image_ids"]

_BUILT_IN = ("bridge", "host", "none")


def image_ids(ctx: Context, services: Iterable[ServiceSpec]) -> dict[str, str]:
    """Name to id, of the services' images that exist."""
    from runtime.images.list import get_image

    found: dict[str, str] = {}
    for service in services:
        name = service.config.image
        if name not in found:
            try:
                found[name] = get_image(ctx, name).id
            except NotFound:
                continue
    return found


def ensure_images(
    ctx: Context, project: Project, services: Iterable[ServiceSpec], options: UpOptions, report: Report
) -> dict[str, str]:
    """Builds what has to be built; name to id. Raises NotFound for an image that is missing, and whatever
    the build raises."""
    chosen = list(services)
    known = image_ids(ctx, chosen)
    for service in chosen:
        report.check()
        name = service.config.image
        if service.build is not None:
            if options.build or service.pull_policy == "build" or name not in known:
                if options.no_build and name not in known:
                    raise NotFound(f"no such image: {name}", hint="leave out --no-build", subject=name)
                if not options.no_build:
                    known[name] = _build(ctx, project, service, service.build, report)
        else:
            policy = pull_policy(ctx, service, options.pull)
            if policy == "always" or name not in known:
                known[name] = pull_image(ctx, service, policy, report, quiet=options.quiet_pull)
    return known


def _build(ctx: Context, project: Project, service: ServiceSpec, spec: BuildSpec, report: Report) -> str:
    from runtime.build.build import build

    name = service.config.image
    step = f"Image {name}"
    report(step, "Building")
    result = build(ctx, build_options(project, service, spec), progress=report.forward, cancel=report.cancel)
    report(step, "Built", done=True)
    return result.image_id


def build_options(project: Project, service: ServiceSpec, spec: BuildSpec) -> BuildOptions:
    """Raises InvalidInput for a context that is no directory."""
    remote = spec.context if not spec.context.startswith("/") else ""
    context = Path(spec.context)
    if not remote and not context.is_dir():
        raise InvalidInput(
            f"service {service.name}: the build context {context} is not a directory", subject=str(context)
        )
    return BuildOptions(
        context=context,
        remote=remote,
        dockerfile=(Path(spec.dockerfile) if remote else context / spec.dockerfile)
        if spec.dockerfile
        else None,
        dockerfile_text=spec.dockerfile_inline or None,
        tags=(service.config.image, *spec.tags),
        build_args=dict(spec.args),
        target=spec.target,
        labels={labels.PROJECT: project.name, labels.SERVICE: service.name, **spec.labels},
        no_cache=spec.no_cache,
        pull=spec.pull,
        network=spec.network,
        extra_hosts=spec.extra_hosts,
        shm_size=spec.shm_size,
        build_contexts=dict(spec.additional_contexts),
        secrets=tuple(
            Secret(name, file=Path(value)) if kind == "file" else Secret(name, variable=value)
            for name, (kind, value) in spec.secrets.items()
        ),
        ssh={name: tuple(map(Path, path.split(","))) for name, path in spec.ssh.items() if path},
        no_cache_filter=spec.no_cache_filter,
        cache_from=spec.cache_from,
        cache_to=spec.cache_to,
        platform=_platform(spec.platforms),
        ulimits=spec.ulimits,
    )


def _platform(wanted: Sequence[str]) -> str:
    """This machine's when it is among them; else the first, for the build to refuse."""
    own = f"linux/{host_architecture()}"
    return "" if not wanted or own in wanted else wanted[0]


def create_network(ctx: Context, project: Project, spec: NetworkSpec, report: Report) -> None:
    """Raises NotFound for an external one that does not exist."""
    from runtime.network.create import create

    if spec.external:
        if spec.name in _BUILT_IN:
            return
        raise NotFound(
            f"network {spec.name} declared as external, but could not be found",
            hint=f"make it: tuidock network create {spec.name}",
            subject=spec.name,
        )
    step = f"Network {spec.name}"
    report(step, "Creating")
    create(
        ctx,
        spec.name,
        driver=spec.driver,
        subnet=spec.subnet,
        gateway=spec.gateway,
        internal=spec.internal,
        labels={**spec.labels, labels.PROJECT: project.name, labels.NETWORK: spec.key},
        options=spec.options,
    )
    report(step, "Created", done=True)


def create_volume(ctx: Context, project: Project, spec: VolumeSpec, report: Report) -> None:
    """Raises NotFound for an external one that does not exist."""
    from runtime.volumes.volumes import create

    if spec.external:
        raise NotFound(
            f'external volume "{spec.name}" not found',
            hint=f"make it: tuidock volume create {spec.name}",
            subject=spec.name,
        )
    step = f"Volume {spec.name}"
    report(step, "Creating")
    create(ctx, spec.name, labels={**spec.labels, labels.PROJECT: project.name, labels.VOLUME: spec.key})
    report(step, "Created", done=True)
