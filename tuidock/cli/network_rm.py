"""tuidock network rm: remove one or more networks."""

from __future__ import annotations

import click

from runtime.errors import NotFound
from tuidock.cli.command import Invocation, declare, each, pass_invocation
from tuidock.cli.output import emit

__all__ = ["command"]


@declare(
    "rm",
    usage="NETWORK [NETWORK...]",
    examples=[
        "tuidock network rm webnet",
    ],
)
@click.option("-f", "--force", is_flag=True, help="Do not error if the network does not exist")
@click.argument("networks", nargs=-1, required=True)
@pass_invocation
def command(invocation: Invocation, force: bool, networks: tuple[str, ...]) -> None:
    """Remove one or more networks."""
    engine = invocation.engine

    def remove(name: str) -> None:
        try:
            engine.networks.remove(name)
        except NotFound:
            if force:
                return
            raise
        emit(name)

    each(networks, remove, echo=False)
