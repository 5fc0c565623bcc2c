"""tuidock top: the processes of a container."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]

_WIDTH = 20
"""docker's columns of ``top``."""


@declare(
    "top",
    usage="CONTAINER [ps OPTIONS]",
    examples=["tuidock top web", "tuidock top web aux", "tuidock top web -o pid,user,etime,args"],
    interspersed=False,
)
@click.argument("container")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@pass_invocation
def command(invocation: Invocation, container: str, options: tuple[str, ...]) -> None:
    """Display the running processes of a container."""
    from tuidock.cli.output import emit, table

    rows = invocation.engine.containers.top(container, options, tell=True)
    if rows:
        emit(table(list(rows[0]), [list(row.values()) for row in rows], narrowest=_WIDTH))
