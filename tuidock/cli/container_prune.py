"""tuidock container prune: remove all stopped containers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

if TYPE_CHECKING:
    from runtime.engine import Engine

__all__ = ["command", "remove_stopped"]


def remove_stopped(engine: Engine, filters: Sequence[str]) -> tuple[list[str], int]:
    """Ids and bytes. ``label=...``, ``label!=...`` and ``until=TIME`` filter."""
    import time

    from runtime.model.parse import parse_time
    from tuidock.cli.listing import parse_filters

    wanted = parse_filters(filters, ("label", "label!", "until"))
    until = parse_time(wanted["until"][-1], time.time_ns()) if "until" in wanted else None
    return engine.containers.prune(
        labels=wanted.get("label", ()), without=wanted.get("label!", ()), until=until
    )


@declare(
    "prune",
    usage="[OPTIONS]",
    examples=["tuidock container prune", "tuidock container prune -f --filter until=24h"],
)
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Filter: label=NAME[=VALUE], label!=NAME, until=TIME",
)
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")
@pass_invocation
def command(invocation: Invocation, filters: tuple[str, ...], force: bool) -> None:
    """Remove all stopped containers."""
    from tuidock.cli.confirm import agreed
    from tuidock.cli.output import decimal_size, emit

    if not agreed("This will remove all stopped containers.", force):
        return
    removed, size = remove_stopped(invocation.engine, filters)
    if removed:
        emit("Deleted Containers:\n" + "\n".join(removed) + "\n")
    emit(f"Total reclaimed space: {decimal_size(size)}")
