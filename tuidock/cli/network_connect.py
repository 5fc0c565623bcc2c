"""tuidock network connect: put a container on one more network."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]

REFUSED: dict[str, tuple[str, str]] = {
    # option: why it is refused, what to do instead
    "--driver-opt": ("endpoints of a bridge have no driver options", "leave it out"),
    "--ip6": ("containers have no IPv6 addresses", "use --ip"),
    "--link-local-ip": ("containers have one address on each network", "use --ip"),
}


def _refuse(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> None:
    if value:
        from runtime.errors import InvalidInput

        name = parameter.opts[0]
        why, instead = REFUSED[name]
        raise InvalidInput(f"{name} is not supported: {why}", hint=instead, subject=name)


def _refused(name: str) -> click.Option:
    return click.Option([name], hidden=True, multiple=True, expose_value=False, callback=_refuse)


@declare(
    "connect",
    usage="[OPTIONS] NETWORK CONTAINER",
    examples=[
        "tuidock network connect backend web",
        "tuidock network connect --alias db --ip 10.5.0.9 backend postgres",
    ],
)
@click.option(
    "--alias", "aliases", multiple=True, metavar="NAME", help="Add network-scoped alias for the container"
)
@click.option(
    "--gw-priority",
    type=int,
    default=0,
    metavar="N",
    help="The network with the highest N is the container's way outside (default 0)",
)
@click.option("--ip", metavar="ADDRESS", help='IPv4 address (e.g. "172.30.100.104")')
@click.option(
    "--link", "links", multiple=True, metavar="CONTAINER[:ALIAS]", help="Add link to another container"
)
@click.argument("network")
@click.argument("container")
@pass_invocation
def command(
    invocation: Invocation,
    aliases: tuple[str, ...],
    gw_priority: int,
    ip: str | None,
    links: tuple[str, ...],
    network: str,
    container: str,
) -> None:
    """Connect a container to a network."""
    from runtime.model.container import NetworkAttachment
    from runtime.model.parse import parse_link

    attachment = NetworkAttachment(
        network=network,
        aliases=aliases,
        ipv4_address=ip,
        links=tuple(parse_link(text) for text in links),
        gw_priority=gw_priority,
    )
    invocation.engine.networks.connect(container, attachment)


command.params += [_refused(name) for name in REFUSED]
