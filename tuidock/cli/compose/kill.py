"""tuidock compose kill: force stop service containers."""

from __future__ import annotations

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "kill",
    usage="[OPTIONS] [SERVICE...]",
    examples=[
        "tuidock compose kill -s HUP web",
    ],
)
@click.option("-s", "--signal", default="SIGKILL", metavar="SIGNAL", help="SIGNAL to send to the container")
@click.argument("services", nargs=-1)
@pass_target
def command(target: Target, signal: str, services: tuple[str, ...]) -> None:
    """Force stop service containers."""
    from tuidock.cli.compose.parallel import on_each

    kill = target.engine.containers.kill
    running = [item for item in target.containers(services) if item.state.status.alive]
    on_each(target, running, "Killing", "Killed", lambda name: kill(name, signal=signal))
