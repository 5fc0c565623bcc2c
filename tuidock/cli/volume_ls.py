"""tuidock volume ls: list volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runtime.model.volume import Volume
from tuidock.cli.command import Invocation, declare, pass_invocation
from tuidock.cli.listing import Column, Listing, matches_labels, one_flag, parse_filters

if TYPE_CHECKING:
    from runtime.engine import Engine

__all__ = ["command", "volume_listing"]


def volume_listing() -> Listing[Volume]:
    columns: list[Column[Volume]] = [
        Column("Driver", "DRIVER", lambda item: item.driver),
        Column("Name", "VOLUME NAME", lambda item: item.name),
        Column("Mountpoint", "MOUNTPOINT", lambda item: item.mountpoint),
        Column("Scope", "SCOPE", lambda item: "local"),
        Column("Labels", "LABELS", lambda item: ",".join(f"{k}={v}" for k, v in sorted(item.labels.items()))),
        Column("Size", "SIZE", lambda item: "N/A"),
        Column("Links", "LINKS", lambda item: "N/A"),
        Column("Status", "STATUS", lambda item: "N/A"),
        Column("Availability", "AVAILABILITY", lambda item: "N/A"),
        Column("Group", "GROUP", lambda item: "N/A"),
    ]
    return Listing(
        columns=columns,
        shown=("Driver", "Name"),
        quiet=lambda item: item.name,
        methods=lambda item: {"Label": lambda name: item.labels.get(str(name), "")},
    )


def _used(engine: Engine) -> set[str]:
    return {
        mount.source
        for item in engine.containers.list(all=True)
        for mount in item.config.mounts
        if mount.type.value == "volume"
    }


@declare(
    "ls", usage="[OPTIONS]", examples=["tuidock volume ls", "tuidock volume ls --filter dangling=true -q"]
)
@click.option(
    "-f",
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Filter: dangling, driver, label, name",
)
@click.option(
    "--format", metavar="TEMPLATE", help="Format output: table, json, 'table TEMPLATE' or a template"
)
@click.option("-q", "--quiet", is_flag=True, help="Only display volume names")
@pass_invocation
def command(invocation: Invocation, filters: tuple[str, ...], format: str | None, quiet: bool) -> None:
    """List volumes."""
    engine = invocation.engine
    wanted = parse_filters(filters, ("dangling", "driver", "label", "name"))
    items = engine.volumes.list()
    if "dangling" in wanted:
        dangling, used = one_flag("dangling", wanted["dangling"]), _used(engine)
        items = [item for item in items if (item.name not in used) is dangling]
    if "name" in wanted:
        items = [item for item in items if any(text in item.name for text in wanted["name"])]
    if "driver" in wanted:
        items = [item for item in items if item.driver in wanted["driver"]]
    items = [item for item in items if matches_labels(item.labels, wanted.get("label", ()))]
    volume_listing().print(sorted(items, key=lambda volume: volume.name), format=format, quiet=quiet)
