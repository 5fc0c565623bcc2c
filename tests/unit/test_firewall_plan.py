"""The firewall as data: which rules follow from which networks and ports."""

from __future__ import annotations

from runtime.network import nftables
from runtime.network.firewall import Port, Segment, plan
from runtime.network.nftables import Chain, Ruleset

BRIDGE = Segment("tdabcdef-0", "172.17.0.0/16")
OTHER = Segment("tdabcdef-1", "172.18.0.0/16")
CLOSED = Segment("tdabcdef-2", "172.19.0.0/16", internal=True)


def chain(ruleset: Ruleset, name: str) -> list[str]:
    found: Chain = next(chain for chain in ruleset.chains if chain.name == name)
    return [" ".join(" ".join(statement) for statement in rule) for rule in found.rules]


def test_no_networks_no_rules_but_the_guard() -> None:
    ruleset = plan("abcdef", [], [])
    assert ruleset.table == "tuidock-abcdef"
    assert chain(ruleset, "forward") == []
    assert chain(ruleset, "postrouting") == []
    assert chain(ruleset, "guard") == ['iifname != "lo" ip daddr 127.0.0.0/8 drop']


def test_isolation_lets_in_answers_and_published_ports_only() -> None:
    assert chain(plan("abcdef", [BRIDGE], []), "forward") == [
        'iifname "tdabcdef-0" oifname "tdabcdef-0" accept',
        'oifname "tdabcdef-0" ct state established,related accept',
        'oifname "tdabcdef-0" ct status dnat accept',
        'oifname "tdabcdef-0" drop',
    ]


def test_internal_networks_are_cut_off_before_anything_is_accepted() -> None:
    rules = chain(plan("abcdef", [BRIDGE, CLOSED], []), "forward")
    from_closed = rules.index('iifname "tdabcdef-2" drop')
    to_closed = rules.index('oifname "tdabcdef-2" drop')
    assert max(from_closed, to_closed) < rules.index('oifname "tdabcdef-0" ct status dnat accept')
    assert not any("tdabcdef-2" in rule and "ct" in rule for rule in rules)


def test_internal_networks_are_not_masqueraded_to_the_outside() -> None:
    rules = chain(plan("abcdef", [BRIDGE, CLOSED], []), "postrouting")
    assert 'ip saddr 172.17.0.0/16 oifname != "tdabcdef-0" masquerade' in rules
    assert not any("172.19.0.0/16" in rule and "!=" in rule for rule in rules)


def test_loopback_peers_are_masqueraded_into_each_bridge() -> None:
    rules = chain(plan("abcdef", [BRIDGE, OTHER], []), "postrouting")
    for segment in (BRIDGE, OTHER):
        assert f'ip saddr 127.0.0.0/8 oifname "{segment.bridge}" masquerade' in rules


def test_one_endpoint_is_translated_directly() -> None:
    ruleset = plan("abcdef", [BRIDGE], [Port("0.0.0.0", 8080, "tcp", 80, "172.17.0.2")])
    assert chain(ruleset, "ports") == ["tcp dport 8080 dnat to 172.17.0.2:80"]


def test_a_group_takes_turns() -> None:
    ports = [Port("0.0.0.0", 4000, "tcp", 80, f"172.17.0.{last}") for last in (2, 3, 4)]
    ruleset = plan("abcdef", [BRIDGE], ports)
    assert chain(ruleset, "ports") == ["tcp dport 4000 goto tcp-4000"]
    assert chain(ruleset, "tcp-4000") == [
        "numgen inc mod 3 0 dnat to 172.17.0.2:80",
        "numgen inc mod 2 0 dnat to 172.17.0.3:80",
        "dnat to 172.17.0.4:80",
    ]


def test_the_cascade_is_exactly_even() -> None:
    """Run the planned rules as the kernel does: each counter counts the connections that reach it."""
    for count in range(2, 9):
        ports = [Port("0.0.0.0", 1, "tcp", 80, f"10.0.0.{number}") for number in range(count)]
        rules = next(c for c in plan("x", [], ports).chains if c.name == "tcp-1").rules
        counters = [0] * count
        hits = dict.fromkeys(range(count), 0)
        for _ in range(count * 10):
            for number, rule in enumerate(rules):
                if rule[0][0] == "numgen inc mod":
                    value = counters[number] % int(rule[0][1])
                    counters[number] += 1
                    if value != int(rule[0][2]):
                        continue
                hits[number] += 1
                break
        assert set(hits.values()) == {10}


def test_protocols_and_addresses_are_apart_and_the_specific_address_is_first() -> None:
    ports = [
        Port("0.0.0.0", 53, "tcp", 53, "172.17.0.2"),
        Port("0.0.0.0", 53, "udp", 53, "172.17.0.2"),
        Port("127.0.0.1", 99, "tcp", 80, "172.17.0.3"),
    ]
    assert chain(plan("abcdef", [BRIDGE], ports), "ports") == [
        "ip daddr 127.0.0.1 tcp dport 99 dnat to 172.17.0.3:80",
        "tcp dport 53 dnat to 172.17.0.2:53",
        "udp dport 53 dnat to 172.17.0.2:53",
    ]


def test_chains_come_before_those_that_jump_to_them() -> None:
    ports = [Port("0.0.0.0", 4000, "tcp", 80, f"172.17.0.{last}") for last in (2, 3)]
    names = [chain.name for chain in plan("abcdef", [BRIDGE], ports).chains]
    assert names.index("tcp-4000") < names.index("ports") < names.index("prerouting")


def test_every_planned_statement_can_be_encoded() -> None:
    ports = [
        *(Port("0.0.0.0", 4000, "tcp", 80, f"172.17.0.{last}") for last in (2, 3)),
        Port("127.0.0.1", 99, "udp", 80, "172.17.0.3"),
    ]
    for item in plan("abcdef", [BRIDGE, CLOSED], ports).chains:
        for rule in item.rules:
            for statement in rule:
                data = nftables.encode(statement)
                assert data and len(data) % 4 == 0


def test_text_reads_like_nft() -> None:
    text = plan("abcdef", [BRIDGE], []).text()
    assert text.startswith("table ip tuidock-abcdef {\n\tchain ports {\n\t}\n")
    assert "\t\ttype nat hook postrouting priority 100; policy accept;\n" in text
