"""Links, addresses and routes through rtnetlink (rtnetlink(7), linux/if_link.h).

``interface`` numbers are per network namespace, so every function works on the :class:`Netlink` it is
given: the machine's, or one opened inside a container's namespace by :func:`open_in`.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import NamedTuple

from runtime.kernel import syscalls
from runtime.network.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    Message,
    Netlink,
    NetlinkError,
    attribute,
    attributes,
    nested,
    string,
)

__all__ = [
    "Link", "Route", "Veth", "configure", "create_bridge", "create_veths", "default_mtu", "delete", "exists",
    "links", "open_here", "open_in", "routes", "set_default_route",
]  # fmt: skip

NETLINK_ROUTE = 0
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR = 20
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
NLM_F_REPLACE = 0x100
IFF_UP = 1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_FD = 1, 3, 4, 10, 18, 28
IFLA_AF_SPEC, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE = 26, 8, 1
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA, IFLA_BRPORT_MODE = 4, 5, 4
VETH_INFO_PEER = 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_TABLE = 1, 4, 5, 6, 15
RT_TABLE_MAIN, RTPROT_BOOT, RTN_UNICAST = 254, 3, 1
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 0, 253
LOOPBACK = 1
"""The interface number of ``lo``: the first one that a new namespace makes."""

_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=BBBBBBBBI")


class Link(NamedTuple):
    number: int
    name: str
    master: int


class Route(NamedTuple):
    """``destination`` is "a.b.c.d/n"; ``link`` the number of the outgoing one, 0 for none."""

    destination: str
    link: int
    table: int
    priority: int


class Veth(NamedTuple):
    """A pair: ``host`` is enslaved to ``bridge``, the other end is ``name`` in the container's namespace."""

    host: str
    bridge: str
    name: str
    mac: str
    mtu: int


def open_here() -> Netlink:
    return Netlink(NETLINK_ROUTE)


def open_in(netns: int, protocol: int = NETLINK_ROUTE) -> Netlink:
    """A socket that acts in the network namespace ``netns`` (a descriptor). Only this thread visits it,
    and comes back before anything else can run on it; setns(2) with a network namespace is allowed in a
    process with several threads. A thread that cannot come back must not live on: it is ended."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.setns(netns, syscalls.CLONE_NEWNET)
        try:
            return Netlink(protocol)
        finally:
            syscalls.setns(own, syscalls.CLONE_NEWNET)
    finally:
        os.close(own)


def exists(name: str) -> bool:
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def mtu_of(name: str) -> int:
    """Of a link of this namespace; 1500 where it is gone."""
    try:
        with open(f"/sys/class/net/{name}/mtu", encoding="ascii") as file:
            return int(file.read())
    except OSError:
        return 1500


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _u32(value: int) -> bytes:
    return struct.pack("=I", value)


def _link_up(index: int) -> Message:
    return RTM_NEWLINK, 0, _IFINFO.pack(socket.AF_UNSPEC, 0, index, IFF_UP, IFF_UP)


def _new_address(index: int, address: str, prefix_length: int) -> Message:
    raw = socket.inet_aton(address)
    host_bits = (1 << (32 - prefix_length)) - 1
    broadcast = (int.from_bytes(raw, "big") | host_bits).to_bytes(4, "big")
    payload = _IFADDR.pack(socket.AF_INET, prefix_length, 0, RT_SCOPE_UNIVERSE, index)
    payload += attribute(IFA_LOCAL, raw) + attribute(IFA_ADDRESS, raw) + attribute(IFA_BROADCAST, broadcast)
    return RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, payload


def _default_route(index: int, gateway: str, how: int = NLM_F_EXCL) -> Message:
    payload = _RTMSG.pack(
        socket.AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST, 0
    )
    payload += attribute(RTA_OIF, _u32(index)) + attribute(RTA_GATEWAY, socket.inet_aton(gateway))
    return RTM_NEWROUTE, NLM_F_CREATE | how, payload


def create_bridge(
    netlink: Netlink, name: str, *, mac: str, mtu: int, address: str, prefix_length: int
) -> None:
    """A bridge that is up, with its address. ``mac`` is set so that it does not change as ports come and
    go (a bridge without one takes the lowest of its ports'). Raises NetlinkError; leaves nothing then."""
    payload = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    payload += string(IFLA_IFNAME, name) + attribute(IFLA_ADDRESS, _mac(mac))
    payload += nested(IFLA_LINKINFO, string(IFLA_INFO_KIND, "bridge"))
    what = f"create bridge {name}"
    netlink.request([(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, payload)], what)
    try:
        index = socket.if_nametoindex(name)
        # An MTU that comes with the creation is forgotten when the last port leaves; one set later stays.
        own_mtu: Message = (RTM_NEWLINK, 0, _IFINFO.pack(0, 0, index, 0, 0) + attribute(IFLA_MTU, _u32(mtu)))
        address_of_bridge = _new_address(index, address, prefix_length)
        netlink.request([own_mtu, _no_ipv6_address(index), address_of_bridge, _link_up(index)], what)
    except BaseException:
        delete(netlink, [name])
        raise


def _no_ipv6_address(index: int) -> Message:
    """No link-local IPv6 address on the machine's side: nobody speaks it there."""
    mode = attribute(IFLA_INET6_ADDR_GEN_MODE, bytes([IN6_ADDR_GEN_MODE_NONE]))
    spec = nested(IFLA_AF_SPEC, nested(socket.AF_INET6, mode))
    return RTM_NEWLINK, 0, _IFINFO.pack(socket.AF_UNSPEC, 0, index, 0, 0) + spec


def create_veths(netlink: Netlink, netns: int, veths: list[Veth]) -> None:
    """Each pair in one message: both ends named, one up on its bridge, the other with its MAC in the
    namespace ``netns`` (a descriptor). Raises NetlinkError; pairs made before a failure stay."""
    messages: list[Message] = []
    for veth in veths:
        mtu = attribute(IFLA_MTU, _u32(veth.mtu))
        # The kernel configures the peer before it knows its other half, so it cannot be up yet (ENOTCONN).
        peer = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        peer += string(IFLA_IFNAME, veth.name) + attribute(IFLA_ADDRESS, _mac(veth.mac)) + mtu
        peer += attribute(IFLA_NET_NS_FD, _u32(netns))
        payload = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, IFF_UP, IFF_UP)
        payload += string(IFLA_IFNAME, veth.host) + mtu
        payload += attribute(IFLA_MASTER, _u32(socket.if_nametoindex(veth.bridge)))
        payload += nested(
            IFLA_LINKINFO,
            string(IFLA_INFO_KIND, "veth"),
            nested(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, peer)),
        )
        messages += [(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, payload), _hairpin(veth.host)]
    if messages:
        netlink.request(messages, f"create veth {', '.join(veth.host for veth in veths)}")


