"""tuidock compose down: stop and remove containers, networks."""

from __future__ import annotations

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "down",
    usage="[OPTIONS]",
    examples=[
        "tuidock compose down",
        "tuidock compose -p demo down -v --rmi local",
    ],
)
@click.option(
    "--remove-orphans", is_flag=True, help="Remove containers for services not defined in the compose file"
)
@click.option("--rmi", type=click.Choice(["local", "all"]), help="Remove images used by services")
@click.option("-t", "--timeout", type=int, metavar="SECONDS", help="Specify a shutdown timeout in seconds")
@click.option(
    "-v", "--volumes", is_flag=True, help="Remove named volumes and anonymous volumes of containers"
)
@pass_target
def command(
    target: Target, remove_orphans: bool, rmi: str | None, timeout: int | None, volumes: bool
) -> None:
    """Stop and remove containers, networks."""
    with target.progress("Running") as (show, cancel):
        target.engine.services.down(
            target.name,
            volumes=volumes,
            remove_images=rmi,
            timeout=timeout,
            remove_orphans=remove_orphans,
            progress=show,
            cancel=cancel,
        )
