"""tuidock compose unpause: unpause services."""

from __future__ import annotations

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "unpause",
    usage="[SERVICE...]",
    examples=[
        "tuidock compose unpause web",
    ],
)
@click.argument("services", nargs=-1)
@pass_target
def command(target: Target, services: tuple[str, ...]) -> None:
    """Unpause services."""
    from tuidock.cli.compose.parallel import on_each

    paused = [item for item in target.containers(services) if item.state.status.value == "paused"]
    on_each(target, paused, "Unpausing", "Unpaused", target.engine.containers.unpause)
