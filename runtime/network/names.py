"""Names of containers on user networks: what is asked, who it is, the answer (RFC 1035).

Pure but for :func:`lookup` and :func:`reverse`, which read the endpoint rows. On the default network there
are no names, as in docker. The program that listens is :mod:`runtime.network.resolver`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from runtime.store.database import Database

__all__ = ["TTL", "Question", "Resolver", "failure", "links_of", "lookup", "networks_of", "parse", "reverse"]

TTL = 600
"""Seconds, docker's."""
UDP_LIMIT = 512
A, PTR, AAAA = 1, 12, 28
INTERNET = 1
RESPONSE, AUTHORITATIVE, TRUNCATED = 0x8000, 0x0400, 0x0200
RECURSION_DESIRED, RECURSION_AVAILABLE = 0x0100, 0x0080
FORMAT_ERROR, SERVER_FAILURE, NO_SUCH_NAME, NOT_IMPLEMENTED = 1, 2, 3, 4
REVERSE = ".in-addr.arpa"


class Question(NamedTuple):
    """``name`` is lower case without the last dot; ``raw`` is the question as it came."""

    identity: int
    flags: int
    name: str
    type: int
    qclass: int
    raw: bytes


def parse(query: bytes) -> Question | None:
    """A standard query with one question; None for anything else."""
    if len(query) < 17:
        return None
    identity, flags, questions = struct.unpack_from(">HHH", query)
    if flags & RESPONSE or questions != 1:
        return None
    labels: list[str] = []
    offset = 12
    while offset < len(query) and (length := query[offset]):
        if length > 63 or offset + 1 + length > len(query):
            return None
        labels.append(query[offset + 1 : offset + 1 + length].decode("latin-1").lower())
        offset += 1 + length
    if offset + 5 > len(query):
        return None
    kind, qclass = struct.unpack_from(">HH", query, offset + 1)
    return Question(identity, flags, ".".join(labels), kind, qclass, query[12 : offset + 5])


def _message(question: Question, flags: int, records: Sequence[bytes]) -> bytes:
    flags |= RESPONSE | RECURSION_AVAILABLE | (question.flags & (RECURSION_DESIRED | 0x7800))
    return (
        struct.pack(">6H", question.identity, flags, 1, len(records), 0, 0) + question.raw + b"".join(records)
    )


def failure(query: bytes, code: int = SERVER_FAILURE) -> bytes | None:
    """An answer that says no; None when not even the question can be read."""
    question = parse(query)
    if question is not None:
        return _message(question, code, [])
    if len(query) < 12 or query[2] & 0x80:
        return None
    return struct.pack(">6H", struct.unpack_from(">H", query)[0], RESPONSE | FORMAT_ERROR, 0, 0, 0, 0)


def _record(kind: int, data: bytes) -> bytes:
    """For the question's own name, which is at offset 12 of every message."""
    return struct.pack(">HHHIH", 0xC00C, kind, INTERNET, TTL, len(data)) + data


def _encoded(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode("latin-1") for label in name.split(".")) + b"\0"


class Resolver:
    """``find`` gives the addresses of a name, ``find_name`` the name of an address ("" for none). Several
    addresses of a name come in another order each time, so that clients spread over a service's replicas."""

    def __init__(self, find: Callable[[str], list[str]], find_name: Callable[[str], str]) -> None:
        self._find = find
        self._find_name = find_name
        self._turn = 0

    def answer(self, query: bytes, *, limit: int | None = UDP_LIMIT) -> bytes | None:
        """The answer for a name of ours, or for a query that nobody should see; None: ask an upstream.
        ``limit`` is the longest answer in bytes; a longer one is cut and says so (None: TCP)."""
        question = parse(query)
        if question is None:
            return failure(query)
        if question.flags & 0x7800:
            return _message(question, NOT_IMPLEMENTED, [])
        if question.qclass != INTERNET:
            return None
        if question.type in (A, AAAA):
            return self._addresses(question, limit)
        if question.type == PTR and question.name.endswith(REVERSE):
            address = ".".join(reversed(question.name.removesuffix(REVERSE).split(".")))
            name = self._find_name(address)
            return _message(question, AUTHORITATIVE, [_record(PTR, _encoded(name))]) if name else None
        return None

    def _addresses(self, question: Question, limit: int | None) -> bytes | None:
        found = self._find(question.name)
        if not found:
            return None
        if question.type == AAAA:
            return _message(question, AUTHORITATIVE, [])  # the name exists, without an IPv6 address
        self._turn += 1
        start = self._turn % len(found)
        records = [
            _record(A, bytes(int(part) for part in address.split(".")))
            for address in found[start:] + found[:start]
        ]
        if limit is not None:
            room = max(0, (limit - 12 - len(question.raw)) // len(records[0]))
            if room < len(records):
                return _message(question, AUTHORITATIVE | TRUNCATED, records[:room])
        return _message(question, AUTHORITATIVE, records)


def networks_of(db: Database, container_id: str) -> list[tuple[str, str]]:
    """(id, name) of the networks with names that the container is on."""
    rows = db.rows(
        "SELECT network.id, network.name FROM endpoint JOIN network ON network.id = network_id"
        " WHERE container_id = ? AND network.name <> 'bridge' ORDER BY interface",
        (container_id,),
    )
    return [(row[0], row[1]) for row in rows]


def links_of(db: Database, container_id: str) -> list[tuple[str, str, str, str]]:
    """(network id, network's name, alias, the name that it stands for) of what ``--link`` gave."""
    rows = db.rows(
        "SELECT network.id, network.name, json_each.value FROM endpoint"
        " JOIN network ON network.id = network_id, json_each(endpoint.links)"
        " WHERE container_id = ? ORDER BY interface",
        (container_id,),
    )
    found = []
    for network_id, network_name, text in rows:
        name, _, alias = text.partition(":")
        found.append((network_id, network_name, (alias or name).lower(), name))
    return found


_MATCHES = (
    "(lower(container.name) = ? OR substr(container_id, 1, 12) = ?"
    " OR EXISTS (SELECT 1 FROM json_each(endpoint.aliases) WHERE lower(json_each.value) = ?))"
)


def lookup(
    db: Database,
    networks: Sequence[tuple[str, str]],
    name: str,
    links: Sequence[tuple[str, str, str, str]] = (),
) -> list[str]:
    """Addresses of the containers called ``name`` (name, alias or short id; "name.network" too) on the
    networks (id, name), those of the first network that knows it. The asker's own ``links``
    (:func:`links_of`) come first."""
    name = name.lower()
    for network_id, network_name, alias, target in links:
        if name in (alias, f"{alias}.{network_name.lower()}"):
            found = lookup(db, [(network_id, network_name)], target)
            if found:
                return found
    for network_id, network_name in networks:
        for wanted in (name, name.removesuffix(f".{network_name.lower()}")):
            rows = db.rows(
                "SELECT ipv4 FROM endpoint LEFT JOIN container ON container.id = container_id"
                f" WHERE network_id = ? AND {_MATCHES} ORDER BY ipv4",
                (network_id, wanted, wanted, wanted),
            )
            if rows:
                return [row[0] for row in rows]
    return []


def reverse(db: Database, networks: Sequence[tuple[str, str]], address: str) -> str:
    """ "container.network", or "" for an address that is nobody's here."""
    for network_id, network_name in networks:
        row = db.row(
            "SELECT container.name FROM endpoint JOIN container ON container.id = container_id"
            " WHERE network_id = ? AND ipv4 = ?",
            (network_id, address),
        )
        if row:
            return f"{row[0]}.{network_name}"
    return ""
