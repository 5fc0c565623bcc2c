"""tuidock compose stop: stop services."""

from __future__ import annotations

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "stop",
    usage="[OPTIONS] [SERVICE...]",
    examples=[
        "tuidock compose stop web",
    ],
)
@click.option("-t", "--timeout", type=int, metavar="SECONDS", help="Specify a shutdown timeout in seconds")
@click.argument("services", nargs=-1)
@pass_target
def command(target: Target, timeout: int | None, services: tuple[str, ...]) -> None:
    """Stop services."""
    from tuidock.cli.compose.parallel import on_each

    stop = target.engine.containers.stop
    running = [item for item in target.containers(services) if item.state.status.alive]
    on_each(target, running, "Stopping", "Stopped", lambda name: stop(name, timeout=timeout))
