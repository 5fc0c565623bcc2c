"""tuidock compose top: display the running processes."""

from __future__ import annotations

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "top",
    usage="[SERVICE...]",
    examples=[
        "tuidock compose top",
    ],
)
@click.argument("services", nargs=-1)
@pass_target
def command(target: Target, services: tuple[str, ...]) -> None:
    """Display the running processes."""
    from tuidock.cli.output import emit, table

    for container in target.containers(services):
        if container.state.status.value == "running":
            rows = target.engine.containers.top(container.id, tell=True)
            emit(container.name)
            if rows:
                emit(table(list(rows[0]), [list(row.values()) for row in rows]) + "\n")
