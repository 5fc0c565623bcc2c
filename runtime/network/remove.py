"""``network rm`` and ``network prune``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import Conflict
from runtime.model.selection import Selection
from runtime.network import bridges, firewall, links
from runtime.network.list import BUILT_IN, get_network
from runtime.store import networks as rows

if TYPE_CHECKING:
    from runtime.context import Context
    from runtime.model.network import Network
    from runtime.store.database import Transaction

__all__ = ["prune", "remove"]


def remove(ctx: Context, reference: str) -> None:
    """Raises NotFound; Conflict for a built-in network and while containers are on it."""
    network = get_network(ctx, reference)
    if network.name in BUILT_IN:
        raise Conflict(f"{network.name} is a pre-defined network and cannot be removed", subject=network.name)
    with ctx.db.write() as tx:
        users = rows.endpoints_of(tx, network.id)
        if users:
            names = ", ".join(name or container_id[:12] for container_id, name, _, _ in users)
            raise Conflict(
                f"error while removing network: network {network.name} has active endpoints: {names}",
                hint="stop or disconnect these containers first",
                subject=network.name,
            )
        _forget(tx, network)
    _unlink(ctx, [network])


def prune(ctx: Context, *, selection: Selection | None = None) -> list[str]:
    """Remove every user's network that no container, running or not, refers to; their names."""
    chosen = selection or Selection()
    with ctx.db.write() as tx:
        wanted = _referred_to(tx)
        unused = [
            network
            for network in rows.all_networks(tx)
            if network.name not in BUILT_IN
            and not wanted & {network.name, network.id}
            and not rows.leased(tx, network.id)
            and chosen.takes(network.labels, network.created_at)
        ]
        for network in unused:
            _forget(tx, network)
        if unused:
            tx.event("network", "prune", "", reclaimed="0")
    _unlink(ctx, unused)
    return [network.name for network in unused]


def _referred_to(tx: Transaction) -> set[str]:
    """Names and ids of networks in the configuration of any container."""
    from runtime.store import containers

    known = containers.all_containers(tx, internal=True)
    return {attachment.network for container in known for attachment in container.config.networks}


def _forget(tx: Transaction, network: Network) -> None:
    rows.delete(tx, network.id)
    tx.event("network", "destroy", network.id, name=network.name, type=network.driver)


def _unlink(ctx: Context, networks: list[Network]) -> None:
    if not networks:
        return
    with bridges.translated("remove network"), links.open_here() as netlink:
        links.delete(netlink, [network.bridge for network in networks])
        firewall.settle(ctx, only_existing=True)
