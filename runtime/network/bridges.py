"""The bridge of a network: its row, its link, and a subnet that nothing else on the machine uses."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from runtime.errors import Conflict, Denied, Failed, InvalidInput, NotFound, Unavailable
from runtime.model.network import Network
from runtime.network import links, pools
from runtime.network.netlink import Netlink, NetlinkError
from runtime.store import networks as rows

if TYPE_CHECKING:
    from runtime.context import Context
    from runtime.store.database import Database, Transaction

__all__ = ["DEFAULT", "SUBNET_FIXED", "choose_subnet", "ensure_link", "prefix", "resolve", "translated"]

DEFAULT = "bridge"
"""The name of the network that a container is on when it asks for none."""
SUBNET_FIXED = "subnet-fixed"
"""Among a network's options: its subnet was asked for, so it is never exchanged."""


def prefix(ctx: Context) -> str:
    """What every link of this root begins with; bridges go on with "-", veths with "v"."""
    return f"td{ctx.root_id}"


@contextmanager
def translated(action: str) -> Iterator[None]:
    """The kernel's refusal becomes the engine's words."""
    try:
        yield
    except OSError as error:
        said = error.strerror if isinstance(error, NetlinkError) else str(error)
        if error.errno in (errno.EPERM, errno.EACCES):
            raise Denied(f"{action}: {said}", hint="networks need root (CAP_NET_ADMIN); try sudo") from error
        if error.errno in _LACKING:
            raise Unavailable(
                f"{action}: {said}", hint="the kernel lacks bridge, veth or nf_tables support"
            ) from error
        raise Failed(f"{action}: {said}") from error


_LACKING = (errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT)


