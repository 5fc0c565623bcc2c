"""The files that name things inside a container."""

from __future__ import annotations

import pytest

from runtime.config import Config
from runtime.errors import InvalidInput
from runtime.model.container import ContainerConfig, Endpoint
from runtime.network import resolv
from runtime.network.resolv import ResolverSettings

PLAIN = ContainerConfig(image="base")
MACHINE = ResolverSettings(("10.0.0.53", "127.0.0.1", "fd00::1"), ("corp.example",), ("timeout:2",))


def text(container: ContainerConfig = PLAIN, config: Config | None = None, **more: object) -> list[str]:
    host = bool(more.get("host_network"))
    embedded = bool(more.get("embedded"))
    machine = more.get("machine", MACHINE)
    assert isinstance(machine, ResolverSettings)
    return resolv.resolv_conf(
        container, config or Config(), machine=machine, host_network=host, embedded=embedded
    ).splitlines()


def test_parse() -> None:
    found = resolv.parse(
        "# comment\nnameserver 1.1.1.1\nnameserver fe80::1%eth0\ndomain old.example\n"
        "search a.example b.example\noptions ndots:2\noptions rotate edns0\n;x y\nnameserver\n"
    )
    assert found == ResolverSettings(
        ("1.1.1.1", "fe80::1"), ("a.example", "b.example"), ("ndots:2", "rotate", "edns0")
    )


def test_loopback_and_ipv6_servers_are_left_out() -> None:
    assert text() == ["nameserver 10.0.0.53", "search corp.example", "options timeout:2"]


def test_host_network_keeps_them() -> None:
    assert text(host_network=True)[:3] == [
        "nameserver 10.0.0.53",
        "nameserver 127.0.0.1",
        "nameserver fd00::1",
    ]


def test_fallback_when_only_loopback_is_left() -> None:
    machine = ResolverSettings(("127.0.0.1",))
    assert text(machine=machine) == ["nameserver 8.8.8.8", "nameserver 8.8.4.4"]


def test_settings_and_options_win_in_order() -> None:
    settings = Config(dns=("9.9.9.9",), dns_search=("s.example",), dns_opts=("rotate",))
    assert text(config=settings) == ["nameserver 9.9.9.9", "search s.example", "options rotate"]
    asked = ContainerConfig(image="base", dns=("127.0.0.9",), dns_search=(".",), dns_options=("ndots:1",))
    assert text(asked, settings) == ["nameserver 127.0.0.9", "options ndots:1"]


def test_embedded_resolver() -> None:
    assert text(embedded=True) == [
        "nameserver 127.0.0.11",
        "search corp.example",
        "options timeout:2 ndots:0",
    ]
    assert resolv.upstreams(PLAIN, Config(), machine=MACHINE) == ("10.0.0.53",)
    many = ContainerConfig(image="base", dns=("1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"))
    assert resolv.upstreams(many, Config(), machine=MACHINE) == ("1.1.1.1", "2.2.2.2", "3.3.3.3")


ENDPOINT = Endpoint("n", "bridge", "172.17.0.2", 16, "172.17.0.1", "02:42:ac:11:00:02")


def test_hosts() -> None:
    lines = resolv.hosts_file(
        "web", "", [ENDPOINT], ["db:10.0.0.1", "v6=fd00::5", "up:host-gateway"]
    ).splitlines()
    assert lines[0] == "127.0.0.1\tlocalhost"
    assert lines[-4:] == ["10.0.0.1\tdb", "fd00::5\tv6", "172.17.0.1\tup", "172.17.0.2\tweb"]
    assert resolv.hosts_file("web", "example.org", [ENDPOINT]).endswith("172.17.0.2\tweb.example.org web\n")


@pytest.mark.parametrize("entry", ["db", "db:", ":1.2.3.4", "a b:1.2.3.4", "x\ny:1.2.3.4"])
def test_bad_extra_hosts(entry: str) -> None:
    with pytest.raises(InvalidInput, match="bad format for add-host"):
        resolv.hosts_file("web", "", [ENDPOINT], [entry])


def test_host_gateway_without_a_network() -> None:
    with pytest.raises(InvalidInput, match="no host gateway"):
        resolv.hosts_file("web", "", [], ["up:host-gateway"])