def _hairpin(name: str) -> Message:
    """Let the bridge send a frame back where it came from. Where br_netfilter is on, a container that asks
    for its own published port is translated inside the bridge, and its frame never leaves by another port."""
    mode = nested(IFLA_INFO_SLAVE_DATA, attribute(IFLA_BRPORT_MODE, b"\1"))
    info = nested(IFLA_LINKINFO, string(IFLA_INFO_SLAVE_KIND, "bridge"), mode)
    return RTM_NEWLINK, 0, _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + string(IFLA_IFNAME, name) + info


def configure(
    netlink: Netlink, addresses: list[tuple[str, str, int]], gateway: tuple[str, str] | None
) -> None:
    """Inside a namespace: ``lo`` up, (name, address, prefix length) and up for each link, and the default
    route (name, gateway). One datagram. Raises NetlinkError."""
    index = {name: _index(netlink, name) for name, _, _ in addresses}
    messages = [_link_up(LOOPBACK)]
    for name, address, length in addresses:
        messages += [_new_address(index[name], address, length), _link_up(index[name])]
    if gateway is not None:
        messages.append(_default_route(index[gateway[0]], gateway[1]))
    netlink.request(messages, f"configure {', '.join(index)}")


def set_default_route(netlink: Netlink, gateway: tuple[str, str] | None) -> None:
    """Inside a namespace: the default route (link's name, gateway) in place of another; None: there is none.
    Raises NetlinkError."""
    if gateway is not None:
        message = _default_route(_index(netlink, gateway[0]), gateway[1], NLM_F_REPLACE)
        netlink.request([message], "set the default route")
        return
    payload = _RTMSG.pack(socket.AF_INET, 0, 0, 0, RT_TABLE_MAIN, 0, RT_SCOPE_UNIVERSE, RTN_UNICAST, 0)
    netlink.request([(RTM_DELROUTE, 0, payload)], "remove the default route", ignore=(errno.ESRCH,))


def _index(netlink: Netlink, name: str) -> int:
    payload = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + string(IFLA_IFNAME, name)
    found = netlink.get((RTM_GETLINK, 0, payload), f"look up {name}")
    if found is None:
        raise NetlinkError(19, f"look up {name}")
    return int(_IFINFO.unpack_from(found)[2])


def delete(netlink: Netlink, names: list[str]) -> None:
    """Links that are gone already do not matter (a veth dies with its peer's namespace)."""
    messages: list[Message] = [
        (RTM_DELLINK, 0, _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + string(IFLA_IFNAME, name))
        for name in names
    ]
    if messages:
        netlink.request(messages, f"delete {', '.join(names)}", ignore=(19,))


def links(netlink: Netlink) -> list[Link]:
    found = []
    for body in netlink.dump(RTM_GETLINK, _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0), "list links"):
        known = attributes(body[_IFINFO.size :])
        name = known[IFLA_IFNAME].rstrip(b"\0").decode(errors="replace")
        master = struct.unpack("=I", known[IFLA_MASTER])[0] if IFLA_MASTER in known else 0
        found.append(Link(_IFINFO.unpack_from(body)[2], name, master))
    return found


def routes(netlink: Netlink) -> list[Route]:
    """IPv4, of every table."""
    found = []
    request = _RTMSG.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)
    for body in netlink.dump(RTM_GETROUTE, request, "list routes"):
        length, table = body[1], body[4]
        known = attributes(body[_RTMSG.size :])
        destination = socket.inet_ntoa(known.get(RTA_DST, b"\0\0\0\0"))
        numbers = {
            kind: struct.unpack("=I", known[kind])[0] for kind in (RTA_OIF, RTA_PRIORITY) if kind in known
        }
        found.append(
            Route(f"{destination}/{length}", numbers.get(RTA_OIF, 0), table, numbers.get(RTA_PRIORITY, 0))
        )
    return found


def default_mtu(known: list[Route]) -> int:
    """That of the link which the default route leaves by: a larger one would make every packet a fragment."""
    defaults = [r for r in known if r.destination == "0.0.0.0/0" and r.table == RT_TABLE_MAIN and r.link]
    if not defaults:
        return 1500
    best = min(defaults, key=lambda route: route.priority)
    return mtu_of(socket.if_indextoname(best.link))
