"""Forgetting flows that the kernel still leads elsewhere (ctnetlink, linux/netfilter/nfnetlink_conntrack.h).

Address translation is decided once a flow. A UDP flow has no end, so one that began before a port was
published, or that led to a container which is gone, would never find the new one while it goes on.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Mapping

from runtime.network.netlink import NLA_F_NESTED, Message, Netlink, NetlinkError, attribute, attributes
from runtime.network.nftables import NETLINK_NETFILTER

__all__ = ["forget_udp"]

NFNL_SUBSYS_CTNETLINK = 1
CT_GET, CT_DELETE = 1, 2
CTA_TUPLE_ORIG, CTA_TUPLE_REPLY = 1, 2
CTA_TUPLE_IP, CTA_TUPLE_PROTO = 1, 2
CTA_IP_V4_SRC = 1
CTA_PROTO_NUM, CTA_PROTO_DST_PORT = 1, 3
_DELETE = NFNL_SUBSYS_CTNETLINK << 8 | CT_DELETE
_GENERIC = struct.pack(">BBH", socket.AF_INET, 0, 0)


def forget_udp(wanted: Mapping[int, set[str]]) -> int:
    """Drop flows to the UDP host ports in ``wanted`` that lead to another address than those given for the
    port; how many. Does nothing where the kernel has no ctnetlink. Raises NetlinkError."""
    with Netlink(NETLINK_NETFILTER) as netlink:
        try:
            stale = _stale(netlink, wanted)
        except NetlinkError as error:
            if error.errno in (errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT):
                return 0
            raise
        messages: list[Message] = [
            (
                NFNL_SUBSYS_CTNETLINK << 8 | CT_DELETE,
                0,
                _GENERIC + attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, flow),
            )
            for flow in stale
        ]
        for start in range(0, len(messages), 64):
            netlink.request(messages[start : start + 64], "forget flows", ignore=(errno.ENOENT,))
        return len(messages)


def _stale(netlink: Netlink, wanted: Mapping[int, set[str]]) -> list[bytes]:
    """The original tuples, as the kernel gave them."""
    found = []
    for body in netlink.dump(NFNL_SUBSYS_CTNETLINK << 8 | CT_GET, _GENERIC, "list flows"):
        known = attributes(body[4:])
        original, reply = known.get(CTA_TUPLE_ORIG, b""), known.get(CTA_TUPLE_REPLY, b"")
        protocol = attributes(attributes(original).get(CTA_TUPLE_PROTO, b""))
        if protocol.get(CTA_PROTO_NUM) != bytes([socket.IPPROTO_UDP]) or CTA_PROTO_DST_PORT not in protocol:
            continue
        addresses = wanted.get(struct.unpack(">H", protocol[CTA_PROTO_DST_PORT])[0])
        if addresses is None:
            continue
        answering = attributes(attributes(reply).get(CTA_TUPLE_IP, b"")).get(CTA_IP_V4_SRC)
        if answering is not None and socket.inet_ntoa(answering) not in addresses:
            found.append(original)
    return found
