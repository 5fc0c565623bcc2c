"""tuidock kill: kill one or more running containers."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, each, pass_invocation

__all__ = ["command"]


@declare(
    "kill",
    usage="[OPTIONS] CONTAINER [CONTAINER...]",
    examples=[
        "tuidock kill web",
        "tuidock kill -s HUP web",
    ],
)
@click.option(
    "-s", "--signal", default="KILL", metavar="SIGNAL", help="Signal to send to the container (default KILL)"
)
@click.argument("containers", nargs=-1, required=True)
@pass_invocation
def command(invocation: Invocation, signal: str, containers: tuple[str, ...]) -> None:
    """Kill one or more running containers."""
    engine = invocation.engine
    each(containers, lambda name: engine.containers.kill(name, signal=signal))
