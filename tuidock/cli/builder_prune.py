"""tuidock builder prune: remove build cache."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "prune",
    usage="[OPTIONS]",
    examples=[
        "tuidock builder prune",
        "tuidock builder prune -af",
        "tuidock builder prune --filter until=72h --max-used-space 5gb",
        "tuidock builder prune --filter type=exec.cachemount",
    ],
)
@click.option("-a", "--all", "everything", is_flag=True, help="Remove also records whose files images share")
@click.option("--builder", metavar="NAME", hidden=True)
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="FILTER",
    help="Filter: until=24h, id, description~=, type, shared, private, mutable, immutable, inuse",
)
@click.option("-f", "--force", is_flag=True, help="Do not prompt for confirmation")
@click.option(
    "--max-used-space",
    "--keep-storage",
    "--reserved-space",
    "keep",
    metavar="SIZE",
    help="Remove the least recently used until the cache is no larger",
)
@click.option(
    "--min-free-space",
    "free",
    metavar="SIZE",
    help="Remove the least recently used until so much of the disk is free",
)
@click.option("--verbose", is_flag=True, help="Show everything about each record")
@pass_invocation
def command(
    invocation: Invocation,
    /,
    everything: bool,
    filters: tuple[str, ...],
    force: bool,
    keep: str | None,
    free: str | None,
    verbose: bool,
    builder: str | None,
) -> None:
    """Remove build cache."""
    from runtime.model.parse import parse_size
    from tuidock.cli.builder_rows import COLUMNS, SHOWN, details, select
    from tuidock.cli.confirm import agreed
    from tuidock.cli.listing import Listing
    from tuidock.cli.output import decimal_size, emit

    del builder
    select((), filters)
    limits = {"keep": parse_size(keep) if keep else None, "free": parse_size(free) if free else None}
    what = "all build cache" if everything else "all build cache that no image shares"
    if not agreed(f"This will remove {what}.", force):
        return
    found = invocation.engine.builder
    records, unused_for = select(found.disk_usage(), filters)
    gone = found.prune(records, all=everything, unused_for=unused_for, **limits)
    if verbose:
        for record in gone:
            emit(details(record))
    elif gone:
        Listing(columns=COLUMNS, shown=SHOWN, quiet=lambda item: item.id).print(gone)
    emit(f"Total:\t{decimal_size(sum(record.size for record in gone))}")
