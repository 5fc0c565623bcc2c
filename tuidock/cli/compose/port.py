"""tuidock compose port: print the public port for a port binding."""

from __future__ import annotations

import click

from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target

__all__ = ["command"]


@declare(
    "port",
    usage="[OPTIONS] SERVICE PRIVATE_PORT",
    examples=[
        "tuidock compose port web 80",
    ],
)
@click.option(
    "--index", type=int, metavar="N", help="Index of the container if service has multiple replicas"
)
@click.option("--protocol", default="tcp", metavar="PROTO", help="tcp or udp")
@click.argument("service")
@click.argument("private_port", type=int)
@pass_target
def command(target: Target, index: int | None, protocol: str, service: str, private_port: int) -> None:
    """Print the public port for a port binding."""
    from runtime.errors import NotFound
    from tuidock.cli.output import emit, host_address

    container = target.one(service, index)
    for item in container.ports:
        if item.container_port == private_port and item.protocol == protocol and item.host_port:
            emit(f"{host_address(item.host_ip)}:{item.host_port}")
            return
    raise NotFound(
        f"no port {private_port}/{protocol} for container {container.name}", subject=str(private_port)
    )
