"""tuidock container prune: remove all stopped containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tuidock.cli.command import Invocation, declare, pass_invocation
from tuidock.cli.prune_filters import prune_filter, selection

if TYPE_CHECKING:
    from runtime.engine import Engine
    from runtime.model.selection import Selection

__all__ = ["command", "remove_stopped"]


def remove_stopped(engine: Engine, chosen: Selection) -> tuple[list[str], int]:
    """Ids and bytes."""
    return engine.containers.prune(labels=chosen.labels, without=chosen.without, until=chosen.until)


@declare(
    "prune",
    usage="[OPTIONS]",
    examples=["tuidock container prune", "tuidock container prune -f --filter until=24h"],
)
@prune_filter
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")
@pass_invocation
def command(invocation: Invocation, filters: tuple[str, ...], force: bool) -> None:
    """Remove all stopped containers."""
    from tuidock.cli.confirm import agreed
    from tuidock.cli.output import decimal_size, emit

    chosen, _ = selection(filters)
    if not agreed("This will remove all stopped containers.", force):
        return
    removed, size = remove_stopped(invocation.engine, chosen)
    if removed:
        emit("Deleted Containers:\n" + "\n".join(removed) + "\n")
    emit(f"Total reclaimed space: {decimal_size(size)}")
