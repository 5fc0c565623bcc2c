"""tuidock network create: a bridge network of its own."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "create",
    usage="[OPTIONS] NETWORK",
    examples=[
        "tuidock network create webnet",
        "tuidock network create --subnet 10.5.0.0/24 --internal backend",
    ],
)
@click.option(
    "-d", "--driver", default="bridge", metavar="DRIVER", help="Driver to manage the network (bridge)"
)
@click.option("--gateway", metavar="ADDRESS", help="IPv4 gateway of the subnet")
@click.option("--internal", is_flag=True, help="Restrict external access to the network")
@click.option("--label", "labels", multiple=True, metavar="NAME[=VALUE]", help="Set metadata on a network")
@click.option(
    "-o", "--opt", "options", multiple=True, metavar="NAME=VALUE", help="Set driver specific options"
)
@click.option("--subnet", metavar="CIDR", help="Subnet in CIDR format")
@click.argument("network")
@pass_invocation
def command(
    invocation: Invocation,
    driver: str,
    gateway: str | None,
    internal: bool,
    labels: tuple[str, ...],
    options: tuple[str, ...],
    subnet: str | None,
    network: str,
) -> None:
    """Create a network."""
    from tuidock.cli.container_config import parse_labels
    from tuidock.cli.output import emit

    made = invocation.engine.networks.create(
        network,
        driver=driver,
        subnet=subnet,
        gateway=gateway,
        internal=internal,
        labels=parse_labels(labels),
        options=parse_labels(options),
    )
    emit(made.id)
