"""``network create``."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from runtime.errors import Conflict, InvalidInput
from runtime.model.network import Network
from runtime.network import bridges, firewall, pools
from runtime.network.list import BUILT_IN
from runtime.store import networks as rows

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["SUBNET_FIXED", "create"]

SUBNET_FIXED = bridges.SUBNET_FIXED
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


def create(
    ctx: Context,
    name: str,
    *,
    driver: str = "bridge",
    subnet: str | None = None,
    gateway: str | None = None,
    internal: bool = False,
    labels: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> Network:
    """A bridge network that is ready for use. Without ``subnet`` it gets the first free one of the address
    pools. Raises Conflict (name, overlapping subnet), InvalidInput, Unavailable, Denied."""
    _check_name(name)
    if driver not in ("bridge", ""):
        raise InvalidInput(
            f"network driver {driver!r} is not supported", hint="the driver is bridge", subject=driver
        )
    if subnet is None and gateway is not None:
        raise InvalidInput("a gateway needs a subnet", hint="give --subnet too", subject=gateway)
    chosen, address = _fixed(subnet, gateway) if subnet is not None else ("", "")
    settings = dict(options or {})
    if chosen:
        settings[SUBNET_FIXED] = "1"
    try:
        with ctx.db.write() as tx:
            network = Network(
                id=os.urandom(32).hex(),
                name=name,
                driver="bridge",
                created_at=time.time_ns(),
                bridge=bridges.free_bridge_name(tx, ctx),
                subnet=chosen,
                gateway=address,
                internal=internal,
                labels=dict(labels or {}),
                options=settings,
            )
            rows.insert(tx, network)
            network = bridges.ensure_link(tx, ctx, network, fresh=True)
            tx.event("network", "create", network.id, name=name, type="bridge")
    except sqlite3.IntegrityError as error:
        raise Conflict(f"network with name {name} already exists", subject=name) from error
    with bridges.translated(f"create network {name}"):
        firewall.settle(ctx)
    return network


def _check_name(name: str) -> None:
    if name in BUILT_IN:
        raise Conflict(f'operation is not permitted on predefined "{name}" network', subject=name)
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"invalid network name {name!r}", hint="letters, digits and _ . - are allowed", subject=name
        )


def _fixed(subnet: str, gateway: str | None) -> tuple[str, str]:
    """The subnet with its host bits cleared, and its gateway (default: the first address)."""
    base, bits = pools.parse_subnet(subnet)
    if not 1 <= bits <= 30:
        raise InvalidInput(f"invalid subnet {subnet!r}: its prefix must be 1 to 30", subject=subnet)
    clean = f"{pools.address_text(base)}/{bits}"
    if gateway is None:
        return clean, pools.address_text(base + 1)
    value = pools.address_value(gateway)
    if not pools.overlaps((value, 32), (base, bits)) or value in (base, base + (1 << (32 - bits)) - 1):
        raise InvalidInput(f"no matching subnet for gateway {gateway} in {clean}", subject=gateway)
    return clean, gateway
