"""tuidock create: create a container without starting it."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation
from tuidock.cli.container_options import container_options

__all__ = ["command"]


@declare(
    "create",
    usage="[OPTIONS] IMAGE [COMMAND] [ARG...]",
    examples=["tuidock create --name web -p 8080:80 hello", "tuidock start web"],
    interspersed=False,
    help_short=False,
)
@container_options
@click.argument("image")
@click.argument("argv", nargs=-1, type=click.UNPROCESSED)
@pass_invocation
def command(
    invocation: Invocation,
    /,
    image: str,
    argv: tuple[str, ...],
    name: str | None,
    cidfile: str | None,
    **options: object,
) -> None:
    """Create a new container."""
    from tuidock.cli.run import CidFile, configure

    engine = invocation.engine
    config = configure(engine, image, argv, options)
    with CidFile(cidfile) as tell:
        container = engine.containers.create(config, name=name)
        tell(container.id)
    click.echo(container.id)
