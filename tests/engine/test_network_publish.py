"""Published ports: who reaches them, how they are shared, who holds them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.errors import Conflict, InvalidInput
from runtime.model.container import PortBinding
from runtime.network import endpoints
from runtime.network.create import create
from runtime.network.ports import EPHEMERAL, reserve_sockets
from tests.engine.network_lab import CLOSED, Lab

pytestmark = pytest.mark.engine

PORT = 24000


@pytest.fixture
def lab() -> Iterator[Lab]:
    root = Path(tempfile.mkdtemp(prefix="tdn"))
    made = Lab(root)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(root)


def binding(host_port: int = PORT, **more: object) -> PortBinding:
    return PortBinding(80, host_port=host_port, **more)  # type: ignore[arg-type]  # table of options


def machine_address() -> str:
    listed = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
    return next(address for address in listed if ":" not in address)


def test_from_everywhere(lab: Lab) -> None:
    outside = lab.outside()
    one = lab.container(ports=[binding()], serve="one")
    create(lab.ctx, "blue")
    neighbour, stranger = lab.container(), lab.container("blue")
    gateway = one.places[0].gateway
    assert lab.machine.ask("127.0.0.1", PORT) == [f"one {gateway}"]
    assert lab.machine.ask("127.9.8.7", PORT) == [f"one {gateway}"]
    assert lab.machine.ask(machine_address(), PORT) != [CLOSED]
    assert outside.ask(Lab.HERE, PORT) == [f"one {Lab.THERE}"]
    for asker in (neighbour, one):
        assert asker.ask(gateway, PORT) == [f"one {gateway}"]
        assert asker.ask(Lab.HERE, PORT) == [f"one {gateway}"]
    assert stranger.ask(Lab.HERE, PORT)[0].startswith("one ")
    assert stranger.ask(one.address, 80) == [CLOSED]


def test_the_peer_is_never_loopback(lab: Lab) -> None:
    """CVE-2021-20199: a service that trusts 127.0.0.1 must not take a stranger for itself."""
    outside = lab.outside()
    one = lab.container(ports=[binding()], serve="one")
    asked = [lab.machine.ask("127.0.0.1", PORT), outside.ask(Lab.HERE, PORT), one.ask(Lab.HERE, PORT)]
    assert all(answer[0].startswith("one ") and "127." not in answer[0] for answer in asked)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_replicas_take_turns_exactly(lab: Lab, count: int) -> None:
    for number in range(count):
        lab.container(ports=[binding(group="demo/web")], serve=f"r{number}")
    answers = Counter(answer.split()[0] for answer in lab.machine.ask("127.0.0.1", PORT, count=10 * count))
    assert answers == {f"r{number}": 10 for number in range(count)}


def test_turns_are_shared_by_all_who_ask(lab: Lab) -> None:
    outside = lab.outside()
    for number in range(3):
        lab.container(ports=[binding(group="demo/web")], serve=f"r{number}")
    answers = lab.machine.ask("127.0.0.1", PORT, count=15) + outside.ask(Lab.HERE, PORT, count=15)
    assert Counter(answer.split()[0] for answer in answers) == {"r0": 10, "r1": 10, "r2": 10}


def test_a_replica_that_goes_gets_nothing_more(lab: Lab) -> None:
    made = [lab.container(ports=[binding(group="demo/web")], serve=f"r{number}") for number in range(3)]
    endpoints.unpublish(lab.ctx, made[1].id)
    answers = Counter(answer.split()[0] for answer in lab.machine.ask("127.0.0.1", PORT, count=20))
    assert answers == {"r0": 10, "r2": 10}


def test_udp(lab: Lab) -> None:
    outside = lab.outside()
    one = lab.container(ports=[binding(protocol="udp")])
    one.serve("udp", 80, "udp")
    assert lab.machine.ask("127.0.0.1", PORT, "udp") == [f"udp {one.places[0].gateway}"]
    assert outside.ask(Lab.HERE, PORT, "udp") == [f"udp {Lab.THERE}"]
    assert lab.machine.ask("127.0.0.1", PORT, "tcp") == [CLOSED]


_TALK = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.7)
s.connect(("127.0.0.1", int(sys.argv[1])))
for _ in sys.stdin:
    try:
        s.send(b"?")
        print(s.recv(100).decode().split()[0], flush=True)
    except OSError:
        print("closed", flush=True)
"""


