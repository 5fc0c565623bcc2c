"""tuidock images: list images."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import click

from runtime.errors import InvalidInput
from tuidock.cli import output
from tuidock.cli.command import Invocation, declare, pass_invocation
from tuidock.cli.listing import Column, Listing, is_older, matches_labels, one_flag, parse_filters

if TYPE_CHECKING:
    from runtime.engine import Engine
    from runtime.model.image import ImageSummary

__all__ = ["command", "image_listing"]

_FILTERS = ("before", "dangling", "label", "reference", "since", "until")


def image_listing(
    *, truncate: bool = True, digests: bool = False, now: int | None = None
) -> Listing[ImageSummary]:
    def identifier(item: ImageSummary) -> str:
        return output.short_id(item.id) if truncate else item.id

    columns: list[Column[ImageSummary]] = [
        Column("Repository", "REPOSITORY", lambda item: output.familiar(item.repository)),
        Column("Tag", "TAG", lambda item: item.tag),
        Column("Digest", "DIGEST", lambda item: item.digest or "<none>"),
        Column("ID", "IMAGE ID", identifier),
        Column("CreatedSince", "CREATED", lambda item: output.ago(item.created_at, now)),
        Column("CreatedAt", "CREATED AT", lambda item: output.timestamp(item.created_at)),
        Column("Size", "SIZE", lambda item: output.decimal_size(item.size)),
        Column("Containers", "CONTAINERS", lambda item: str(item.containers)),
        Column("VirtualSize", "VIRTUAL SIZE", lambda item: output.decimal_size(item.size)),
        Column("SharedSize", "SHARED SIZE", lambda item: "N/A"),
        Column("UniqueSize", "UNIQUE SIZE", lambda item: "N/A"),
    ]
    shown = ["Repository", "Tag", "ID", "CreatedSince", "Size"]
    if digests:
        shown.insert(2, "Digest")
    return Listing(columns=columns, shown=shown, quiet=identifier)


@declare(
    "images",
    usage="[OPTIONS] [REPOSITORY[:TAG]]",
    examples=["tuidock images", "tuidock images -q base", "tuidock images --tree"],
)
@click.option(
    "-a", "--all", "show_all", is_flag=True, help="Show all images (default hides intermediate images)"
)
@click.option("--digests", is_flag=True, help="Show digests")
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Filter output")
@click.option(
    "--format", metavar="TEMPLATE", help="Format output: table, json, 'table TEMPLATE' or a template"
)
@click.option("--no-trunc", is_flag=True, help="Don't truncate output")
@click.option("-q", "--quiet", is_flag=True, help="Only show image IDs")
@click.option("--tree", is_flag=True, help="List the layers of all images as a tree, with what they share")
@click.argument("repository", required=False)
@pass_invocation
def command(
    invocation: Invocation,
    show_all: bool,
    digests: bool,
    filters: tuple[str, ...],
    format: str | None,
    no_trunc: bool,
    quiet: bool,
    tree: bool,
    repository: str | None,
) -> None:
    """List images."""
    for flag, given in (("quiet", quiet), ("digests", digests), ("format", format), ("no-trunc", no_trunc)):
        if tree and given:
            raise InvalidInput(f"--{flag} is not supported with --tree", hint="leave one of them out")
    engine = invocation.engine
    items = engine.images.list(all=show_all)
    if repository is not None:
        items = [item for item in items if _is_named(item, repository)]
    items = _select(engine, items, filters)
    if tree:
        from tuidock.cli.image_tree import tree_table

        output.emit(tree_table(items, engine.images.layer_sizes()))
        return
    if quiet:
        items = list({item.id: item for item in items}.values())
    image_listing(truncate=not no_trunc, digests=digests).print(items, format=format, quiet=quiet)


def _is_named(item: ImageSummary, wanted: str) -> bool:
    """docker's: a repository, or repository:tag, familiar or full, shell patterns allowed."""
    names = {item.repository, output.familiar(item.repository)}
    has_tag = ":" in re.sub(r"^.*/", "", wanted)
    return any(fnmatchcase(f"{name}:{item.tag}" if has_tag else name, wanted) for name in names)


def _select(engine: Engine, items: Sequence[ImageSummary], filters: Sequence[str]) -> list[ImageSummary]:
    wanted = parse_filters(filters, _FILTERS)
    tests: list[Callable[[ImageSummary], bool]] = []
    if "dangling" in wanted:
        dangling = one_flag("dangling", wanted["dangling"])
        tests.append(lambda item: (item.tag == "<none>") is dangling)
    if "reference" in wanted:
        tests.append(lambda item: any(_is_named(item, text) for text in wanted["reference"]))
    if "label" in wanted:
        tests.append(lambda item: matches_labels(engine.images.get(item.id).config.labels, wanted["label"]))
    if "until" in wanted:
        now = time.time_ns()
        tests.append(lambda item: is_older(item.created_at, wanted["until"], now))
    for text in wanted.get("since", ()):
        tests.append(_created(engine.images.get(text).created_at, True))
    for text in wanted.get("before", ()):
        tests.append(_created(engine.images.get(text).created_at, False))
    return [item for item in items if all(test(item) for test in tests)]


def _created(moment: int, later: bool) -> Callable[[ImageSummary], bool]:
    return lambda item: item.created_at > moment if later else item.created_at < moment
