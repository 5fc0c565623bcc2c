"""tuidock diff: what a container changed."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare("diff", usage="CONTAINER", examples=["tuidock diff web", "tuidock diff web | grep '^A'"])
@click.argument("container")
@pass_invocation
def command(invocation: Invocation, container: str) -> None:
    """Inspect changes to files or directories on a container's filesystem (A added, C changed, D deleted)."""
    import sys

    from tuidock.cli.output import emit

    # As ls does: a name that a container chose must not steer the terminal.
    terminal = sys.stdout.isatty()
    for change in invocation.engine.containers.diff(container):
        path = change.path
        if terminal and not path.isprintable():
            path = "".join(char if char.isprintable() else "?" for char in path)
        emit(f"{change.kind} {path}")
