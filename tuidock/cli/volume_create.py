"""tuidock volume create: a named volume."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare("create", usage="[OPTIONS] [VOLUME]", examples=["tuidock volume create data"])
@click.option("-d", "--driver", default="local", metavar="DRIVER", help="Specify volume driver name (local)")
@click.option("--label", "labels", multiple=True, metavar="NAME[=VALUE]", help="Set metadata for a volume")
@click.argument("volume", required=False)
@pass_invocation
def command(invocation: Invocation, driver: str, labels: tuple[str, ...], volume: str | None) -> None:
    """Create a volume."""
    from runtime.errors import InvalidInput
    from tuidock.cli.container_config import parse_labels
    from tuidock.cli.output import emit

    if driver != "local":
        raise InvalidInput(f"volume driver {driver!r} is not supported", hint="use local", subject=driver)
    emit(invocation.engine.volumes.create(volume, labels=parse_labels(labels)).name)
