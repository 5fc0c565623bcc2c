"""Subnets and addresses: docker's choices, on plain integers."""

from __future__ import annotations

import ipaddress

import pytest

from runtime.config import DEFAULT_POOLS
from runtime.errors import InvalidInput
from runtime.network import pools

POOLS = [(pool.base, pool.size) for pool in DEFAULT_POOLS]


def used(*subnets: str) -> list[tuple[int, int]]:
    return [pools.parse_subnet(subnet) for subnet in subnets]


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], "172.17.0.0/16"),
        (["172.17.0.0/16"], "172.18.0.0/16"),
        (["172.17.5.0/24"], "172.18.0.0/16"),
        (["172.18.0.0/16"], "172.17.0.0/16"),
        (["172.16.0.0/12"], "192.168.0.0/20"),
        (["172.16.0.0/12", "192.168.0.0/24", "192.168.17.1/32"], "192.168.32.0/20"),
        (["10.0.0.0/8"], "172.17.0.0/16"),
    ],
)
def test_free_subnet(taken: list[str], expected: str) -> None:
    assert pools.free_subnet(POOLS, used(*taken)) == expected


def test_free_subnet_none_left() -> None:
    assert pools.free_subnet(POOLS, used("172.16.0.0/12", "192.168.0.0/16")) is None


def test_free_subnet_agrees_with_ipaddress() -> None:
    taken = [f"172.{second}.0.0/16" for second in range(17, 32)] + ["192.168.3.0/24", "192.168.40.0/22"]
    found = pools.free_subnet(POOLS, used(*taken))
    assert found is not None
    network = ipaddress.ip_network(found)
    assert not any(network.overlaps(ipaddress.ip_network(other)) for other in taken)
    assert found == "192.168.16.0/20"


@pytest.mark.parametrize(
    ("subnet", "taken", "expected"),
    [
        ("172.17.0.0/16", {"172.17.0.1"}, "172.17.0.2"),
        ("172.17.0.0/16", {"172.17.0.1", "172.17.0.2", "172.17.0.4"}, "172.17.0.3"),
        ("10.0.0.0/30", {"10.0.0.1"}, "10.0.0.2"),
        ("10.0.0.0/30", {"10.0.0.1", "10.0.0.2"}, None),
        ("10.1.2.0/24", {"10.1.2.254"}, "10.1.2.1"),
    ],
)
def test_free_address(subnet: str, taken: set[str], expected: str | None) -> None:
    assert pools.free_address(subnet, taken) == expected


def test_a_full_pool_crosses_byte_borders() -> None:
    taken = {str(address) for address in list(ipaddress.ip_network("172.17.0.0/16").hosts())[:300]}
    assert pools.free_address("172.17.0.0/16", taken) == "172.17.1.45"


@pytest.mark.parametrize("text", ["1.2.3", "1.2.3.256", "a.b.c.d", "1.2.3.4.5", "", "1.2.3.٤", "1.2.3.-1"])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(InvalidInput, match="invalid IPv4 address"):
        pools.address_value(text)


@pytest.mark.parametrize("text", ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/x", "300.0.0.0/8"])
def test_bad_subnets(text: str) -> None:
    with pytest.raises(InvalidInput):
        pools.parse_subnet(text)


def test_host_bits_are_cleared() -> None:
    assert pools.parse_subnet("10.1.2.3/16") == (pools.address_value("10.1.0.0"), 16)


def test_mac() -> None:
    assert pools.mac_of("172.17.0.255") == "02:42:ac:11:00:ff"
