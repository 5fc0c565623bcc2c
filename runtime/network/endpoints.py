"""A container's places on networks: address leases and published ports in the database, then links.

``start`` calls :func:`allocate` and :func:`allocate_ports` in one transaction, :func:`connect` when the
network namespace exists, :func:`publish` when the container runs; :func:`release` gives all of it back.
The links die with the namespace, in the kernel. What changes while a container runs is in
:mod:`runtime.network.plug`.
"""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from runtime.errors import Conflict, InvalidInput, Unavailable
from runtime.model.container import Endpoint, PortBinding
from runtime.network import bridges, firewall, links, nftables, pools, resolv
from runtime.network.ports import EPHEMERAL, probe
from runtime.store import networks as rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.context import Context
    from runtime.model.container import ContainerConfig, NetworkAttachment
    from runtime.model.network import Network
    from runtime.store.database import Database, Transaction

__all__ = [
    "allocate", "allocate_ports", "check_address", "connect", "disconnect", "gateway_of", "has_names",
    "lease", "publish", "release", "unpublish", "upstreams", "veth_of",
]  # fmt: skip

ANY = ("0.0.0.0", "")


def allocate(
    tx: Transaction,
    ctx: Context,
    container_id: str,
    attachments: Sequence[NetworkAttachment],
    container_name: str,
    short_id: str,
) -> list[Endpoint]:
    """Lease an address on each network and record it; ``eth0`` is on the first. The only kernel work is
    making a bridge that is missing. Raises NotFound (network), Conflict (address), InvalidInput,
    Unavailable (no address or subnet left), Denied."""
    endpoints: list[Endpoint] = []
    for attachment in attachments:
        network = bridges.resolve(tx, ctx, attachment.network)
        if all(network.id != endpoint.network_id for endpoint in endpoints):
            endpoints.append(lease(tx, ctx, container_id, attachment, f"eth{len(endpoints)}"))
    return endpoints


def lease(
    tx: Transaction, ctx: Context, container_id: str, attachment: NetworkAttachment, interface: str
) -> Endpoint:
    """One address on one network. Raises as :func:`allocate`."""
    network = bridges.ensure_link(tx, ctx, bridges.resolve(tx, ctx, attachment.network))
    address = _address(tx, network, attachment.ipv4_address)
    endpoint = Endpoint(
        network_id=network.id,
        network_name=network.name,
        ipv4_address=address,
        prefix_length=pools.parse_subnet(network.subnet)[1],
        gateway=network.gateway,
        mac_address=attachment.mac_address or pools.mac_of(address),
        host_interface=f"{bridges.prefix(ctx)}v{os.urandom(3).hex()}",
        interface=interface,
        aliases=attachment.aliases,
        links=attachment.links,
        gw_priority=attachment.gw_priority,
    )
    tx.execute(
        "INSERT INTO endpoint (container_id, network_id, ipv4, mac, host_interface, interface, aliases,"
        " links, gw_priority) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            container_id,
            network.id,
            address,
            endpoint.mac_address,
            endpoint.host_interface,
            endpoint.interface,
            json.dumps(endpoint.aliases),
            json.dumps(endpoint.links),
            endpoint.gw_priority,
        ),
    )
    tx.event("network", "connect", network.id, container=container_id, name=network.name, type=network.driver)
    return endpoint


def gateway_of(db: Database | Transaction, endpoints: Sequence[Endpoint]) -> Endpoint | None:
    """The endpoint that leads outside: the default route is its gateway and published ports lead to it. The
    highest priority, then the first network by name, as docker chooses; None on internal networks."""
    outside = [
        endpoint
        for endpoint in endpoints
        if (network := rows.get(db, endpoint.network_id)) is not None and not network.internal
    ]
    return min(outside, key=lambda e: (-e.gw_priority, e.network_name), default=None)


def _address(tx: Transaction, network: Network, wanted: str | None) -> str:
    taken = rows.leased(tx, network.id) | {network.gateway}
    if wanted is None:
        free = pools.free_address(network.subnet, taken)
        if free is None:
            raise Unavailable(
                f"no available IPv4 addresses on network {network.name} ({network.subnet})",
                hint="remove containers, or create a network with a larger --subnet",
                subject=network.name,
            )
        return free
    check_address(network, wanted)
    if wanted in taken:
        raise Conflict(f"address {wanted} is already in use on network {network.name}", subject=wanted)
    return wanted


