"""tuidock network disconnect: take a container off a network."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "disconnect",
    usage="[OPTIONS] NETWORK CONTAINER",
    examples=[
        "tuidock network disconnect bridge web",
    ],
)
@click.option(
    "-f", "--force", is_flag=True, help="Force the container to disconnect from a network (which may be gone)"
)
@click.argument("network")
@click.argument("container")
@pass_invocation
def command(invocation: Invocation, force: bool, network: str, container: str) -> None:
    """Disconnect a container from a network."""
    invocation.engine.networks.disconnect(network, container, force=force)
