"""A running container joins and leaves networks: links, routes, ports and files as its endpoints are now.

The verbs are in :mod:`runtime.containers.rewire`. But for :func:`plug` all can be done again, to no effect.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.network import bridges, endpoints, firewall, links, nftables, resolv

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runtime.context import Context
    from runtime.model.container import ContainerConfig, Endpoint, PortBinding
    from runtime.store.database import Transaction

__all__ = ["free_interface", "hosts_now", "plug", "replace_contents", "repoint", "route", "write_files"]

MAX_FILE = 1 << 20
"""Bytes of a hosts file that are looked at: the container can write it, and a larger one is left alone."""


def free_interface(taken: Sequence[Endpoint]) -> str:
    """The first of eth0, eth1, ... that is not in use."""
    names = {endpoint.interface for endpoint in taken}
    number = 0
    while (name := f"eth{number}") in names:
        number += 1
    return name


def plug(tx: Transaction, endpoint: Endpoint, netns: int) -> None:
    """The endpoint's link, up and with its address, in the network namespace ``netns``. To be called in the
    transaction that writes the endpoint's row: whoever sweeps links of nobody looks inside one too. Raises
    Failed, Denied, Unavailable; leaves nothing then."""
    with bridges.translated(f"connect to network {endpoint.network_name}"), links.open_here() as here:
        try:
            links.create_veths(here, netns, [endpoints.veth_of(tx, endpoint)])
            with links.open_in(netns) as inside:
                address = (endpoint.interface, endpoint.ipv4_address, endpoint.prefix_length)
                links.configure(inside, [address], None)
        except BaseException:
            links.delete(here, [endpoint.host_interface])
            raise


def repoint(
    tx: Transaction,
    ctx: Context,
    container_id: str,
    bindings: Sequence[PortBinding],
    present: Sequence[Endpoint],
) -> None:
    """Published ports lead to the endpoint that leads outside now, on the host ports that they have. They are
    withdrawn when none does, and chosen anew when one does again. Raises Conflict (port)."""
    outside = endpoints.gateway_of(tx, present)
    if outside is None:
        tx.execute("DELETE FROM port WHERE container_id = ?", (container_id,))
    elif tx.row("SELECT 1 FROM port WHERE container_id = ? LIMIT 1", (container_id,)):
        tx.execute("UPDATE port SET ipv4 = ? WHERE container_id = ?", (outside.ipv4_address, container_id))
    elif bindings:
        endpoints.allocate_ports(tx, ctx, container_id, bindings, present)


def route(ctx: Context, present: Sequence[Endpoint], netns: int) -> None:
    """The default route, and the way to the resolver where names are answered. Raises Failed, Denied."""
    outside = endpoints.gateway_of(ctx.db, present)
    with bridges.translated("route the container's network"):
        with links.open_in(netns) as inside:
            gateway = (outside.interface, outside.gateway) if outside is not None else None
            links.set_default_route(inside, gateway)
        if endpoints.has_names(present):
            with links.open_in(netns, nftables.NETLINK_NETFILTER) as inside:
                nftables.replace(inside, firewall.names_plan())


def write_files(ctx: Context, directory: Path, config: ContainerConfig, present: Sequence[Endpoint]) -> None:
    """``hosts`` and ``resolv.conf`` of the container, which it sees as mounts of these files: they are
    written in place. What else it has written into them stays."""
    hosts = _read(directory / "hosts")
    if hosts is not None and (wanted := hosts_now(hosts, config, present)) != hosts:
        replace_contents(directory / "hosts", wanted)
    servers = _read(directory / "resolv.conf")
    if servers is None or not endpoints.has_names(present):
        return
    if resolv.EMBEDDED not in resolv.parse(servers).nameservers:
        contents = resolv.resolv_conf(config, ctx.config, embedded=True)
        replace_contents(directory / "resolv.conf", contents)


def hosts_now(text: str, config: ContainerConfig, present: Sequence[Endpoint]) -> str:
    """Pure: the file with one line of the container's own name for each endpoint, and none for others. Lines
    that ``--add-host`` asked for are not its own, whatever they name."""
    own = resolv.own_names(config.hostname, config.domainname)
    asked = {entry.replace("=", ":", 1).partition(":")[::2] for entry in config.extra_hosts}
    addresses = [endpoint.ipv4_address for endpoint in present]
    kept = []
    for line in text.splitlines():
        address, tab, names = line.partition("\t")
        if tab and names == own and address not in addresses and (own, address) not in asked:
            continue
        kept.append(line)
    kept += [line for address in addresses if (line := f"{address}\t{own}") not in kept]
    return "\n".join(kept) + "\n"


def _read(path: Path) -> str | None:
    """None for a file that is too large to be one of ours."""
    with path.open("rb") as file:
        data = file.read(MAX_FILE + 1)
    return data.decode(errors="surrogateescape") if len(data) <= MAX_FILE else None


def replace_contents(path: Path, text: str) -> None:
    """In place, since the file is mounted: the new contents over the old ones, then what is left is cut off.
    A reader in between sees lines twice and never none."""
    data = text.encode(errors="surrogateescape")
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.pwrite(fd, data, 0)
        os.ftruncate(fd, len(data))
    finally:
        os.close(fd)
