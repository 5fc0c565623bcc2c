"""tuidock logout: forget the password of a registry."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare("logout", usage="[SERVER]", examples=["tuidock logout localhost:5000"])
@click.argument("server", default="")
@pass_invocation
def command(invocation: Invocation, server: str) -> None:
    """Log out from a registry; Docker Hub when none is named."""
    name = server or "https://index.docker.io/v1/"
    if invocation.engine.registry.logout(server):
        click.echo(f"Removing login credentials for {name}")
    else:
        click.echo(f"Not logged in to {name}")
