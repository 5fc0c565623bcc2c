"""tuidock network ls: list networks."""

from __future__ import annotations

import click

from runtime.model.network import Network
from tuidock.cli import output
from tuidock.cli.command import Invocation, declare, pass_invocation
from tuidock.cli.listing import Column, Listing, matches_labels, parse_filters

__all__ = ["command", "network_listing"]


def network_listing(*, truncate: bool = True) -> Listing[Network]:
    def identifier(item: Network) -> str:
        return item.id[:12] if truncate else item.id

    columns: list[Column[Network]] = [
        Column("ID", "NETWORK ID", identifier),
        Column("Name", "NAME", lambda item: item.name),
        Column("Driver", "DRIVER", lambda item: item.driver),
        Column("Scope", "SCOPE", lambda item: "local"),
        Column("Internal", "INTERNAL", lambda item: str(item.internal).lower()),
        Column("Subnet", "SUBNET", lambda item: item.subnet),
        Column("IPv6", "IPV6", lambda item: "false"),
        Column("Labels", "LABELS", lambda item: ",".join(f"{k}={v}" for k, v in sorted(item.labels.items()))),
        Column("CreatedAt", "CREATED AT", lambda item: output.timestamp(item.created_at)),
    ]
    return Listing(
        columns=columns,
        shown=("ID", "Name", "Driver", "Scope"),
        quiet=identifier,
        methods=lambda item: {"Label": lambda name: item.labels.get(str(name), "")},
    )


@declare(
    "ls", usage="[OPTIONS]", examples=["tuidock network ls", "tuidock network ls --filter driver=bridge -q"]
)
@click.option(
    "-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Filter: driver, id, label, name"
)
@click.option(
    "--format", metavar="TEMPLATE", help="Format output: table, json, 'table TEMPLATE' or a template"
)
@click.option("--no-trunc", is_flag=True, help="Do not truncate the output")
@click.option("-q", "--quiet", is_flag=True, help="Only display network IDs")
@pass_invocation
def command(
    invocation: Invocation, filters: tuple[str, ...], format: str | None, no_trunc: bool, quiet: bool
) -> None:
    """List networks."""
    wanted = parse_filters(filters, ("driver", "id", "label", "name"))
    items = [
        item
        for item in invocation.engine.networks.list()
        if ("driver" not in wanted or item.driver in wanted["driver"])
        and ("id" not in wanted or any(item.id.startswith(text) for text in wanted["id"]))
        and ("name" not in wanted or any(text in item.name for text in wanted["name"]))
        and matches_labels(item.labels, wanted.get("label", ()))
    ]
    network_listing(truncate=not no_trunc).print(
        sorted(items, key=lambda n: n.name), format=format, quiet=quiet
    )
