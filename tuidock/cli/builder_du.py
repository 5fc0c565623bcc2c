"""tuidock builder du: what the build cache holds."""

from __future__ import annotations

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

__all__ = ["command"]


@declare(
    "du",
    usage="[OPTIONS]",
    examples=[
        "tuidock builder du",
        "tuidock builder du --verbose --filter type=exec.cachemount",
        "tuidock builder du --format '{{.ID}}: {{.Description}}'",
    ],
)
@click.option("--builder", metavar="NAME", hidden=True)
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="FILTER",
    help="Filter: id, description~=, type, parents, shared, private, mutable, immutable, inuse, until",
)
@click.option("--format", metavar="TEMPLATE", help="Format output: json or a template")
@click.option("--verbose", is_flag=True, help="Show everything about each record")
@pass_invocation
def command(
    invocation: Invocation,
    /,
    filters: tuple[str, ...],
    format: str | None,
    verbose: bool,
    builder: str | None,
) -> None:
    """Show what the build cache holds."""
    import time

    from tuidock.cli.builder_rows import COLUMNS, SHOWN, details, select
    from tuidock.cli.listing import Listing
    from tuidock.cli.output import decimal_size, emit

    del builder
    records, unused_for = select(invocation.engine.builder.disk_usage(), filters)
    limit = time.time_ns() - unused_for
    records = [item for item in reversed(records) if item.used_at <= limit]
    if verbose and format is None:
        for record in records:
            emit(details(record))
    else:
        listing = Listing(columns=COLUMNS, shown=SHOWN, quiet=lambda item: item.id)
        listing.print(records, format=format)
        if format is not None:
            return
    total = sum(item.size for item in records)
    shared = sum(item.size for item in records if item.shared)
    reclaimable = sum(item.size for item in records if item.reclaimable)
    if shared:
        emit(f"{'Shared:':<16}{decimal_size(shared)}\n{'Private:':<16}{decimal_size(total - shared)}")
    emit(f"{'Reclaimable:':<16}{decimal_size(reclaimable)}\n{'Total:':<16}{decimal_size(total)}")
