"""Bridges, addresses, routes, isolation: as a namespace and as Debian's ip see them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.errors import Conflict, InvalidInput, NotFound, Unavailable
from runtime.model.container import NetworkAttachment
from runtime.network import endpoints, links
from runtime.network.create import create
from runtime.network.list import get_network, inspect, list_networks
from runtime.network.remove import prune, remove
from runtime.network.sweep import sweep, teardown
from tests.engine.network_lab import CLOSED, Lab

pytestmark = pytest.mark.engine


@pytest.fixture
def lab() -> Iterator[Lab]:
    root = Path(tempfile.mkdtemp(prefix="tdn"))
    made = Lab(root)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(root)


def test_first_container(lab: Lab) -> None:
    one = lab.container()
    place = one.places[0]
    network = get_network(lab.ctx, "bridge")
    assert (place.gateway, place.prefix_length) == (network.gateway, int(network.subnet.rpartition("/")[2]))
    assert place.ipv4_address.endswith(".0.2") and place.gateway.endswith(".0.1")
    told = json.loads(one.run("ip", "-j", "address", "show", "eth0"))[0]
    assert "UP" in told["flags"]
    assert told["address"] == place.mac_address
    assert told["addr_info"][0]["local"] == place.ipv4_address
    assert told["mtu"] == json.loads(lab.machine.run("ip", "-j", "link", "show", network.bridge))[0]["mtu"]
    with links.open_here() as here:
        assert told["mtu"] == links.default_mtu(links.routes(here))
    assert one.run("ip", "route", "show", "default").strip() == f"default via {place.gateway} dev eth0"
    assert "UP" in json.loads(one.run("ip", "-j", "link", "show", "lo"))[0]["flags"]
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == "1\n"


def test_link_names_fit_and_name_the_root(lab: Lab) -> None:
    one = lab.container()
    assert len(one.places[0].host_interface) == 15
    assert lab.links() == {f"td{lab.ctx.root_id}-0", one.places[0].host_interface}


def test_containers_of_a_network_reach_each_other_and_the_machine(lab: Lab) -> None:
    one, two = lab.container(serve="one"), lab.container()
    lab.machine.serve("machine", 4999)
    assert two.ask(one.address, 80) == [f"one {two.address}"]
    assert two.ask(two.places[0].gateway, 4999) == [f"machine {two.address}"]
    assert lab.machine.ask(one.address, 80) == [f"one {one.places[0].gateway}"]


def test_outside_sees_the_machine(lab: Lab) -> None:
    outside = lab.outside()
    outside.serve("outside", 7000)
    assert lab.container().ask(Lab.THERE, 7000) == [f"outside {Lab.HERE}"]


def test_unpublished_ports_are_out_of_reach(lab: Lab) -> None:
    outside = lab.outside()
    one = lab.container(serve="one")
    assert lab.machine.ask(one.address, 80) != [CLOSED]
    assert outside.ask(one.address, 80) == [CLOSED]


def test_networks_are_apart(lab: Lab) -> None:
    create(lab.ctx, "blue")
    on_bridge, on_blue = lab.container(serve="bridge"), lab.container("blue", serve="blue")
    assert on_blue.ask(on_bridge.address, 80) == [CLOSED]
    assert on_bridge.ask(on_blue.address, 80) == [CLOSED]
    both = lab.container("blue", "bridge")
    assert [place.interface for place in both.places] == ["eth0", "eth1"]
    assert both.ask(on_blue.address, 80) == [f"blue {both.places[0].ipv4_address}"]
    assert both.ask(on_bridge.address, 80) == [f"bridge {both.places[1].ipv4_address}"]
    assert f"via {both.places[0].gateway} dev eth0" in both.run("ip", "route", "show", "default")


def test_internal_network_has_no_outside(lab: Lab) -> None:
    outside = lab.outside()
    outside.serve("outside", 7000)
    create(lab.ctx, "closed", internal=True)
    one, two = lab.container("closed", serve="one"), lab.container("closed")
    assert two.ask(one.address, 80) == [f"one {two.address}"]
    assert two.run("ip", "route", "show", "default") == ""
    two.run("ip", "route", "add", "default", "via", two.places[0].gateway)
    assert two.ask(Lab.THERE, 7000) == [CLOSED]
    assert outside.ask(one.address, 80) == [CLOSED]
    both = lab.container("closed", "bridge")
    assert f"via {both.places[1].gateway} dev eth1" in both.run("ip", "route", "show", "default")


def test_addresses_come_back_lowest_first(lab: Lab) -> None:
    made = [lab.container() for _ in range(3)]
    assert [one.address.rpartition(".")[2] for one in made] == ["2", "3", "4"]
    with lab.ctx.db.write() as tx:
        endpoints.release(tx, lab.ctx, made[1].id)
    endpoints.disconnect(lab.ctx, made[1].places)
    assert lab.container().address == made[1].address


def test_the_mtu_stays_when_the_last_container_leaves(lab: Lab) -> None:
    create(lab.ctx, "small", options={"com.docker.network.driver.mtu": "1300"})
    for _ in range(2):
        one = lab.container("small")
        assert json.loads(one.run("ip", "-j", "link", "show", "eth0"))[0]["mtu"] == 1300
        with lab.ctx.db.write() as tx:
            endpoints.release(tx, lab.ctx, one.id)
        endpoints.disconnect(lab.ctx, one.places)


def test_fixed_addresses(lab: Lab) -> None:
    create(lab.ctx, "blue", subnet="10.213.7.9/24")
    assert get_network(lab.ctx, "blue").subnet == "10.213.7.0/24"
    one = lab.container(NetworkAttachment("blue", ipv4_address="10.213.7.77"))
    assert one.address == "10.213.7.77"
    with pytest.raises(Conflict, match="already in use"):
        lab.container(NetworkAttachment("blue", ipv4_address="10.213.7.77"))
    with pytest.raises(InvalidInput, match="does not belong"):
        lab.container(NetworkAttachment("blue", ipv4_address="10.213.8.77"))
    with pytest.raises(InvalidInput, match="user defined networks only"):
        lab.container(NetworkAttachment("bridge", ipv4_address="172.17.0.9"))


def test_a_full_network_says_so(lab: Lab) -> None:
    create(lab.ctx, "tiny", subnet="10.213.9.0/30")
    lab.container("tiny")
    with pytest.raises(Unavailable, match="no available IPv4 addresses on network tiny"):
        lab.container("tiny")


def test_unknown_network(lab: Lab) -> None:
    with pytest.raises(NotFound, match="network red not found"):
        lab.container("red")
    assert lab.links() == set()


def test_after_a_reboot_links_and_rules_are_made_again(lab: Lab) -> None:
    first = lab.container()
    subnet = get_network(lab.ctx, "bridge").subnet
    first.end()
    teardown(lab.ctx)
    with lab.ctx.db.write() as tx:
        endpoints.release(tx, lab.ctx, first.id)
    second = lab.container(serve="two")
    assert get_network(lab.ctx, "bridge").subnet == subnet
    assert lab.machine.ask(second.address, 80) == [f"two {second.places[0].gateway}"]
    assert "masquerade" in lab.table()


def test_lost_rules_are_found_by_the_next_start(lab: Lab) -> None:
    lab.container()
    subprocess.run(["nft", "delete", "table", "ip", f"tuidock-{lab.ctx.root_id}"], check=True)
    lab.container()
    assert "masquerade" in lab.table()


def test_a_subnet_that_was_taken_meanwhile_is_exchanged(lab: Lab) -> None:
    first = lab.container()
    first.end()
    with lab.ctx.db.write() as tx:
        endpoints.release(tx, lab.ctx, first.id)
    teardown(lab.ctx)
    network = get_network(lab.ctx, "bridge")
    lab.outside()
    lab.machine.run("ip", "address", "add", f"{network.gateway}/24", "dev", Lab.WIRE)
    second = lab.container()
    assert get_network(lab.ctx, "bridge").subnet != network.subnet
    assert second.address.startswith(get_network(lab.ctx, "bridge").subnet.rpartition(".0.0/")[0])


def test_two_roots_choose_apart(lab: Lab) -> None:
    root = Path(tempfile.mkdtemp(prefix="tdn"))
    other = Lab(root)
    try:
        here, there = lab.container(serve="here"), other.container(serve="there")
        assert here.places[0].gateway != there.places[0].gateway
        assert there.ask(here.address, 80) == [CLOSED]
        assert here.ask(there.address, 80) == [CLOSED]
        assert sweep(lab.ctx) and other.links()
    finally:
        other.close()
        shutil.rmtree(root)


def test_many_at_once(lab: Lab) -> None:
    """Threads, each with its own connection: no address twice, every link there."""
    made, errors = [], []

    def start() -> None:
        try:
            made.append(lab.container())
        except Exception as error:
            errors.append(error)
        finally:
            lab.ctx.db.close()

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len({one.address for one in made}) == 8
    assert len(lab.links()) == 9


def test_the_thread_comes_back_from_the_namespace(lab: Lab) -> None:
    own = os.readlink("/proc/thread-self/ns/net")
    one = lab.container()
    assert os.readlink("/proc/thread-self/ns/net") == own
    assert os.readlink(f"/proc/{one.pid}/ns/net") != own


def test_a_container_that_cannot_be_connected_says_what_failed(lab: Lab) -> None:
    one = lab.container()
    fd = one.descriptor()
    try:
        with pytest.raises(Exception, match=r"connect the container's network: create veth .*: File exists"):
            endpoints.connect(lab.ctx, one.id, one.places, fd)
    finally:
        os.close(fd)


def test_create_list_inspect_remove(lab: Lab) -> None:
    assert [network.name for network in list_networks(lab.ctx)] == ["bridge", "host", "none"]
    made = create(lab.ctx, "blue", labels={"a": "b"}, options={"com.docker.network.driver.mtu": "1300"})
    assert [network.name for network in list_networks(lab.ctx)] == ["blue", "bridge", "host", "none"]
    assert made.bridge in lab.links()
    assert get_network(lab.ctx, made.id[:8]) == get_network(lab.ctx, "blue")
    one = lab.container("blue")
    assert json.loads(one.run("ip", "-j", "link", "show", "eth0"))[0]["mtu"] == 1300
    told = inspect(lab.ctx, "blue")
    assert told["IPAM"]["Config"] == [{"Subnet": made.subnet, "Gateway": made.gateway}]
    assert told["Containers"][one.id]["IPv4Address"] == f"{one.address}/{one.places[0].prefix_length}"
    assert told["Labels"] == {"a": "b"}
    assert told["Options"]["com.docker.network.driver.mtu"] == "1300"
    with pytest.raises(Conflict, match="has active endpoints"):
        remove(lab.ctx, "blue")
    with lab.ctx.db.write() as tx:
        endpoints.release(tx, lab.ctx, one.id)
    remove(lab.ctx, "blue")
    assert made.bridge not in lab.links() and made.bridge not in lab.table()
    with pytest.raises(NotFound, match="network blue not found"):
        get_network(lab.ctx, "blue")


def test_create_refuses(lab: Lab) -> None:
    create(lab.ctx, "blue", subnet="10.213.7.0/24")
    links_before = lab.links()
    with pytest.raises(Conflict, match="network with name blue already exists"):
        create(lab.ctx, "blue")
    with pytest.raises(Conflict, match="overlaps"):
        create(lab.ctx, "red", subnet="10.213.0.0/16")
    for name in ("host", "none", "bridge"):
        with pytest.raises(Conflict, match="not permitted"):
            create(lab.ctx, name)
        with pytest.raises(Conflict, match="cannot be removed"):
            remove(lab.ctx, name)
    for wrong in ({"driver": "overlay"}, {"subnet": "x"}, {"gateway": "10.0.0.1"}):
        with pytest.raises(InvalidInput):
            create(lab.ctx, "red", **wrong)  # type: ignore[arg-type]  # table of wrong arguments
    with pytest.raises(InvalidInput, match="no matching subnet"):
        create(lab.ctx, "red", subnet="10.213.8.0/24", gateway="10.213.9.1")
    with pytest.raises(InvalidInput, match="invalid network name"):
        create(lab.ctx, "-x")
    assert lab.links() == links_before


def test_prune_keeps_what_is_in_use(lab: Lab) -> None:
    create(lab.ctx, "used")
    create(lab.ctx, "unused")
    lab.container("used")
    assert prune(lab.ctx) == ["unused"]
    assert [network.name for network in list_networks(lab.ctx)] == ["bridge", "host", "none", "used"]


def test_sweep_removes_what_belongs_to_nothing(lab: Lab) -> None:
    made = create(lab.ctx, "blue")
    one = lab.container("blue")
    stray = f"td{lab.ctx.root_id}vabcdef"
    lab.machine.run("ip", "link", "add", stray, "type", "veth", "peer", "name", f"td{lab.ctx.root_id}vfedcba")
    done = sweep(lab.ctx)
    # The row of a container that does not exist (the laboratory writes none) goes, and its link with it.
    assert any(one.id[:12] in line for line in done)
    assert any(stray in line for line in done)
    assert lab.links() == {made.bridge}
    assert sweep(lab.ctx) == []
