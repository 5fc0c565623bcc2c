"""tuidock network prune: remove unused networks."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation
from tuidock.cli.prune_filters import prune_filter, selection

__all__ = ["command"]


@declare("prune", usage="[OPTIONS]", examples=["tuidock network prune -f"])
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")
@prune_filter
@pass_invocation
def command(invocation: Invocation, force: bool, filters: tuple[str, ...]) -> None:
    """Remove all unused networks."""
    from tuidock.cli.confirm import agreed
    from tuidock.cli.output import emit

    chosen, _ = selection(filters)
    if not agreed("This will remove all custom networks not used by at least one container.", force):
        return
    removed = invocation.engine.networks.prune(selection=chosen)
    if removed:
        emit("Deleted Networks:\n" + "\n".join(removed) + "\n")
