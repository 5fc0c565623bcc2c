"""The nftables rule language, as far as the firewall speaks it: statements to text and to netlink.

A statement is a tuple of words, its keyword first, which reads like nft(8); a rule is a tuple of
statements; a chain has a name and, when it hangs on a hook, a type, hook and priority. The encoding is
linux/netfilter/nf_tables.h, numbers in network byte order unless the kernel compares host integers.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from runtime.network import pools
from runtime.network.netlink import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    Message,
    Netlink,
    attribute,
    attributes,
    nested,
    string,
)

__all__ = [
    "NETLINK_NETFILTER",
    "Chain",
    "Hook",
    "Rule",
    "Ruleset",
    "Statement",
    "open_nftables",
    "remove",
    "replace",
]

Statement = tuple[str, ...]
Rule = tuple[Statement, ...]


class Hook(NamedTuple):
    type: str
    hook: str
    priority: int


class Chain(NamedTuple):
    name: str
    rules: tuple[Rule, ...]
    hook: Hook | None = None

    def text(self) -> str:
        lines = [f"\tchain {self.name} {{"]
        if self.hook:
            kind, hook, priority = self.hook
            lines.append(f"\t\ttype {kind} hook {hook} priority {priority}; policy accept;")
        lines += ["\t\t" + " ".join(" ".join(statement) for statement in rule) for rule in self.rules]
        return "\n".join([*lines, "\t}"])


class Ruleset(NamedTuple):
    """A table and its chains; a chain that is jumped to comes before those that jump."""

    table: str
    chains: tuple[Chain, ...]

    def text(self) -> str:
        """As ``nft -f`` reads it."""
        return "\n".join([f"table ip {self.table} {{", *(chain.text() for chain in self.chains), "}\n"])


NETLINK_NETFILTER = 12
NFNL_SUBSYS_NFTABLES = 10
NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END = 16, 17
NEWTABLE, GETTABLE, DELTABLE, NEWCHAIN, GETCHAIN, DELCHAIN, NEWRULE, DELRULE = 0, 1, 2, 3, 4, 5, 6, 8
HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}
REGISTER, REGISTER_2 = 1, 2
CMP_EQ, CMP_NEQ = 0, 1
META_IIFNAME, META_OIFNAME, META_L4PROTO = 6, 7, 16
CT_STATE, CT_STATUS = 0, 2
STATES = {"established": 2, "related": 4, "new": 8}
IPS_DST_NAT = 0x20
RTN_LOCAL = 2
PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
BASE_NETWORK, BASE_TRANSPORT = 1, 2
VERDICTS = {"drop": 0, "accept": 1, "jump": -3, "goto": -4, "return": -5}
_GENERIC = struct.pack(">BBH", socket.AF_INET, 0, 0)


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">I", value & 0xFFFFFFFF))


def _expression(name: str, *data: bytes) -> bytes:
    return nested(1, string(1, name), nested(2, *data))


def _compare(value: bytes, operator: int = CMP_EQ) -> bytes:
    return _expression("cmp", _number(1, REGISTER), _number(2, operator), nested(3, attribute(1, value)))


def _mask(mask: bytes) -> bytes:
    return _expression(
        "bitwise",
        _number(1, REGISTER),
        _number(2, REGISTER),
        _number(3, len(mask)),
        nested(4, attribute(1, mask)),
        nested(5, attribute(1, bytes(len(mask)))),
    )


def _payload(base: int, offset: int, length: int) -> bytes:
    return _expression(
        "payload", _number(1, REGISTER), _number(2, base), _number(3, offset), _number(4, length)
    )


def _meta(key: int) -> bytes:
    return _expression("meta", _number(1, REGISTER), _number(2, key))


def _conntrack(key: int) -> bytes:
    return _expression("ct", _number(1, REGISTER), _number(2, key))


def _immediate(register: int, value: bytes) -> bytes:
    return _expression("immediate", _number(1, register), nested(2, attribute(1, value)))


def _verdict(code: str, chain: str = "") -> bytes:
    parts = [_number(1, VERDICTS[code])]
    if chain:
        parts.append(string(2, chain))
    return _expression("immediate", _number(1, 0), nested(2, nested(2, *parts)))


def _address(offset: int, text: str, operator: int) -> bytes:
    if "/" not in text:
        return _payload(BASE_NETWORK, offset, 4) + _compare(socket.inet_aton(text), operator)
    base, bits = pools.parse_subnet(text)
    mask = struct.pack(">I", (0xFFFFFFFF << (32 - bits)) & 0xFFFFFFFF)
    value = struct.pack(">I", base)
    return _payload(BASE_NETWORK, offset, 4) + _mask(mask) + _compare(value, operator)


def _operand(words: tuple[str, ...]) -> tuple[int, str]:
    return (CMP_NEQ, words[1]) if words[0] == "!=" else (CMP_EQ, words[-1])


def encode(statement: Statement) -> bytes:
    """The expressions of one statement. Raises KeyError for a word that is not in the language."""
    keyword, *rest = statement
    words = tuple(rest)
    if keyword in ("iifname", "oifname"):
        operator, name = _operand(words)
        key = META_IIFNAME if keyword == "iifname" else META_OIFNAME
        return _meta(key) + _compare(name.strip('"').encode().ljust(16, b"\0"), operator)
    if keyword in ("ip saddr", "ip daddr"):
        operator, text = _operand(words)
        return _address(12 if keyword == "ip saddr" else 16, text, operator)
    if keyword in ("tcp dport", "udp dport", "sctp dport"):
        protocol = _meta(META_L4PROTO) + _compare(bytes([PROTOCOLS[keyword.split()[0]]]))
        return protocol + _payload(BASE_TRANSPORT, 2, 2) + _compare(struct.pack(">H", int(words[0])))
    if keyword == "ct state":
        mask = sum(STATES[word] for word in words[0].split(","))
        return _conntrack(CT_STATE) + _mask(struct.pack("=I", mask)) + _compare(bytes(4), CMP_NEQ)
    if keyword == "ct status dnat":
        return _conntrack(CT_STATUS) + _mask(struct.pack("=I", IPS_DST_NAT)) + _compare(bytes(4), CMP_NEQ)
    if keyword == "fib daddr type local":
        lookup = _expression("fib", _number(1, REGISTER), _number(2, 3), _number(3, 2))
        return lookup + _compare(struct.pack("=I", RTN_LOCAL))
    if keyword == "numgen inc mod":
        modulus = int(words[0])
        generator = _expression(
            "numgen", _number(1, REGISTER), _number(2, modulus), _number(3, 0), _number(4, 0)
        )
        return generator + _compare(struct.pack("=I", int(words[1])))
    if keyword == "dnat to":
        address, _, port = words[0].partition(":")
        loads = _immediate(REGISTER, socket.inet_aton(address)) + _immediate(
            REGISTER_2, struct.pack(">H", int(port))
        )
        return loads + _expression(
            "nat", _number(1, 1), _number(2, socket.AF_INET), _number(3, REGISTER), _number(5, REGISTER_2)
        )
    if keyword == "masquerade":
        return _expression("masq")
    return _verdict(keyword, *words)


def _message(kind: int, flags: int, *parts: bytes) -> Message:
    return NFNL_SUBSYS_NFTABLES << 8 | kind, flags, _GENERIC + b"".join(parts)


def _batch(messages: list[Message]) -> list[Message]:
    edge = struct.pack(">BBH", socket.AF_UNSPEC, 0, NFNL_SUBSYS_NFTABLES)
    return [(NFNL_MSG_BATCH_BEGIN, 0, edge), *messages, (NFNL_MSG_BATCH_END, 0, edge)]


def _chain(table: str, chain: Chain) -> Message:
    parts = [string(1, table), string(3, chain.name)]
    if chain.hook:
        parts.append(nested(4, _number(1, HOOKS[chain.hook.hook]), _number(2, chain.hook.priority)))
        parts.append(_number(5, VERDICTS["accept"]))
        parts.append(string(7, chain.hook.type))
    return _message(NEWCHAIN, NLM_F_CREATE, *parts)


def _rule(table: str, chain: str, rule: Rule) -> Message:
    expressions = nested(4, *(encode(statement) for statement in rule))
    return _message(NEWRULE, NLM_F_CREATE | NLM_F_APPEND, string(1, table), string(2, chain), expressions)


def open_nftables() -> Netlink:
    return Netlink(NETLINK_NETFILTER)


def replace(netlink: Netlink, ruleset: Ruleset) -> None:
    """The table as planned, in one transaction: a packet meets the old rules or the new ones.

    Chains that stay are emptied and filled again, not removed: taking a chain off its hook waits for the
    kernel's other processors (5 to 20 ms). Raises NetlinkError."""
    table = string(1, ruleset.table)
    kept = {chain.name for chain in ruleset.chains}
    messages = [_message(NEWTABLE, NLM_F_CREATE, table), _message(DELRULE, 0, table)]
    messages += [
        _message(DELCHAIN, 0, table, string(3, name))
        for name in chain_names(netlink, ruleset.table)
        if name not in kept
    ]
    messages += [_chain(ruleset.table, chain) for chain in ruleset.chains]
    messages += [_rule(ruleset.table, chain.name, rule) for chain in ruleset.chains for rule in chain.rules]
    netlink.transaction(_batch(messages), f"write firewall table {ruleset.table}")


