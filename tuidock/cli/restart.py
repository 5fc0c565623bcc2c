"""tuidock restart: restart one or more containers."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, each, pass_invocation

__all__ = ["command"]


@declare(
    "restart",
    usage="[OPTIONS] CONTAINER [CONTAINER...]",
    examples=[
        "tuidock restart web",
    ],
)
@click.option("-s", "--signal", metavar="SIGNAL", help="Signal to send to the container")
@click.option(
    "-t",
    "--timeout",
    "--time",
    type=int,
    metavar="SECONDS",
    help="Seconds to wait before killing the container",
)
@click.argument("containers", nargs=-1, required=True)
@pass_invocation
def command(
    invocation: Invocation, signal: str | None, timeout: int | None, containers: tuple[str, ...]
) -> None:
    """Restart one or more containers."""
    engine = invocation.engine
    each(containers, lambda name: engine.containers.restart(name, timeout=timeout, signal=signal))
