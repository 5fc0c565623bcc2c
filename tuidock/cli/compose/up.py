"""tuidock compose up: make what the files describe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tuidock.cli.command import declare, fail
from tuidock.cli.compose.target import Target, pass_target

if TYPE_CHECKING:
    from runtime.model.service import UpOptions
    from tuidock.cli.compose.merged_logs import Style

__all__ = ["command", "parse_scale"]


def parse_scale(items: Sequence[str]) -> dict[str, int]:
    """SERVICE=REPLICAS. Raises InvalidInput."""
    from runtime.errors import InvalidInput

    found: dict[str, int] = {}
    for item in items:
        service, equals, count = item.partition("=")
        if not service or not equals or not count.isdecimal():
            raise InvalidInput(f"invalid scale: {item!r}", hint="give SERVICE=REPLICAS: web=3", subject=item)
        found[service] = int(count)
    return found


@declare(
    "up",
    usage="[OPTIONS] [SERVICE...]",
    examples=[
        "tuidock compose up -d --build",
        "tuidock compose up -d --scale web=5",
        "tuidock compose up --wait",
    ],
)
@click.option(
    "--abort-on-container-exit", is_flag=True, help="Stop all containers if any container was stopped"
)
@click.option("--always-recreate-deps", is_flag=True, help="Recreate dependent containers")
@click.option("--build", is_flag=True, help="Build images before starting containers")
@click.option("-d", "--detach", is_flag=True, help="Detached mode: run containers in the background")
@click.option("--dry-run", is_flag=True, help="Print what would be done")
@click.option("--force-recreate", is_flag=True, help="Recreate containers even if nothing changed")
@click.option("--no-build", is_flag=True, help="Don't build an image, even if it's missing")
@click.option("--no-color", is_flag=True, help="Produce monochrome output")
@click.option("--no-deps", is_flag=True, help="Don't start linked services")
@click.option("--no-log-prefix", is_flag=True, help="Don't print prefix in logs")
@click.option("--no-recreate", is_flag=True, help="If containers already exist, don't recreate them")
@click.option("--no-start", is_flag=True, help="Don't start the services after creating them")
@click.option(
    "--pull",
    type=click.Choice(["always", "missing", "never"]),
    default=None,
    help="Pull image before running (each service's own policy, when not given)",
)
@click.option("--quiet-pull", is_flag=True, help="Pull without printing progress information")
@click.option("--remove-orphans", is_flag=True, help="Remove containers for services not in the compose file")
@click.option("-V", "--renew-anon-volumes", is_flag=True, help="Recreate anonymous volumes")
@click.option("--scale", multiple=True, metavar="SERVICE=N", help="Scale SERVICE to N instances")
@click.option(
    "-t", "--timeout", type=int, metavar="SECONDS", help="Timeout in seconds for container shutdown"
)
@click.option("--timestamps", is_flag=True, help="Show timestamps")
@click.option("--wait", is_flag=True, help="Wait for services to be running|healthy; implies detached mode")
@click.option("--wait-timeout", type=float, metavar="SECONDS", help="Longest time to wait")
@click.argument("services", nargs=-1)
@pass_target
def command(
    target: Target,
    abort_on_container_exit: bool,
    always_recreate_deps: bool,
    build: bool,
    detach: bool,
    dry_run: bool,
    force_recreate: bool,
    no_build: bool,
    no_color: bool,
    no_deps: bool,
    no_log_prefix: bool,
    no_recreate: bool,
    no_start: bool,
    pull: str | None,
    quiet_pull: bool,
    remove_orphans: bool,
    renew_anon_volumes: bool,
    scale: tuple[str, ...],
    timeout: int | None,
    timestamps: bool,
    wait: bool,
    wait_timeout: float | None,
    services: tuple[str, ...],
) -> None:
    """Create and start containers."""
    from runtime.errors import InvalidInput
    from runtime.model.service import UpOptions
    from tuidock.cli.compose.merged_logs import Style

    for first, second, clash in (
        ("--build", "--no-build", build and no_build),
        ("--force-recreate", "--no-recreate", force_recreate and no_recreate),
        ("--detach", "--abort-on-container-exit", detach and abort_on_container_exit),
    ):
        if clash:
            raise InvalidInput(f"{first} and {second} are incompatible", hint="leave one of them out")
    options = UpOptions(
        detach=detach or wait,
        build=build,
        no_build=no_build,
        force_recreate=force_recreate,
        no_recreate=no_recreate,
        always_recreate_deps=always_recreate_deps,
        renew_anonymous_volumes=renew_anon_volumes,
        no_deps=no_deps,
        no_start=no_start,
        services=services,
        scale=parse_scale(scale),
        wait=wait,
        wait_timeout=wait_timeout,
        timeout=timeout,
        remove_orphans=remove_orphans,
        dry_run=dry_run,
        pull=pull or "",
        quiet_pull=quiet_pull,
    )
    project = target.project
    with target.progress("Running") as (show, cancel):
        target.engine.services.up(project, options, progress=show, cancel=cancel)
    if not (options.detach or no_start or dry_run):
        style = Style(color=not no_color, prefix=not no_log_prefix, timestamps=timestamps)
        _attached(target, options, style, abort_on_container_exit)


def _attached(target: Target, options: UpOptions, style: Style, abort: bool) -> None:
    """Follow the logs until everything has ended; ctrl-C stops the containers, a second one kills them."""
    from tuidock.cli.compose.merged_logs import MergedLogs
    from tuidock.cli.compose.parallel import on_each

    merged = MergedLogs(target, options.services, style=style, tail=None)
    try:
        merged.follow(until_any_ended=abort)
        if not abort:
            return
    except KeyboardInterrupt:
        click.echo("\nGracefully stopping... (press ctrl-C again to force)", err=True)
    containers = target.engine.containers
    running = [item for item in target.containers(options.services) if item.state.status.alive]
    try:
        on_each(
            target,
            running,
            "Stopping",
            "Stopped",
            lambda name: containers.stop(name, timeout=options.timeout),
        )
    except KeyboardInterrupt:
        on_each(target, running, "Killing", "Killed", lambda name: containers.kill(name))
    if not abort:
        fail(130)
    fail(max((item.state.exit_code for item in target.containers(options.services)), default=0))
