"""tuidock compose create: creates containers for a service."""

from __future__ import annotations

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "create",
    usage="[OPTIONS] [SERVICE...]",
    examples=[
        "tuidock compose create",
    ],
)
@click.option("--build", is_flag=True, help="Build images before starting containers")
@click.option("--force-recreate", is_flag=True, help="Recreate containers even if nothing changed")
@click.option("--no-recreate", is_flag=True, help="If containers already exist, don't recreate them")
@click.argument("services", nargs=-1)
@pass_target
def command(
    target: Target, build: bool, force_recreate: bool, no_recreate: bool, services: tuple[str, ...]
) -> None:
    """Creates containers for a service."""
    from runtime.model.service import UpOptions

    options = UpOptions(
        build=build, force_recreate=force_recreate, no_recreate=no_recreate, no_start=True, services=services
    )
    project = target.project
    with target.progress("Creating") as (show, cancel):
        target.engine.services.up(project, options, progress=show, cancel=cancel)