def check_address(network: Network, wanted: str) -> None:
    """That a container may ask for this address there. Raises InvalidInput."""
    if network.name == bridges.DEFAULT:
        raise InvalidInput(
            "user specified IP address is supported on user defined networks only",
            hint="tuidock network create --subnet ... NAME",
            subject=wanted,
        )
    if bridges.SUBNET_FIXED not in network.options:
        raise InvalidInput(
            "user specified IP address is supported only when connecting to networks with user configured"
            " subnets",
            hint=f"make network {network.name} anew with --subnet",
            subject=wanted,
        )
    if not pools.overlaps((pools.address_value(wanted), 32), pools.parse_subnet(network.subnet)):
        raise InvalidInput(
            f"invalid address {wanted}: it does not belong to network {network.name} ({network.subnet})",
            subject=wanted,
        )


def allocate_ports(
    tx: Transaction,
    ctx: Context,
    container_id: str,
    bindings: Sequence[PortBinding],
    endpoints: Sequence[Endpoint],
) -> list[PortBinding]:
    """Record the bindings, with real host ports for those that asked for any. Ports lead to the endpoint
    that leads outside; without one nothing is published, as docker does it. Raises Conflict
    when another container or a program of the machine has the port, InvalidInput for a foreign address."""
    outside = gateway_of(tx, endpoints) if bindings else None
    if outside is None:
        return []
    chosen: list[PortBinding] = []
    for wanted in bindings:
        binding = replace(wanted, host_ip=wanted.host_ip or "0.0.0.0")
        _check_host_ip(binding.host_ip)
        binding = _ephemeral(tx, container_id, binding) if binding.host_port == 0 else binding
        if binding in chosen:
            continue
        _claim(tx, container_id, binding)
        tx.execute(
            "INSERT INTO port (host_ip, host_port, protocol, container_id, container_port, ipv4, group_name)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                binding.host_ip,
                binding.host_port,
                binding.protocol,
                container_id,
                binding.container_port,
                outside.ipv4_address,
                binding.group,
            ),
        )
        chosen.append(binding)
    return chosen


def _check_host_ip(host_ip: str) -> None:
    if ":" in host_ip:
        raise InvalidInput(
            f"cannot publish on {host_ip}: containers have no IPv6 addresses",
            hint="publish on an IPv4 address",
            subject=host_ip,
        )
    pools.address_value(host_ip)


def _holders(tx: Transaction, port: int, protocol: str) -> list[tuple[str, str, str | None]]:
    """(host ip, container id, group) of the rows on this port."""
    found = tx.rows(
        "SELECT host_ip, container_id, group_name FROM port WHERE host_port = ? AND protocol = ?",
        (port, protocol),
    )
    return [(row[0], row[1], row[2]) for row in found]


def _shares(binding: PortBinding, container_id: str, holder: tuple[str, str, str | None]) -> bool:
    host_ip, other, group = holder
    return (
        binding.group is not None
        and group == binding.group
        and host_ip == binding.host_ip
        and other != container_id
    )


def _claim(tx: Transaction, container_id: str, binding: PortBinding) -> None:
    shared = False
    for holder in _holders(tx, binding.host_port, binding.protocol):
        if _shares(binding, container_id, holder):
            shared = True
        elif holder[0] == binding.host_ip or holder[0] in ANY or binding.host_ip in ANY:
            raise _taken(tx, container_id, binding, "port is already allocated")
    if shared:
        return
    try:
        probe(binding.host_ip, binding.host_port, binding.protocol)
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise InvalidInput(
                f"{_prefix(tx, container_id)}: Bind for {binding.host_ip}: cannot assign requested address",
                hint="publish on an address of this machine, or on 0.0.0.0",
                subject=binding.host_ip,
            ) from error
        raise _taken(tx, container_id, binding, "address already in use") from error


def _prefix(tx: Transaction, container_id: str) -> str:
    row = tx.row("SELECT name FROM container WHERE id = ?", (container_id,))
    name = row[0] if row else container_id[:12]
    return f"driver failed programming external connectivity on endpoint {name}"


def _taken(tx: Transaction, container_id: str, binding: PortBinding, why: str) -> Conflict:
    where = f"{binding.host_ip}:{binding.host_port}"
    return Conflict(
        f"{_prefix(tx, container_id)}: Bind for {where} failed: {why}",
        hint=f"choose another host port than {binding.host_port}, or stop what uses it",
        subject=where,
    )


def _ephemeral(tx: Transaction, container_id: str, binding: PortBinding) -> PortBinding:
    """The group's port when it has one already, else the lowest free of the ephemeral range."""
    if binding.group is not None:
        row = tx.row(
            "SELECT host_port FROM port WHERE group_name = ? AND container_port = ? AND protocol = ?"
            " AND host_ip = ? AND container_id <> ?",
            (binding.group, binding.container_port, binding.protocol, binding.host_ip, container_id),
        )
        if row:
            return replace(binding, host_port=row[0])
    taken = {row[0] for row in tx.rows("SELECT host_port FROM port WHERE protocol = ?", (binding.protocol,))}
    for port in EPHEMERAL:
        if port in taken:
            continue
        try:
            probe(binding.host_ip, port, binding.protocol)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                return replace(binding, host_port=port)
            continue
        return replace(binding, host_port=port)
    raise Unavailable("no free ephemeral port is left", hint="name a host port", subject=binding.host_ip)