def remove(netlink: Netlink, table: str) -> None:
    """No table is no error. Raises NetlinkError."""
    name = string(1, table)
    messages = [_message(NEWTABLE, NLM_F_CREATE, name), _message(DELTABLE, 0, name)]
    netlink.transaction(_batch(messages), f"remove firewall table {table}")


def has_table(netlink: Netlink, table: str) -> bool:
    return netlink.get(_message(GETTABLE, 0, string(1, table)), f"look up table {table}") is not None


def has_chain(netlink: Netlink, table: str, chain: str) -> bool:
    message = _message(GETCHAIN, 0, string(1, table), string(3, chain))
    return netlink.get(message, f"look up chain {chain}") is not None


def chain_names(netlink: Netlink, table: str) -> list[str]:
    """Of one table; none when there is no such table."""
    found = []
    for body in netlink.dump(NFNL_SUBSYS_NFTABLES << 8 | GETCHAIN, _GENERIC, "list chains"):
        known = attributes(body[4:])
        if known[1].rstrip(b"\0").decode() == table:
            found.append(known[3].rstrip(b"\0").decode())
    return found


def forwarding_dropped(netlink: Netlink) -> list[str]:
    """ "FAMILY TABLE CHAIN" of every base chain of forwarded IPv4 traffic whose policy is drop, whoever's."""
    families = {1: "inet", socket.AF_INET: "ip"}
    found = []
    every = struct.pack(">BBH", socket.AF_UNSPEC, 0, 0)
    for body in netlink.dump(NFNL_SUBSYS_NFTABLES << 8 | GETCHAIN, every, "list chains"):
        known = attributes(body[4:])
        hook = attributes(known.get(4, b"")).get(1)  # NFTA_CHAIN_HOOK, NFTA_HOOK_HOOKNUM
        policy = known.get(5)  # NFTA_CHAIN_POLICY
        if body[0] not in families or hook is None or policy is None:
            continue
        if struct.unpack(">I", hook)[0] == HOOKS["forward"] and struct.unpack(">I", policy)[0] == 0:
            names = (known[kind].rstrip(b"\0").decode(errors="replace") for kind in (1, 3))
            found.append(f"{families[body[0]]} {' '.join(names)}")
    return sorted(found)
