"""tuidock volume create: a named volume."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "create",
    usage="[OPTIONS] [VOLUME]",
    examples=[
        "tuidock volume create data",
        "tuidock volume create -o type=tmpfs -o device=tmpfs -o o=size=100m,uid=1000 scratch",
        "tuidock volume create -o type=none -o o=bind -o device=/srv/data shared",
    ],
)
@click.option("-d", "--driver", default="local", metavar="DRIVER", help="Specify volume driver name (local)")
@click.option("--label", "labels", multiple=True, metavar="NAME[=VALUE]", help="Set metadata for a volume")
@click.option(
    "-o", "--opt", "options", multiple=True, metavar="NAME=VALUE", help="Driver options: type, device, o"
)
@click.argument("volume", required=False)
@pass_invocation
def command(
    invocation: Invocation, driver: str, labels: tuple[str, ...], options: tuple[str, ...], volume: str | None
) -> None:
    """Create a volume."""
    from runtime.errors import InvalidInput
    from tuidock.cli.container_config import parse_labels, parse_pairs
    from tuidock.cli.output import emit

    if driver != "local":
        raise InvalidInput(f"volume driver {driver!r} is not supported", hint="use local", subject=driver)
    given = parse_pairs("--opt", options)
    emit(invocation.engine.volumes.create(volume, labels=parse_labels(labels), options=given).name)
