"""tuidock volume rm: remove one or more volumes."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, each, pass_invocation

__all__ = ["command"]


@declare(
    "rm",
    usage="[OPTIONS] VOLUME [VOLUME...]",
    examples=[
        "tuidock volume rm data",
    ],
)
@click.option("-f", "--force", is_flag=True, help="Force the removal of one or more volumes")
@click.argument("volumes", nargs=-1, required=True)
@pass_invocation
def command(invocation: Invocation, force: bool, volumes: tuple[str, ...]) -> None:
    """Remove one or more volumes."""
    engine = invocation.engine
    each(volumes, lambda name: engine.volumes.remove(name, force=force))
