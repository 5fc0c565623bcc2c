"""tuidock ps: list containers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from tuidock.cli.command import Invocation, declare, pass_invocation

if TYPE_CHECKING:
    from runtime.engine import Engine
    from runtime.model.container import Container

__all__ = ["command"]


@declare(
    "ps",
    usage="[OPTIONS]",
    examples=[
        "tuidock ps -a",
        "tuidock ps --filter status=exited --filter label=app=web",
        "tuidock ps --format 'table {{.Names}}\\t{{.Status}}'",
    ],
)
@click.option(
    "-a", "--all", "show_all", is_flag=True, help="Show all containers (default shows just running)"
)
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Filter output")
@click.option(
    "--format", metavar="TEMPLATE", help="Format output: table, json, 'table TEMPLATE' or a template"
)
@click.option("-n", "--last", type=int, default=-1, metavar="N", help="Show the N last created containers")
@click.option("-l", "--latest", is_flag=True, help="Show the latest created container (includes all states)")
@click.option("--no-trunc", is_flag=True, help="Don't truncate output")
@click.option("-q", "--quiet", is_flag=True, help="Only display container IDs")
@click.option("-s", "--size", is_flag=True, help="Display total file sizes")
@pass_invocation
def command(
    invocation: Invocation,
    show_all: bool,
    filters: tuple[str, ...],
    format: str | None,
    last: int,
    latest: bool,
    no_trunc: bool,
    quiet: bool,
    size: bool,
) -> None:
    """List containers."""
    from tuidock.cli.container_rows import container_listing, select

    engine = invocation.engine
    some = any(item.startswith(("status=", "exited=")) for item in filters)
    items = engine.containers.list(all=show_all or latest or last > 0 or some)
    items = select(engine, items, filters)
    if latest:
        items = items[:1]
    elif last > 0:
        items = items[:last]
    if quiet and format is not None:
        click.echo("WARNING: Ignoring custom format, because both --format and --quiet are set.", err=True)
        format = None
    wants_size = size or (format is not None and ".Size" in format)
    listing = container_listing(truncate=not no_trunc, size=_sizes(engine) if wants_size else None)
    listing.print(items, format=format, quiet=quiet)


def _sizes(engine: Engine) -> Callable[[Container], str]:
    """docker's SIZE: what the container wrote, and with its image."""
    from tuidock.cli.disk_usage import disk_usage
    from tuidock.cli.output import decimal_size

    images = {image.id: image.size for image in engine.images.list(all=True)}
    containers = engine.context.paths.containers

    def text(item: Container) -> str:
        written = disk_usage(str(containers / item.id / "upper"))
        return f"{decimal_size(written)} (virtual {decimal_size(written + images.get(item.image_id, 0))})"

    return text
