"""Names of containers: questions and answers checked with dnslib, lookups on real rows."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path

import dnslib
import pytest

from runtime.network import names
from runtime.network.names import Resolver
from runtime.store.database import Database

KNOWN = {"web": ["10.0.0.2", "10.0.0.3", "10.0.0.4"], "db": ["10.0.0.9"]}
BACK = {"10.0.0.9": "db.blue"}


def resolver() -> Resolver:
    return Resolver(lambda name: KNOWN.get(name, []), lambda address: BACK.get(address, ""))


def ask(name: str, kind: str = "A") -> dnslib.DNSRecord:
    answer = resolver().answer(dnslib.DNSRecord.question(name, kind).pack())
    assert answer is not None
    return dnslib.DNSRecord.parse(answer)


def test_a_name() -> None:
    told = ask("db")
    assert told.header.qr == 1 and told.header.ra == 1 and told.header.rcode == 0
    assert [(str(r.rname), str(r.rdata), r.ttl) for r in told.rr] == [("db.", "10.0.0.9", 600)]
    assert str(told.q.qname) == "db."


def test_case_does_not_matter_and_is_given_back() -> None:
    told = ask("DB")
    assert str(told.q.qname) == "DB." and str(told.rr[0].rdata) == "10.0.0.9"


def test_replicas_take_turns_at_the_front() -> None:
    one = resolver()
    query = dnslib.DNSRecord.question("web").pack()
    fronts: Counter[str] = Counter()
    for _ in range(9):
        answer = one.answer(query)
        assert answer is not None
        records = [str(record.rdata) for record in dnslib.DNSRecord.parse(answer).rr]
        assert sorted(records) == KNOWN["web"]
        fronts[records[0]] += 1
    assert set(fronts.values()) == {3}


def test_a_known_name_has_no_ipv6_address() -> None:
    told = ask("db", "AAAA")
    assert told.header.rcode == 0 and told.rr == []


def test_reverse() -> None:
    assert [str(record.rdata) for record in ask("9.0.0.10.in-addr.arpa", "PTR").rr] == ["db.blue."]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("pypi.org", "A"), ("pypi.org", "AAAA"), ("db", "MX"), ("1.1.1.1.in-addr.arpa", "PTR"), (".", "NS")],
)
def test_the_rest_is_for_upstreams(name: str, kind: str) -> None:
    assert resolver().answer(dnslib.DNSRecord.question(name, kind).pack()) is None


def test_long_answers_are_cut_and_say_so() -> None:
    many = Resolver(lambda name: [f"10.0.1.{last}" for last in range(200)], lambda address: "")
    query = dnslib.DNSRecord.question("web").pack()
    cut = many.answer(query)
    assert cut is not None and len(cut) <= 512
    told = dnslib.DNSRecord.parse(cut)
    assert told.header.tc == 1 and len(told.rr) == 30
    whole = many.answer(query, limit=None)
    assert whole is not None and len(dnslib.DNSRecord.parse(whole).rr) == 200


def test_other_operations_are_refused() -> None:
    query = bytearray(dnslib.DNSRecord.question("db").pack())
    query[2] |= 2 << 3
    answer = resolver().answer(bytes(query))
    assert answer is not None and dnslib.DNSRecord.parse(answer).header.rcode == names.NOT_IMPLEMENTED


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\0" * 11,
        struct.pack(">6H", 7, 0x8000, 1, 0, 0, 0) + b"\2db\0\0\1\0\1",
        struct.pack(">6H", 7, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1",
        struct.pack(">6H", 7, 0, 1, 0, 0, 0) + b"\x3fshort\0\0\1\0\1",
        struct.pack(">6H", 7, 0, 2, 0, 0, 0) + b"\2db\0\0\1\0\1",
        struct.pack(">6H", 7, 0, 1, 0, 0, 0) + b"\2db\0\0",
    ],
)
def test_junk_gets_a_format_error_or_nothing(junk: bytes) -> None:
    answer = resolver().answer(junk)
    if len(junk) < 12 or junk[2] & 0x80:
        assert answer is None
    else:
        assert answer == struct.pack(">6H", 7, 0x8001, 0, 0, 0, 0)


def test_failure_repeats_the_question() -> None:
    query = dnslib.DNSRecord.question("pypi.org")
    answer = names.failure(query.pack())
    assert answer is not None
    told = dnslib.DNSRecord.parse(answer)
    assert (told.header.rcode, told.header.id, told.q) == (2, query.header.id, query.q)


@pytest.fixture
def db(tmp_path: Path) -> Database:
    made = Database(tmp_path / "t.db")
    with made.write() as tx:
        for network in ("bridge", "blue", "red"):
            tx.execute(
                "INSERT INTO network VALUES (?, ?, 'bridge', '', '', '', 0, '{}', '{}', 0)",
                (f"n-{network}", network),
            )
        for identity, name, network, address, aliases in (
            ("a" * 64, "demo-web-1", "blue", "10.0.0.2", '["web", "Front"]'),
            ("b" * 64, "demo-web-2", "blue", "10.0.0.3", '["web"]'),
            ("c" * 64, "db", "red", "10.1.0.2", "[]"),
            ("d" * 64, "plain", "bridge", "172.17.0.2", "[]"),
            ("e" * 64, "me", "blue", "10.0.0.4", "[]"),
            ("e" * 64, "me", "red", "10.1.0.4", "[]"),
        ):
            tx.execute("INSERT OR IGNORE INTO container VALUES (?, ?, '', 0, '{}', '[]', 'running', '{}', 0)",
                       (identity, name))  # fmt: skip
            tx.execute("INSERT INTO endpoint (container_id, network_id, ipv4, mac, host_interface, interface,"
                       " aliases) VALUES (?, ?, ?, '', '', 'eth0', ?)",
                       (identity, f"n-{network}", address, aliases))  # fmt: skip
    return made


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("web", ["10.0.0.2", "10.0.0.3"]),
        ("WEB.Blue", ["10.0.0.2", "10.0.0.3"]),
        ("front", ["10.0.0.2"]),
        ("demo-web-2", ["10.0.0.3"]),
        ("bbbbbbbbbbbb", ["10.0.0.3"]),
        ("db", ["10.1.0.2"]),
        ("db.red", ["10.1.0.2"]),
        ("db.blue", []),
        ("me", ["10.0.0.4"]),
        ("plain", []),
        ("web.example.org", []),
        ("", []),
    ],
)
def test_lookup(db: Database, name: str, expected: list[str]) -> None:
    assert names.lookup(db, names.networks_of(db, "e" * 64), name) == expected


def test_names_of_other_networks_are_not_known(db: Database) -> None:
    assert names.lookup(db, names.networks_of(db, "c" * 64), "web") == []
    assert names.networks_of(db, "d" * 64) == []


def test_reverse_lookup(db: Database) -> None:
    mine = names.networks_of(db, "e" * 64)
    assert names.reverse(db, mine, "10.1.0.2") == "db.red"
    assert names.reverse(db, mine, "172.17.0.2") == ""


def test_a_link_is_a_name_of_its_own(db: Database) -> None:
    me = "e" * 64
    with db.write() as tx:
        tx.execute(
            "UPDATE endpoint SET links = ? WHERE container_id = ? AND network_id = 'n-blue'",
            ('["demo-web-2:Peer", "nobody:web"]', me),
        )
    mine, links = names.networks_of(db, me), names.links_of(db, me)
    assert names.links_of(db, "a" * 64) == []
    for name, expected in (
        ("peer", ["10.0.0.3"]),
        ("PEER.blue", ["10.0.0.3"]),
        ("peer.red", []),
        ("web", ["10.0.0.2", "10.0.0.3"]),  # what it stands for is nobody: the network's own name
    ):
        assert names.lookup(db, mine, name, links) == expected, name
    assert names.lookup(db, mine, "peer") == []
