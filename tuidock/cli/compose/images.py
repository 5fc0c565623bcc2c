"""tuidock compose images: which images a project's containers were made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tuidock.cli import output
from tuidock.cli.command import declare
from tuidock.cli.compose.target import Target, pass_target
from tuidock.cli.listing import Column, Listing

if TYPE_CHECKING:
    from runtime.model.container import Container

__all__ = ["command"]


def _name(item: Container) -> tuple[str, str]:
    """(repository, tag)."""
    text = output.familiar(item.config.image)
    repository, colon, tag = text.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (text, "latest")


@declare("images", usage="[OPTIONS] [SERVICE...]", examples=["tuidock compose images"])
@click.option("--format", metavar="TEMPLATE", help="Format output: table, json or a template")
@click.option("-q", "--quiet", is_flag=True, help="Only display IDs")
@click.argument("services", nargs=-1)
@pass_target
def command(target: Target, format: str | None, quiet: bool, services: tuple[str, ...]) -> None:
    """List images used by the created containers."""
    sizes = {image.id: image.size for image in target.engine.images.list(all=True)}
    columns: list[Column[Container]] = [
        Column("ContainerName", "CONTAINER", lambda item: item.name),
        Column("Repository", "REPOSITORY", lambda item: _name(item)[0]),
        Column("Tag", "TAG", lambda item: _name(item)[1]),
        Column("ID", "IMAGE ID", lambda item: output.short_id(item.image_id)),
        Column("Size", "SIZE", lambda item: output.decimal_size(sizes.get(item.image_id, 0))),
    ]
    listing = Listing(
        columns=columns,
        shown=[column.key for column in columns],
        quiet=lambda item: output.short_id(item.image_id),
    )
    found = target.containers(services)
    if quiet:
        found = list({item.image_id: item for item in found}.values())
    listing.print(found, format=format, quiet=quiet)
