"""tuidock search: find images in a registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from tuidock.cli.command import Invocation, declare, pass_invocation
from tuidock.cli.listing import Column, Listing, parse_filters
from tuidock.cli.output import ellipsis

if TYPE_CHECKING:
    from runtime.images.registry.search import SearchResult

__all__ = ["command", "search_listing"]

_FILTERS = ("is-automated", "is-official", "stars")
_WIDTH = 45


def search_listing(*, truncate: bool = True) -> Listing[SearchResult]:
    def description(item: SearchResult) -> str:
        return ellipsis(item.description, _WIDTH) if truncate else item.description

    columns: list[Column[SearchResult]] = [
        Column("Name", "NAME", lambda item: item.name),
        Column("Description", "DESCRIPTION", description),
        Column("StarCount", "STARS", lambda item: str(item.stars)),
        Column("IsOfficial", "OFFICIAL", lambda item: "[OK]" if item.official else ""),
        Column("IsAutomated", "AUTOMATED", lambda item: "[OK]" if item.automated else ""),
    ]
    return Listing(
        columns=columns,
        shown=["Name", "Description", "StarCount", "IsOfficial"],
        quiet=lambda item: item.name,
    )


@declare(
    "search",
    usage="[OPTIONS] TERM",
    examples=[
        "tuidock search python",
        "tuidock search --filter is-official=true redis",
        "tuidock search localhost:5000/app",
    ],
)
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Filter output")
@click.option("--format", "template", metavar="TEMPLATE", help="Pretty-print search using a Go template")
@click.option("--limit", type=int, default=25, metavar="NUMBER", help="Max number of search results")
@click.option("--no-trunc", is_flag=True, help="Don't truncate output")
@click.argument("term")
@pass_invocation
def command(
    invocation: Invocation,
    filters: Sequence[str],
    template: str | None,
    limit: int,
    no_trunc: bool,
    term: str,
) -> None:
    """Search a registry for images: Docker Hub, or REGISTRY/TERM where that registry offers it."""
    wanted = parse_filters(filters, _FILTERS)
    stars = _stars(wanted)
    found = invocation.engine.registry.search(term, limit=limit)
    shown = [
        item
        for item in found
        if item.stars >= stars
        and _agrees(wanted, "is-official", item.official)
        and _agrees(wanted, "is-automated", item.automated)
    ]
    search_listing(truncate=not no_trunc).print(shown, format=template)


def _stars(wanted: Mapping[str, Sequence[str]]) -> int:
    values = wanted.get("stars") or ["0"]
    if not all(value.isdecimal() for value in values):
        from runtime.errors import InvalidInput

        raise InvalidInput(f"invalid filter 'stars={values[0]}'", hint="give a number", subject=values[0])
    return max(int(value) for value in values)


def _agrees(wanted: Mapping[str, Sequence[str]], name: str, value: bool) -> bool:
    texts = wanted.get(name)
    return not texts or any((text.lower() in ("true", "1")) == value for text in texts)
