"""tuidock rm: remove one or more containers."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, each, pass_invocation

__all__ = ["command"]


@declare(
    "rm",
    usage="[OPTIONS] CONTAINER [CONTAINER...]",
    examples=[
        "tuidock rm web",
        "tuidock rm -f -v web db",
    ],
)
@click.option("-f", "--force", is_flag=True, help="Force the removal of a running container (uses SIGKILL)")
@click.option("-v", "--volumes", is_flag=True, help="Remove anonymous volumes associated with the container")
@click.argument("containers", nargs=-1, required=True)
@pass_invocation
def command(invocation: Invocation, force: bool, volumes: bool, containers: tuple[str, ...]) -> None:
    """Remove one or more containers."""
    engine = invocation.engine
    each(
        containers,
        lambda name: engine.containers.remove(name, force=force, volumes=volumes),
        forgive=force,
    )