@contextmanager
def _machine_lock() -> Iterator[None]:
    """Held from choosing a subnet until a link has it, so that two roots do not choose the same one. A
    flock on a directory of sysfs: every root sees the same, and it leaves no file."""
    fd = os.open("/sys/class/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def resolve(tx: Transaction, ctx: Context, reference: str) -> Network:
    """A network with a bridge, by name, id or unique id prefix; the default one is made when first asked
    for. Raises NotFound."""
    found = rows.find(tx, reference)
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidInput(f"network {reference} is ambiguous", hint="give more of the id", subject=reference)
    if reference in (DEFAULT, "default"):
        return _default(tx, ctx)
    raise NotFound(
        f"network {reference} not found", hint="tuidock network ls lists all networks", subject=reference
    )


def _default(tx: Transaction, ctx: Context) -> Network:
    known = rows.get(tx, DEFAULT)
    if known is not None:
        return known
    subnet, gateway = _bip(ctx) or ("", "")
    network = Network(
        id=os.urandom(32).hex(),
        name=DEFAULT,
        driver="bridge",
        created_at=time.time_ns(),
        bridge=free_bridge_name(tx, ctx),
        subnet=subnet,
        gateway=gateway,
    )
    rows.insert(tx, network)
    return ensure_link(tx, ctx, network, fresh=True)


def _bip(ctx: Context) -> tuple[str, str] | None:
    """The subnet and gateway that the setting ``bip`` fixes."""
    if not ctx.config.bip:
        return None
    base, bits = pools.parse_subnet(ctx.config.bip)
    return f"{pools.address_text(base)}/{bits}", ctx.config.bip.partition("/")[0]


def free_bridge_name(db: Database | Transaction, ctx: Context) -> str:
    taken = {network.bridge for network in rows.all_networks(db)}
    number = 0
    while (name := f"{prefix(ctx)}-{number}") in taken:
        number += 1
    return name


def choose_subnet(db: Database | Transaction, ctx: Context, known: list[links.Route], but: str = "") -> str:
    """The first of the address pools that no route, name server or network of ours uses (the network
    ``but`` aside). Raises Unavailable when all are taken."""
    used = _used(db, known, but)
    subnet = pools.free_subnet(((pool.base, pool.size) for pool in ctx.config.default_address_pools), used)
    if subnet is None:
        raise Unavailable(
            "all predefined address pools have been fully subnetted",
            hint="remove unused networks (tuidock network prune) or set default-address-pools",
        )
    return subnet


def _used(db: Database | Transaction, known: list[links.Route], but: str) -> list[tuple[int, int]]:
    from runtime.network.resolv import nameservers_of_machine

    used = [pools.parse_subnet(route.destination) for route in known if not route.destination.endswith("/0")]
    used += [(pools.address_value(server), 32) for server in nameservers_of_machine() if ":" not in server]
    for network in rows.all_networks(db):
        if network.id != but and network.subnet:
            used.append(pools.parse_subnet(network.subnet))
    return used


def ensure_link(tx: Transaction, ctx: Context, network: Network, *, fresh: bool = False) -> Network:
    """The network with its bridge up: made now if this is the first use or the first since a reboot.

    A subnet that another link took meanwhile is exchanged for a free one when no endpoint holds an address
    in it and it was not asked for. ``fresh``: the row was made in this transaction, so a link of this
    name is what one that was rolled back has left. Raises Conflict, Unavailable, Denied, Failed.
    """
    if network.subnet and not fresh and links.exists(network.bridge):
        return network
    with translated(f"network {network.name}"), _machine_lock(), links.open_here() as netlink:
        links.delete(netlink, [network.bridge] if links.exists(network.bridge) else [])
        known = links.routes(netlink)
        network = _with_free_subnet(tx, ctx, network, known)
        _create(ctx, netlink, network, known)
    tx.undo(partial(_delete, network.bridge))
    return network


def _delete(bridge: str) -> None:
    with links.open_here() as netlink:
        links.delete(netlink, [bridge])


def _with_free_subnet(tx: Transaction, ctx: Context, network: Network, known: list[links.Route]) -> Network:
    from dataclasses import replace

    if network.subnet:
        wanted = pools.parse_subnet(network.subnet)
        others = _used(tx, known, network.id)
        if not any(pools.overlaps(wanted, other) for other in others):
            return network
        fixed = network.options.get(SUBNET_FIXED) or (network.name == DEFAULT and ctx.config.bip)
        if fixed or rows.leased(tx, network.id):
            raise Conflict(
                f"network {network.name}: pool {network.subnet} overlaps with another one on this machine",
                hint="another link or route of this machine uses these addresses",
                subject=network.name,
            )
    subnet = choose_subnet(tx, ctx, known, network.id)
    gateway = pools.address_text(pools.parse_subnet(subnet)[0] + 1)
    rows.set_subnet(tx, network.id, subnet, gateway)
    return replace(network, subnet=subnet, gateway=gateway)


def _create(ctx: Context, netlink: Netlink, network: Network, known: list[links.Route]) -> None:
    option = network.options.get("com.docker.network.driver.mtu", "")
    mtu = int(option) if option.isdigit() else ctx.config.mtu or links.default_mtu(known)
    links.create_bridge(
        netlink,
        network.bridge,
        mac="02:42:" + ":".join(f"{byte:02x}" for byte in os.urandom(4)),
        mtu=mtu,
        address=network.gateway,
        prefix_length=pools.parse_subnet(network.subnet)[1],
    )
    try:
        _switch_on("net/ipv4/ip_forward")
        # Connections to a port published on 127.0.0.1 leave by the bridge with a loopback address until
        # they are masqueraded; the firewall drops what would abuse this (firewall.py, "guard").
        _switch_on(f"net/ipv4/conf/{network.bridge}/route_localnet")
    except OSError as error:
        links.delete(netlink, [network.bridge])
        raise Denied(
            f"network {network.name}: cannot switch on {error.filename}: {error.strerror}",
            hint="networks need a writable /proc/sys",
        ) from error


def _switch_on(setting: str) -> None:
    with open(f"/proc/sys/{setting}", "r+", encoding="ascii") as file:
        if file.read().strip() != "1":
            file.seek(0)
            file.write("1")
