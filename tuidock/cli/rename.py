"""tuidock rename: rename a container."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "rename",
    usage="CONTAINER NEW_NAME",
    examples=[
        "tuidock rename web old-web",
    ],
)
@click.argument("container")
@click.argument("new_name")
@pass_invocation
def command(invocation: Invocation, container: str, new_name: str) -> None:
    """Rename a container."""
    invocation.engine.containers.rename(container, new_name)
