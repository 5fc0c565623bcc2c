"""The firewall: planned as data from the rows, written to the kernel when it differs.

One table a root, ``tuidock-<root_id>``. It never judges traffic that is not our networks': every base
chain's policy is accept. What it promises:

- containers reach the outside through masquerade, unless their network is internal;
- a network's containers cannot reach another network's, nor can the outside, but through published ports;
- a published port answers on its host address (any local one for 0.0.0.0), from outside, from the machine
  and from containers; several endpoints of one port take turns, exactly;
- what is published on 127.0.0.1, and every other loopback service of the machine, is out of reach for
  neighbours on the wire and for containers although ``route_localnet`` is on;
- a container sees the bridge's address and never 127.0.0.1 as its peer (CVE-2021-20199).
"""

from __future__ import annotations

import fcntl
import os
import zlib
from typing import TYPE_CHECKING, NamedTuple

from runtime.network import nftables, stub
from runtime.network.nftables import Chain, Hook, Rule, Ruleset
from runtime.store import networks as rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runtime.context import Context
    from runtime.store.database import Database

__all__ = [
    "Port",
    "Segment",
    "exists",
    "forget",
    "is_settled",
    "names_plan",
    "plan",
    "settle",
    "settle_root",
    "table_name",
]

ANY = "0.0.0.0"


class Segment(NamedTuple):
    """A network as the firewall sees it."""

    bridge: str
    subnet: str
    internal: bool = False


class Port(NamedTuple):
    """One endpoint behind a published port."""

    host_ip: str
    host_port: int
    protocol: str
    container_port: int
    address: str


def table_name(root_id: str) -> str:
    return f"tuidock-{root_id}"


def names_plan() -> Ruleset:
    """Inside a container's namespace: port 53 of the resolver's address is where its sockets really are. So a
    name server of the container's own can have port 53."""
    here = ("ip daddr", stub.ADDRESS)
    there = ("dnat to", f"{stub.ADDRESS}:{stub.PORT}")
    rules: tuple[Rule, ...] = tuple((here, (f"{protocol} dport", "53"), there) for protocol in ("udp", "tcp"))
    return Ruleset("tuidock-names", (Chain("output", rules, Hook("nat", "output", -100)),))


def _iif(name: str) -> tuple[str, str]:
    return ("iifname", f'"{name}"')


def _oif(name: str) -> tuple[str, str]:
    return ("oifname", f'"{name}"')


def plan(root_id: str, segments: Sequence[Segment], ports: Iterable[Port]) -> Ruleset:
    """Pure: the whole table."""
    groups: dict[tuple[str, int, str], list[Port]] = {}
    for port in ports:
        groups.setdefault((port.host_ip, port.host_port, port.protocol), []).append(port)
    balanced = [_balanced(members) for members in groups.values() if len(members) > 1]
    # A specific address is more than any address: it comes first.
    order = sorted(groups, key=lambda key: (key[0] == ANY, key[1], key[2], key[0]))
    published = tuple(_published(groups[key]) for key in order)
    to_ports: Rule = (("fib daddr type local",), ("jump", "ports"))
    guard: Rule = (("iifname", "!=", '"lo"'), ("ip daddr", "127.0.0.0/8"), ("drop",))
    chains = [
        *balanced,
        Chain("ports", published),
        Chain("guard", (guard,), Hook("filter", "prerouting", -300)),
        Chain("prerouting", (to_ports,), Hook("nat", "prerouting", -100)),
        Chain("output", (to_ports,), Hook("nat", "output", -100)),
        Chain("postrouting", _masquerades(segments), Hook("nat", "postrouting", 100)),
        Chain("forward", _isolation(segments), Hook("filter", "forward", 0)),
    ]
    return Ruleset(table_name(root_id), tuple(chains))


def _chain_name(port: Port) -> str:
    return f"{port.protocol}-{port.host_port}" + ("" if port.host_ip == ANY else f"-{port.host_ip}")


def _target(port: Port) -> tuple[str, str]:
    return ("dnat to", f"{port.address}:{port.container_port}")


def _balanced(members: Sequence[Port]) -> Chain:
    """Rule i of N takes every (N-i)th connection of those that come to it: each endpoint gets exactly one
    in N, and the last rule takes what is left."""
    count = len(members)
    rules: list[Rule] = [
        (("numgen inc mod", str(count - number), "0"), _target(port))
        for number, port in enumerate(members[:-1])
    ]
    rules.append((_target(members[-1]),))
    return Chain(_chain_name(members[0]), tuple(rules))


