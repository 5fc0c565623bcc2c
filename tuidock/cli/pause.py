"""tuidock pause: pause all processes within one or more containers."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, each, pass_invocation

__all__ = ["command"]


@declare(
    "pause",
    usage="CONTAINER [CONTAINER...]",
    examples=[
        "tuidock pause web",
    ],
)
@click.argument("containers", nargs=-1, required=True)
@pass_invocation
def command(invocation: Invocation, containers: tuple[str, ...]) -> None:
    """Pause all processes within one or more containers."""
    each(containers, invocation.engine.containers.pause)
