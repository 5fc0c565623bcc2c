"""tuidock network prune: remove unused networks."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare("prune", usage="[OPTIONS]", examples=["tuidock network prune -f"])
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")
@pass_invocation
def command(invocation: Invocation, force: bool) -> None:
    """Remove all unused networks."""
    from tuidock.cli.confirm import agreed
    from tuidock.cli.output import emit

    if not agreed("This will remove all custom networks not used by at least one container.", force):
        return
    removed = invocation.engine.networks.prune()
    if removed:
        emit("Deleted Networks:\n" + "\n".join(removed) + "\n")