def connect(ctx: Context, container_id: str, endpoints: Sequence[Endpoint], netns_fd: int) -> None:
    """Give the network namespace its links: a veth pair for each endpoint, addresses, the default route
    (:func:`gateway_of`), ``lo`` up. Raises Failed, Denied, Unavailable; what was made dies with the
    namespace."""
    with bridges.translated("connect the container's network"):
        firewall.settle(ctx)
        veths = [veth_of(ctx.db, endpoint) for endpoint in endpoints]
        outside = gateway_of(ctx.db, endpoints)
        gateway = (outside.interface, outside.gateway) if outside is not None else None
        with links.open_here() as here:
            links.create_veths(here, netns_fd, veths)
        addresses = [(e.interface, e.ipv4_address, e.prefix_length) for e in endpoints]
        with links.open_in(netns_fd) as inside:
            links.configure(inside, addresses, gateway)
        if has_names(endpoints):
            with links.open_in(netns_fd, nftables.NETLINK_NETFILTER) as inside:
                nftables.replace(inside, firewall.names_plan())


def veth_of(db: Database | Transaction, endpoint: Endpoint) -> links.Veth:
    """Raises Unavailable when the network's bridge is not there."""
    network = rows.get(db, endpoint.network_id)
    if network is None or not links.exists(network.bridge):
        raise Unavailable(f"network {endpoint.network_name} has gone", subject=endpoint.network_name)
    mtu = links.mtu_of(network.bridge)
    return links.Veth(endpoint.host_interface, network.bridge, endpoint.interface, endpoint.mac_address, mtu)


def has_names(endpoints: Sequence[Endpoint]) -> bool:
    """Names resolve on user networks, and so 127.0.0.11 is the container's name server (runtime.network.stub
    holds the sockets, ``resolv_conf(embedded=True)`` points there)."""
    return any(endpoint.network_name != bridges.DEFAULT for endpoint in endpoints)


def upstreams(ctx: Context, config: ContainerConfig, endpoints: Sequence[Endpoint]) -> tuple[str, ...]:
    """Who answers for names that are not ours; nobody, where every network is internal."""
    if all((network := rows.get(ctx.db, e.network_id)) is None or network.internal for e in endpoints):
        return ()
    return resolv.upstreams(config, ctx.config)


def disconnect(ctx: Context, endpoints: Sequence[Endpoint]) -> None:
    """Remove the links now, for whoever cannot wait until the kernel has taken the namespace apart."""
    with bridges.translated("disconnect the container's network"), links.open_here() as netlink:
        links.delete(netlink, [e.host_interface for e in endpoints if links.exists(e.host_interface)])


def publish(ctx: Context, container_id: str) -> None:
    """Make the firewall forward the container's ports (its rows). Raises Failed, Denied, Unavailable."""
    with bridges.translated(f"publish the ports of {container_id[:12]}"):
        firewall.settle(ctx)
        datagrams = ctx.db.rows(
            "SELECT host_port, ipv4 FROM port WHERE protocol = 'udp' AND host_port IN"
            " (SELECT host_port FROM port WHERE protocol = 'udp' AND container_id = ?)",
            (container_id,),
        )
        if datagrams:
            from runtime.network.conntrack import forget_udp

            wanted: dict[int, set[str]] = {}
            for host_port, address in datagrams:
                wanted.setdefault(host_port, set()).add(address)
            forget_udp(wanted)


def unpublish(ctx: Context, container_id: str) -> None:
    """Take the container's port rows away and make the firewall follow."""
    with ctx.db.write() as tx:
        tx.execute("DELETE FROM port WHERE container_id = ?", (container_id,))
    with bridges.translated(f"withdraw the ports of {container_id[:12]}"):
        firewall.settle(ctx, only_existing=True)


def release(tx: Transaction, ctx: Context, container_id: str) -> None:
    """Give leases and ports back. The firewall follows with the next :func:`firewall.settle`."""
    for network_id, name, driver in tx.rows(
        "SELECT network_id, network.name, driver FROM endpoint JOIN network ON network.id = network_id"
        " WHERE container_id = ?",
        (container_id,),
    ):
        tx.event("network", "disconnect", network_id, container=container_id, name=name, type=driver)
    tx.execute("DELETE FROM endpoint WHERE container_id = ?", (container_id,))
    tx.execute("DELETE FROM port WHERE container_id = ?", (container_id,))
