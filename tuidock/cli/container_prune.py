"""tuidock container prune: remove all stopped containers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

if TYPE_CHECKING:
    from runtime.engine import Engine

__all__ = ["command", "remove_stopped"]


def remove_stopped(engine: Engine, filters: Sequence[str]) -> list[str]:
    """The ids removed. ``label=...`` and ``until=TIME`` filter."""
    import time

    from runtime.errors import EngineError
    from tuidock.cli.listing import matches_labels, parse_filters

    wanted = parse_filters(filters, ("label", "until"))
    limit = time.time_ns()
    if "until" in wanted:
        from runtime.model.parse import parse_time

        limit = parse_time(wanted["until"][-1], limit)
    removed = []
    for item in engine.containers.list(all=True):
        if item.state.status.alive or item.created_at > limit:
            continue
        if not matches_labels(item.config.labels, wanted.get("label", ())):
            continue
        try:
            engine.containers.remove(item.id)
        except EngineError:  # started or removed by somebody else meanwhile
            continue
        removed.append(item.id)
    return removed


@declare(
    "prune",
    usage="[OPTIONS]",
    examples=["tuidock container prune", "tuidock container prune -f --filter until=24h"],
)
@click.option(
    "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Filter: label=NAME[=VALUE], until=TIME"
)
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")
@pass_invocation
def command(invocation: Invocation, filters: tuple[str, ...], force: bool) -> None:
    """Remove all stopped containers."""
    from tuidock.cli.confirm import agreed
    from tuidock.cli.output import emit

    if not agreed("This will remove all stopped containers.", force):
        return
    removed = remove_stopped(invocation.engine, filters)
    if removed:
        emit("Deleted Containers:\n" + "\n".join(removed) + "\n")
    emit(f"Total removed: {len(removed)}")
