"""tuidock compose run: a one-off command with a service's configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from tuidock.cli.command import declare, fail
from tuidock.cli.compose.target import Target, pass_target

if TYPE_CHECKING:
    from runtime.model.container import ContainerConfig

__all__ = ["command"]


@declare(
    "run",
    usage="[OPTIONS] SERVICE [COMMAND] [ARG...]",
    examples=["tuidock compose run --rm web python3 manage.py migrate"],
    interspersed=False,
)
@click.option("--build", is_flag=True, help="Build image before starting container")
@click.option("-d", "--detach", is_flag=True, help="Run container in background and print container ID")
@click.option("--entrypoint", metavar="COMMAND", help="Override the entrypoint of the image")
@click.option("-e", "--env", multiple=True, metavar="NAME[=VALUE]", help="Set environment variables")
@click.option(
    "-i/-I", "--interactive/--no-interactive", default=True, help="Keep STDIN open even if not attached"
)
@click.option(
    "-l", "--label", "labels", multiple=True, metavar="NAME[=VALUE]", help="Add or override a label"
)
@click.option("--name", metavar="NAME", help="Assign a name to the container")
@click.option("-T", "--no-TTY", "no_tty", is_flag=True, help="Disable pseudo-TTY allocation")
@click.option("--no-deps", is_flag=True, help="Don't start linked services")
@click.option(
    "-p", "--publish", multiple=True, metavar="PORTS", help="Publish a container's port(s) to the host"
)
@click.option("--rm", is_flag=True, help="Automatically remove the container when it exits")
@click.option("--service-ports", is_flag=True, help="Run command with all service's ports enabled")
@click.option("-u", "--user", metavar="USER[:GROUP]", help="Run as specified username or uid")
@click.option("-v", "--volume", multiple=True, metavar="MOUNT", help="Bind mount a volume")
@click.option("-w", "--workdir", metavar="DIR", help="Working directory inside the container")
@click.argument("service")
@click.argument("argv", nargs=-1, type=click.UNPROCESSED)
@pass_target
def command(
    target: Target,
    /,
    build: bool,
    detach: bool,
    service: str,
    argv: tuple[str, ...],
    name: str | None,
    no_deps: bool,
    no_tty: bool,
    interactive: bool,
    rm: bool,
    service_ports: bool,
    **options: object,
) -> None:
    """Run a one-off command on a service."""
    from tuidock.cli.container_config import build as parse_options
    from tuidock.cli.terminal import bridge

    project = target.project
    wanted = parse_options("", argv, {**options, "rm": rm, "detach": detach})
    tty = not no_tty and not detach and os.isatty(0) and os.isatty(1)
    ports = project.selected([service], dependencies=False)[service].config.ports if service_ports else ()

    def change(config: ContainerConfig) -> ContainerConfig:
        changed = _changed(config, wanted, options)
        return replace(
            changed,
            tty=tty,
            open_stdin=interactive and not detach,
            stdin_once=interactive and not detach,
            auto_remove=rm,
            ports=(*ports, *wanted.ports),
        )

    engine = target.engine
    with target.progress("Running") as (show, cancel):
        container = engine.services.create_oneoff(
            project, service, change, name=name, no_deps=no_deps, build=build, progress=show, cancel=cancel
        )
    if detach:
        engine.containers.start(container.id)
        click.echo(container.id)
        return
    session = engine.containers.start(container.id, attach=True, attach_stdin=interactive)
    assert session is not None
    fail(bridge(session, stdin=interactive))


def _changed(
    config: ContainerConfig, wanted: ContainerConfig, options: Mapping[str, object]
) -> ContainerConfig:
    """The service's configuration with what the command line says over it."""
    names = {item.partition("=")[0] for item in wanted.env}
    targets = {mount.target for mount in wanted.mounts}
    return replace(
        config,
        entrypoint=wanted.entrypoint if options.get("entrypoint") is not None else config.entrypoint,
        cmd=wanted.cmd or (() if options.get("entrypoint") is not None else config.cmd),
        env=(*(item for item in config.env if item.partition("=")[0] not in names), *wanted.env),
        labels={**config.labels, **wanted.labels},
        user=wanted.user or config.user,
        working_dir=wanted.working_dir or config.working_dir,
        mounts=(*(mount for mount in config.mounts if mount.target not in targets), *wanted.mounts),
    )