def _published(members: Sequence[Port]) -> Rule:
    first = members[0]
    where = () if first.host_ip == ANY else (("ip daddr", first.host_ip),)
    what = ("goto", _chain_name(first)) if len(members) > 1 else _target(first)
    return (*where, (f"{first.protocol} dport", str(first.host_port)), what)


def _masquerades(segments: Sequence[Segment]) -> tuple[Rule, ...]:
    """To the outside; from 127.0.0.1 into a bridge; and back into the same bridge, where the answer would
    otherwise go straight to the asker, who does not know it."""
    rules: list[Rule] = []
    for segment in segments:
        out = ("oifname", "!=", f'"{segment.bridge}"')
        if not segment.internal:
            rules.append((("ip saddr", segment.subnet), out, ("masquerade",)))
        rules.append((("ip saddr", "127.0.0.0/8"), _oif(segment.bridge), ("masquerade",)))
        rules.append(
            (("ip saddr", segment.subnet), _oif(segment.bridge), ("ct status dnat",), ("masquerade",))
        )
    return tuple(rules)


def _isolation(segments: Sequence[Segment]) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    for segment in segments:
        bridge = segment.bridge
        rules.append((_iif(bridge), _oif(bridge), ("accept",)))
        if segment.internal:
            rules += [(_iif(bridge), ("drop",)), (_oif(bridge), ("drop",))]
    for segment in segments:
        if not segment.internal:
            rules += [
                (_oif(segment.bridge), ("ct state", "established,related"), ("accept",)),
                (_oif(segment.bridge), ("ct status dnat",), ("accept",)),
                (_oif(segment.bridge), ("drop",)),
            ]
    return tuple(rules)


def _planned(db: Database, root_id: str) -> Ruleset:
    segments = [
        Segment(network.bridge, network.subnet, network.internal) for network in rows.all_networks(db)
    ]
    return plan(root_id, segments, (Port(*row) for row in rows.port_rows(db)))


def settle(ctx: Context, *, only_existing: bool = False) -> bool:
    """Make the kernel's table what the rows say; True when it had to be written. One look tells, so this is
    cheap to call often. Call it after the transaction that changed the rows. ``only_existing``: rows went
    away, so where no table is none is made. Raises NetlinkError."""
    return settle_root(ctx.db, ctx.root_id, str(ctx.paths.run), only_existing=only_existing)


def settle_root(db: Database, root_id: str, run_directory: str, *, only_existing: bool = False) -> bool:
    """:func:`settle` for a caller without a Context."""
    fd = os.open(f"{run_directory}/firewall.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        # Held from reading the rows to the kernel's commit: else an older plan could overwrite a newer one.
        fcntl.flock(fd, fcntl.LOCK_EX)
        ruleset = _planned(db, root_id)
        mark = _mark(ruleset)
        with nftables.open_nftables() as netlink:
            if nftables.has_chain(netlink, ruleset.table, mark):
                return False
            if only_existing and not nftables.has_table(netlink, ruleset.table):
                return False
            nftables.replace(netlink, ruleset._replace(chains=(Chain(mark, ()), *ruleset.chains)))
            return True
    finally:
        os.close(fd)


def _mark(ruleset: Ruleset) -> str:
    """An empty chain, named after the plan's checksum, says which plan the kernel has."""
    return f"plan-{zlib.crc32(ruleset.text().encode()):08x}"


def is_settled(ctx: Context) -> bool:
    """The kernel has the table that the rows ask for; or none, and no bridge that would need one. Rules that
    somebody else changed in it do not show. Raises NetlinkError."""
    ruleset = _planned(ctx.db, ctx.root_id)
    with nftables.open_nftables() as netlink:
        if nftables.has_chain(netlink, ruleset.table, _mark(ruleset)):
            return True
        if nftables.has_table(netlink, ruleset.table):
            return False
    return not ctx.db.row("SELECT 1 FROM endpoint LIMIT 1")


def exists(root_id: str) -> bool:
    """The root has a table. Raises NetlinkError."""
    with nftables.open_nftables() as netlink:
        return nftables.has_table(netlink, table_name(root_id))


def forget(root_id: str) -> None:
    """Remove the root's table. Raises NetlinkError."""
    with nftables.open_nftables() as netlink:
        nftables.remove(netlink, table_name(root_id))
