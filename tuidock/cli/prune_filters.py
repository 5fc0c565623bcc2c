"""The ``--filter`` of every ``prune``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from runtime.model.selection import Selection

__all__ = ["prune_filter", "selection"]

F = TypeVar("F", bound=Callable[..., object])

prune_filter = click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Provide filter values (label=NAME[=VALUE], label!=NAME[=VALUE], until=TIME)",
)


def selection(
    filters: Sequence[str], known: Sequence[str] = ("label", "label!", "until")
) -> tuple[Selection, dict[str, list[str]]]:
    """What to remove, and the filters by name. Raises InvalidInput."""
    import time

    from runtime.model.parse import parse_time
    from runtime.model.selection import Selection
    from tuidock.cli.listing import parse_filters

    wanted = parse_filters(filters, known)
    now = time.time_ns()
    times = [parse_time(text, now) for text in wanted.get("until", ())]
    chosen = Selection(wanted.get("label", ()), wanted.get("label!", ()), min(times) if times else None)
    return chosen, wanted
