"""tuidock top: the processes of a container."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["COLUMNS", "command"]

COLUMNS = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")


@declare(
    "top",
    usage="CONTAINER",
    examples=["tuidock top web"],
)
@click.argument("container")
@pass_invocation
def command(invocation: Invocation, container: str) -> None:
    """Display the running processes of a container."""
    from tuidock.cli.output import emit, table

    rows = invocation.engine.containers.top(container)
    emit(table(COLUMNS, [[row.get(column, "") for column in COLUMNS] for row in rows]))
