"""tuidock compose rm: removes stopped service containers."""

from __future__ import annotations

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "rm",
    usage="[OPTIONS] [SERVICE...]",
    examples=[
        "tuidock compose rm -f",
        "tuidock compose rm -s -f web",
    ],
)
@click.option("-f", "--force", is_flag=True, help="Don't ask to confirm removal")
@click.option("-s", "--stop", is_flag=True, help="Stop the containers, if required, before removing")
@click.option("-v", "--volumes", is_flag=True, help="Remove any anonymous volumes attached to containers")
@click.argument("services", nargs=-1)
@pass_target
def command(target: Target, force: bool, stop: bool, volumes: bool, services: tuple[str, ...]) -> None:
    """Removes stopped service containers."""
    from tuidock.cli.compose.parallel import on_each
    from tuidock.cli.confirm import agreed

    engine = target.engine
    found = target.containers(services)
    if stop:
        running = [item for item in found if item.state.status.alive]
        on_each(target, running, "Stopping", "Stopped", engine.containers.stop)
        found = target.containers(services)
    stopped = [item for item in found if not item.state.status.alive]
    if not stopped:
        click.echo("No stopped containers", err=True)
        return
    if agreed("Going to remove " + ", ".join(item.name for item in stopped), force):
        on_each(
            target,
            stopped,
            "Removing",
            "Removed",
            lambda name: engine.containers.remove(name, volumes=volumes),
        )
