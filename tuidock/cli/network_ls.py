"""tuidock network ls: list networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from runtime.errors import InvalidInput
from runtime.model.network import Network
from tuidock.cli import output
from tuidock.cli.command import Invocation, declare, pass_invocation
from tuidock.cli.listing import Column, Listing, matches_labels, one_flag, parse_filters

if TYPE_CHECKING:
    from runtime.engine import Engine

__all__ = ["command", "network_listing"]

_BUILT_IN = ("bridge", "host", "none")


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
        Column("IPv4", "IPV4", lambda item: str(bool(item.subnet)).lower()),
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


def _by_kind(engine: Engine, wanted: Mapping[str, Sequence[str]]) -> Callable[[Network], bool]:
    """The filters ``type`` (builtin or custom) and ``dangling`` (no container refers to it)."""
    kinds = set(wanted.get("type", ("builtin", "custom")))
    for kind in kinds - {"builtin", "custom"}:
        raise InvalidInput(f"invalid filter 'type={kind}'", hint="type=builtin or type=custom", subject=kind)
    if "dangling" not in wanted:
        return lambda item: ("builtin" if item.name in _BUILT_IN else "custom") in kinds
    dangling = one_flag("dangling", wanted["dangling"])
    used = {
        attachment.network
        for container in engine.containers.list(all=True)
        for attachment in container.config.networks
    }

    def matches(item: Network) -> bool:
        if item.name in _BUILT_IN:
            return not dangling and "builtin" in kinds
        return "custom" in kinds and used.isdisjoint((item.name, item.id)) is dangling

    return matches


@declare(
    "ls", usage="[OPTIONS]", examples=["tuidock network ls", "tuidock network ls --filter driver=bridge -q"]
)
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Filter output")
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
    wanted = parse_filters(filters, ("dangling", "driver", "id", "label", "name", "scope", "type"))
    engine = invocation.engine
    chosen = _by_kind(engine, wanted)
    items = [
        item
        for item in engine.networks.list()
        if chosen(item)
        and ("scope" not in wanted or "local" in wanted["scope"])
        and ("driver" not in wanted or item.driver in wanted["driver"])
        and ("id" not in wanted or any(item.id.startswith(text) for text in wanted["id"]))
        and ("name" not in wanted or any(text in item.name for text in wanted["name"]))
        and matches_labels(item.labels, wanted.get("label", ()))
    ]
    network_listing(truncate=not no_trunc).print(
        sorted(items, key=lambda n: n.name), format=format, quiet=quiet
    )
