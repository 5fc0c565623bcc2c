"""``network ls`` and ``network inspect``: the rows, and docker's three built-in networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.errors import InvalidInput, NotFound
from runtime.model.hashing import sha256
from runtime.model.network import Network
from runtime.store import networks as rows

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["BUILT_IN", "get_network", "inspect", "list_networks"]

BUILT_IN = ("bridge", "host", "none")


def _built_in(ctx: Context, name: str) -> Network:
    """Those without a row: ``host``, ``none``, and ``bridge`` until its first use. Their ids are stable."""
    identity = sha256(f"{ctx.root_id} {name}".encode()).hex()
    driver = {"bridge": "bridge", "host": "host", "none": "null"}[name]
    return Network(id=identity, name=name, driver=driver, created_at=0)


def list_networks(ctx: Context) -> list[Network]:
    """By name, as docker lists them."""
    found = rows.all_networks(ctx.db)
    known = {network.name for network in found}
    found += [_built_in(ctx, name) for name in BUILT_IN if name not in known]
    return sorted(found, key=lambda network: network.name)


def get_network(ctx: Context, reference: str) -> Network:
    """By full id, name or unique id prefix. Raises NotFound, InvalidInput (ambiguous)."""
    found = rows.find(ctx.db, reference)
    if not found:
        built_in = [_built_in(ctx, name) for name in BUILT_IN]
        found = [n for n in built_in if reference == n.name or (reference and n.id.startswith(reference))]
    if len(found) > 1:
        raise InvalidInput(f"network {reference} is ambiguous", hint="give more of the id", subject=reference)
    if not found:
        raise NotFound(
            f"network {reference} not found", hint="tuidock network ls lists all networks", subject=reference
        )
    return found[0]


def inspect(ctx: Context, reference: str) -> dict[str, Any]:
    """docker's network inspect document."""
    network = get_network(ctx, reference)
    length = network.subnet.rpartition("/")[2]
    addressing = [{"Subnet": network.subnet, "Gateway": network.gateway}] if network.subnet else []
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": _timestamp(network.created_at),
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": addressing},
        "Internal": network.internal,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {
            container_id: {
                "Name": name,
                "EndpointID": "",
                "MacAddress": mac,
                "IPv4Address": f"{address}/{length}",
                "IPv6Address": "",
            }
            for container_id, name, address, mac in rows.endpoints_of(ctx.db, network.id)
        },
        "Options": {
            **({"com.docker.network.bridge.name": network.bridge} if network.bridge else {}),
            **{key: value for key, value in network.options.items() if "." in key},
        },
        "Labels": dict(network.labels),
    }


def _timestamp(nanoseconds: int) -> str:
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 1_000_000_000:09d}Z"
