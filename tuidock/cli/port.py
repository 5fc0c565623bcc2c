"""tuidock port: where a container's ports are published."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "port",
    usage="CONTAINER [PRIVATE_PORT[/PROTO]]",
    examples=["tuidock port web", "tuidock port web 80/tcp"],
)
@click.argument("container")
@click.argument("private_port", required=False)
@pass_invocation
def command(invocation: Invocation, container: str, private_port: str | None) -> None:
    """List port mappings or a specific mapping for the container."""
    from runtime.errors import NotFound
    from tuidock.cli.output import emit, host_address

    found = invocation.engine.containers.get(container)
    bindings = [binding for binding in found.ports if binding.host_port]
    if private_port is None:
        for item in bindings:
            emit(f"{item.container_port}/{item.protocol} -> {host_address(item.host_ip)}:{item.host_port}")
        return
    port, _, protocol = private_port.partition("/")
    chosen = [
        item for item in bindings if str(item.container_port) == port and item.protocol == (protocol or "tcp")
    ]
    if not chosen:
        raise NotFound(
            f"no public port '{port}/{protocol or 'tcp'}' published for {container}",
            hint=f"tuidock port {container} lists those that are",
            subject=private_port,
        )
    for item in chosen:
        emit(f"{host_address(item.host_ip)}:{item.host_port}")
