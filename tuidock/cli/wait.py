"""tuidock wait: block until one or more containers stop, then print their exit codes."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, each, pass_invocation

__all__ = ["command"]


@declare(
    "wait",
    usage="CONTAINER [CONTAINER...]",
    examples=[
        "tuidock wait job",
    ],
)
@click.argument("containers", nargs=-1, required=True)
@pass_invocation
def command(invocation: Invocation, containers: tuple[str, ...]) -> None:
    """Block until one or more containers stop, then print their exit codes."""
    engine = invocation.engine
    each(containers, lambda name: str(engine.containers.wait(name)))
