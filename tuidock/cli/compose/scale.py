"""tuidock compose scale: scale services."""

from __future__ import annotations

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "scale",
    usage="[OPTIONS] SERVICE=REPLICAS...",
    examples=[
        "tuidock compose scale web=5",
        "tuidock compose -p demo scale web=2",
    ],
)
@click.option("--no-deps", is_flag=True, help="Don't start linked services")
@click.argument("replicas", nargs=-1, required=True)
@pass_target
def command(target: Target, no_deps: bool, replicas: tuple[str, ...]) -> None:
    """Scale services."""
    from tuidock.cli.compose.up import parse_scale

    wanted = parse_scale(replicas)
    services = target.engine.services
    if target.has_files:
        project = target.project
        with target.progress("Running") as (show, cancel):
            services.scale(project, wanted, progress=show, cancel=cancel)
        return
    name = target.name
    with target.progress("Running") as (show, cancel):
        for service, count in wanted.items():
            services.scale_service(name, service, count, progress=show, cancel=cancel)
