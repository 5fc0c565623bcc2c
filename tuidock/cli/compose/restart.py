"""tuidock compose restart: restart service containers."""

from __future__ import annotations

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "restart",
    usage="[OPTIONS] [SERVICE...]",
    examples=[
        "tuidock compose restart web",
    ],
)
@click.option("--no-deps", is_flag=True, help="Don't restart dependent services")
@click.option("-t", "--timeout", type=int, metavar="SECONDS", help="Specify a shutdown timeout in seconds")
@click.argument("services", nargs=-1)
@pass_target
def command(target: Target, no_deps: bool, timeout: int | None, services: tuple[str, ...]) -> None:
    """Restart service containers."""
    from tuidock.cli.compose.parallel import on_each

    restart = target.engine.containers.restart
    on_each(
        target,
        target.containers(services),
        "Restarting",
        "Started",
        lambda name: restart(name, timeout=timeout),
    )