def test_a_udp_flow_finds_a_port_that_is_published_later_and_moves(lab: Lab) -> None:
    """One socket that goes on sending: before the port is published, then to one container, to another."""
    talker = subprocess.Popen(
        [sys.executable, "-I", "-c", _TALK, str(PORT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert talker.stdin is not None and talker.stdout is not None
    lab.container()

    def talk() -> str:
        assert talker.stdin is not None and talker.stdout is not None
        talker.stdin.write("\n")
        talker.stdin.flush()
        return talker.stdout.readline().strip()

    try:
        assert talk() == "closed"
        first = lab.container(ports=[binding(protocol="udp")])
        first.serve("first", 80, "udp")
        talk()  # the refusal of the first question may still be on its way
        assert talk() == "first"
        with lab.ctx.db.write() as tx:
            endpoints.release(tx, lab.ctx, first.id)
        lab.container()  # takes the address
        second = lab.container(ports=[binding(protocol="udp")])
        second.serve("second", 80, "udp")
        talk()
        assert talk() == "second"
    finally:
        talker.kill()
        talker.communicate()


def test_ipv6_is_refused_in_words(lab: Lab) -> None:
    with pytest.raises(InvalidInput, match="cannot publish on ::1"):
        lab.container(ports=[binding(host_ip="::1")])


def test_on_loopback_only(lab: Lab) -> None:
    outside = lab.outside()
    one = lab.container(ports=[binding(host_ip="127.0.0.1")], serve="one")
    assert lab.machine.ask("127.0.0.1", PORT) == [f"one {one.places[0].gateway}"]
    assert lab.machine.ask(Lab.HERE, PORT) == [CLOSED]
    assert outside.ask(Lab.HERE, PORT) == [CLOSED]
    assert outside.ask(one.address, 80) == [CLOSED]
    assert lab.container().ask(one.places[0].gateway, PORT) == [CLOSED]


def test_loopback_of_the_machine_stays_out_of_reach(lab: Lab) -> None:
    """``route_localnet`` is on for the bridge, so a container could send to 127.0.0.1 by the wire."""
    lab.container(ports=[binding(host_ip="127.0.0.1")], serve="one")
    lab.machine.serve("private", PORT + 1)
    attacker = lab.container()
    attacker.run("ip", "address", "flush", "dev", "lo")
    attacker.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
    attacker.run("ip", "route", "add", "127.0.0.0/8", "via", attacker.places[0].gateway)
    watch = f"tuidock-test-{lab.ctx.root_id}"
    bridge = next(name for name in lab.links() if name.endswith("-0"))
    lab.machine.run(
        "nft",
        f"add table ip {watch}; "
        f"add chain ip {watch} seen {{ type filter hook prerouting priority -310; }}; "
        f'add rule ip {watch} seen iifname "{bridge}" ip daddr 127.0.0.1 counter',
    )
    try:
        assert attacker.ask("127.0.0.1", PORT) == [CLOSED]
        assert attacker.ask("127.0.0.1", PORT + 1) == [CLOSED]
        # It did reach this machine, so nothing but the guard stopped it.
        told = lab.machine.run("nft", "list", "table", "ip", watch)
        assert int(told.partition("packets ")[2].split()[0]) > 0
    finally:
        lab.machine.run("nft", "delete", "table", "ip", watch)


def test_on_one_address_of_the_machine(lab: Lab) -> None:
    outside = lab.outside()
    lab.container(ports=[binding(host_ip=Lab.HERE)], serve="one")
    assert outside.ask(Lab.HERE, PORT) == [f"one {Lab.THERE}"]
    assert lab.machine.ask("127.0.0.1", PORT) == [CLOSED]
    with pytest.raises(InvalidInput, match="cannot assign requested address"):
        lab.container(ports=[binding(host_ip="203.0.113.9")])


def test_published_from_the_network_that_has_an_outside(lab: Lab) -> None:
    create(lab.ctx, "closed", internal=True)
    one = lab.container("closed", "bridge", ports=[binding()], serve="one")
    assert lab.machine.ask("127.0.0.1", PORT) == [f"one {one.places[1].gateway}"]
    only = lab.container("closed", ports=[binding(PORT + 1)])
    assert only.ports == []


def test_taken_by_another_container(lab: Lab) -> None:
    lab.container(ports=[binding()])
    for wanted in (binding(), binding(host_ip="127.0.0.1"), binding(group="demo/web")):
        with pytest.raises(Conflict, match=f"Bind for .*:{PORT} failed: port is already allocated"):
            lab.container(ports=[wanted])
    lab.container(ports=[binding(protocol="udp")])


def test_taken_twice_in_one_container(lab: Lab) -> None:
    same = lab.container(ports=[binding(), binding()])
    assert same.ports == [binding()]
    twice = [binding(PORT + 1), PortBinding(81, host_port=PORT + 1)]
    with pytest.raises(Conflict, match="port is already allocated"):
        lab.container(ports=twice)


def test_different_addresses_do_not_clash(lab: Lab) -> None:
    lab.container(ports=[binding(host_ip="127.0.0.1")], serve="one")
    lab.container(ports=[binding(host_ip="127.0.0.2")], serve="two")
    found = [lab.machine.ask(address, PORT)[0].split()[0] for address in ("127.0.0.1", "127.0.0.2")]
    assert found == ["one", "two"]


def test_taken_by_a_program(lab: Lab) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", PORT))
        listener.listen()
        with pytest.raises(Conflict, match="address already in use") as caught:
            lab.container(ports=[binding()])
        assert caught.value.hint and str(PORT) in caught.value.hint
    lab.container(ports=[binding()])


def test_closing_connections_do_not_hold_a_port(lab: Lab) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", PORT))
        listener.listen()
        with socket.create_connection(("127.0.0.1", PORT)) as client:
            accepted, _ = listener.accept()
            accepted.close()
            client.recv(1)
    held = reserve_sockets([("0.0.0.0", PORT, "tcp")])
    os.close(held[0])
    lab.container(ports=[binding()])


def test_reserved_ports_are_shared_by_replicas_and_kept_from_others() -> None:
    held = reserve_sockets([("0.0.0.0", PORT, "tcp"), ("0.0.0.0", PORT, "udp")])
    held += reserve_sockets([("0.0.0.0", PORT, "tcp")])
    try:
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", PORT))
                other.listen()
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
            pytest.raises(OSError, match="in use"),
        ):
            other.bind(("0.0.0.0", PORT))
    finally:
        for fd in held:
            os.close(fd)


def test_reservation_is_all_or_none() -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", PORT + 1))
        listener.listen()
        with pytest.raises(OSError, match=f"bind 0.0.0.0:{PORT + 1}/tcp"):
            reserve_sockets([("0.0.0.0", PORT, "tcp"), ("0.0.0.0", PORT + 1, "tcp")])
    for fd in reserve_sockets([("0.0.0.0", PORT, "tcp"), ("0.0.0.0", PORT + 1, "tcp")]):
        os.close(fd)


def test_ephemeral_ports(lab: Lab) -> None:
    one = lab.container(ports=[binding(0), PortBinding(81)], serve="one")
    first, second = (port.host_port for port in one.ports)
    assert first in EPHEMERAL and second in EPHEMERAL and first != second
    assert lab.machine.ask("127.0.0.1", first)[0].startswith("one ")
    shared = [lab.container(ports=[binding(0, group="demo/web")]).ports[0].host_port for _ in range(2)]
    assert shared[0] == shared[1] not in (first, second)


def test_the_settling_program_follows_the_rows(lab: Lab) -> None:
    one = lab.container(ports=[binding()], serve="one")
    with lab.ctx.db.write() as tx:
        endpoints.release(tx, lab.ctx, one.id)
    assert f"dport {PORT}" in lab.table()
    argv = [sys.executable, "-m", "runtime.network.settle", str(lab.ctx.paths.state), str(lab.ctx.paths.run)]
    subprocess.run(argv, check=True, timeout=10)
    assert f"dport {PORT}" not in lab.table()


def test_the_settling_program_makes_no_table(lab: Lab) -> None:
    argv = [sys.executable, "-m", "runtime.network.settle", str(lab.ctx.paths.state), str(lab.ctx.paths.run)]
    subprocess.run(argv, check=True, timeout=10)
    assert lab.table() == ""
