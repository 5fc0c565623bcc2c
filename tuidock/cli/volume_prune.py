"""tuidock volume prune: remove unused volumes."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation
from tuidock.cli.prune_filters import prune_filter, selection

__all__ = ["command"]


@declare("prune", usage="[OPTIONS]", examples=["tuidock volume prune", "tuidock volume prune -a -f"])
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Remove all unused volumes, not just anonymous ones"
)
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")
@prune_filter
@pass_invocation
def command(invocation: Invocation, everything: bool, force: bool, filters: tuple[str, ...]) -> None:
    """Remove unused local volumes."""
    from tuidock.cli.confirm import agreed
    from tuidock.cli.listing import one_flag
    from tuidock.cli.output import decimal_size, emit

    chosen, wanted = selection(filters, ("all", "label", "label!"))
    everything = everything or ("all" in wanted and one_flag("all", wanted["all"]))
    kind = "all local volumes" if everything else "anonymous local volumes"
    if not agreed(f"This will remove {kind} not used by at least one container.", force):
        return
    removed, reclaimed = invocation.engine.volumes.prune(all=everything, selection=chosen)
    if removed:
        emit("Deleted Volumes:\n" + "\n".join(removed) + "\n")
    emit(f"Total reclaimed space: {decimal_size(reclaimed)}")
