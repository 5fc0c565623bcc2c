"""tuidock image prune: remove unused images."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation
from tuidock.cli.prune_filters import prune_filter, selection

__all__ = ["command"]


@declare("prune", usage="[OPTIONS]", examples=["tuidock image prune", "tuidock image prune -a -f"])
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Remove all unused images, not just dangling ones"
)
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")
@prune_filter
@pass_invocation
def command(invocation: Invocation, everything: bool, force: bool, filters: tuple[str, ...]) -> None:
    """Remove unused images."""
    from tuidock.cli.confirm import agreed
    from tuidock.cli.listing import one_flag
    from tuidock.cli.output import decimal_size, emit

    chosen, wanted = selection(filters, ("dangling", "label", "label!", "until"))
    if "dangling" in wanted and not one_flag("dangling", wanted["dangling"]):
        everything = True
    what = (
        "all images without at least one container associated to them"
        if everything
        else "all dangling images"
    )
    if not agreed(f"This will remove {what}.", force):
        return
    removed, reclaimed = invocation.engine.images.prune(all=everything, selection=chosen)
    if removed:
        emit("Deleted Images:\n" + "\n".join(f"deleted: {name}" for name in removed) + "\n")
    emit(f"Total reclaimed space: {decimal_size(reclaimed)}")
