"""tuidock compose start: start services."""

from __future__ import annotations

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "start",
    usage="[OPTIONS] [SERVICE...]",
    examples=[
        "tuidock compose start web",
    ],
)
@click.argument("services", nargs=-1)
@pass_target
def command(target: Target, services: tuple[str, ...]) -> None:
    """Start services."""
    from runtime.errors import NotFound
    from tuidock.cli.compose.parallel import on_each

    found = target.containers(services)
    if not found:
        raise NotFound(
            f'project "{target.name}" has no container to start',
            hint="tuidock compose up -d",
            subject=target.name,
        )
    stopped = [item for item in found if not item.state.status.alive]
    on_each(target, stopped, "Starting", "Started", target.engine.containers.start)
