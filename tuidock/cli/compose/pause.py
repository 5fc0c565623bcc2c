"""tuidock compose pause: pause services."""

from __future__ import annotations

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "pause",
    usage="[SERVICE...]",
    examples=[
        "tuidock compose pause web",
    ],
)
@click.argument("services", nargs=-1)
@pass_target
def command(target: Target, services: tuple[str, ...]) -> None:
    """Pause services."""
    from tuidock.cli.compose.parallel import on_each

    running = [item for item in target.containers(services) if item.state.status.value == "running"]
    on_each(target, running, "Pausing", "Paused", target.engine.containers.pause)
