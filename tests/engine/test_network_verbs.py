"""network connect and disconnect: on containers that run, as they see it themselves, and on others."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from runtime.containers import rewire
from runtime.engine import Engine
from runtime.errors import Conflict, EngineError, InvalidInput, NotFound
from runtime.model.container import (
    Container,
    ContainerConfig,
    NetworkAttachment,
    PortBinding,
    RestartPolicy,
    RestartPolicyName,
)
from runtime.network import firewall, plug

pytestmark = pytest.mark.engine

On = NetworkAttachment


def run(engine: Engine, image: str, name: str, *networks: NetworkAttachment, **more: object) -> Container:
    config = ContainerConfig(
        image=image,
        cmd=("sleep", "1000"),
        network_mode=networks[0].network if networks else "bridge",
        networks=networks,
        init=True,
        **more,  # type: ignore[arg-type]  # fields of the configuration
    )
    return engine.containers.run(config, name=name)


def inside(engine: Engine, name: str, *argv: str) -> str:
    session = engine.containers.exec(name, list(argv))
    assert session is not None
    text = b""
    while (chunk := session.read()) is not None:
        text += chunk[1]
    session.wait()
    return text.decode()


def resolves(engine: Engine, asker: str, name: str) -> bool:
    said = inside(engine, asker, "nslookup", name)
    return "NXDOMAIN" not in said and "can't" not in said and "SERVFAIL" not in said


def default_route(engine: Engine, name: str) -> list[str]:
    """Its words (default via ADDRESS dev LINK), or none."""
    lines = inside(engine, name, "ip", "route").splitlines()
    return next((line.split() for line in lines if line.startswith("default ")), [])


def addresses(engine: Engine, name: str) -> dict[str, str]:
    return {e.network_name: e.ipv4_address for e in engine.containers.get(name).endpoints}


def events(engine: Engine, since: int) -> list[tuple[str, str, str]]:
    return [
        (event.action, event.attributes["name"], event.attributes["type"])
        for event in engine.events.since(since)
        if event.type == "network" and event.action in ("connect", "disconnect")
    ]


def test_a_running_container_joins_and_leaves(engine: Engine, busybox: str) -> None:
    """From the default network to a user's: names begin to resolve, and end to."""
    engine.networks.create("blue")
    run(engine, busybox, "db", On("blue", aliases=("store",)))
    web = run(engine, busybox, "web")
    assert not resolves(engine, "web", "db")
    told = engine.events.last_seq()
    engine.networks.connect("web", On("blue", aliases=("front",), links=("db:data",)))
    for name in ("db", "store", "data"):
        assert resolves(engine, "web", name), name
    assert resolves(engine, "db", "web") and resolves(engine, "db", "front")
    assert not resolves(engine, "db", "data"), "a link is the asker's own"
    place = addresses(engine, "web")["blue"]
    assert f"inet {place}/" in inside(engine, "web", "ip", "-4", "address", "show", "eth1")
    assert f"{place}\t{web.config.hostname}\n" in inside(engine, "web", "cat", "/etc/hosts")
    assert "0% packet loss" in inside(engine, "web", "ping", "-c", "1", "-W", "5", "db")
    document = engine.containers.inspect("web")["NetworkSettings"]["Networks"]["blue"]
    assert (document["IPAddress"], document["Links"]) == (place, ["db:data"])

    engine.networks.disconnect("blue", "web")
    assert not resolves(engine, "web", "db") and not resolves(engine, "db", "web")
    assert "eth1" not in inside(engine, "web", "ip", "link")
    assert place not in inside(engine, "web", "cat", "/etc/hosts")
    assert addresses(engine, "web").keys() == {"bridge"}
    assert events(engine, told) == [("connect", "blue", "bridge"), ("disconnect", "blue", "bridge")]


def test_what_a_restart_keeps(engine: Engine, busybox: str) -> None:
    """Also the policy's restart, which stays in the network namespace."""
    engine.networks.create("blue")
    always = RestartPolicy(RestartPolicyName.ALWAYS)
    one = run(engine, busybox, "one", restart=always)
    engine.networks.connect("one", On("blue"))
    engine.networks.disconnect("bridge", "one")
    before = addresses(engine, "one")
    assert before.keys() == {"blue"}
    inside(engine, "one", "kill", "1")
    deadline = time.monotonic() + 30
    while engine.containers.get("one").state.pid in (0, one.state.pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert addresses(engine, "one") == before
    engine.containers.restart("one", timeout=0)
    assert addresses(engine, "one").keys() == {"blue"}
    assert before["blue"] in inside(engine, "one", "ip", "-4", "address", "show", "eth0")


def test_on_a_stopped_container_it_is_for_the_next_start(engine: Engine, busybox: str) -> None:
    engine.networks.create("blue", subnet="10.213.7.0/24")
    config = ContainerConfig(image=busybox, cmd=("sleep", "1000"), init=True)
    engine.containers.create(config, name="later")
    engine.networks.connect("later", On("blue", ipv4_address="10.213.7.9", aliases=("l",)))
    engine.networks.connect("later", On("blue"))  # again changes nothing
    networks = engine.containers.inspect("later")["NetworkSettings"]["Networks"]
    assert networks["blue"]["IPAMConfig"] == {"IPv4Address": "10.213.7.9"}
    assert (networks["blue"]["IPAddress"], networks.keys()) == ("", {"bridge", "blue"})
    engine.networks.disconnect("bridge", "later")
    engine.containers.start("later")
    assert addresses(engine, "later") == {"blue": "10.213.7.9"}
    engine.containers.stop("later", timeout=0)
    engine.networks.disconnect("blue", "later")
    engine.containers.start("later")
    assert addresses(engine, "later") == {}
    assert "eth" not in inside(engine, "later", "ip", "link")
    engine.networks.connect("later", On("bridge"))
    assert "default via" in inside(engine, "later", "ip", "route")


def test_the_way_outside_is_the_first_by_priority_and_name(engine: Engine, busybox: str) -> None:
    """docker's order, at the start as well as afterwards. Published ports follow and keep their numbers."""
    for name in ("aa", "mm", "zz"):
        engine.networks.create(name)
    engine.networks.create("inner", internal=True)
    run(engine, busybox, "web", On("zz"), On("mm"), On("inner"), ports=(PortBinding(80),))
    port = engine.containers.get("web").ports[0].host_port

    def out() -> str:
        endpoints = {e.gateway: e.network_name for e in engine.containers.get("web").endpoints}
        words = default_route(engine, "web")
        row = engine.context.db.row("SELECT ipv4, host_port FROM port")
        if not words:
            assert row is None
            return ""
        name = endpoints[words[2]]
        assert row == (addresses(engine, "web")[name], port)
        assert firewall.is_settled(engine.context)
        return name

    assert out() == "mm"
    engine.networks.connect("web", On("aa"))
    assert out() == "aa"
    engine.networks.disconnect("zz", "web")
    engine.networks.connect("web", On("zz", gw_priority=5))
    assert out() == "zz"
    with pytest.raises(OSError, match="in use"), socket.socket() as taken:
        taken.bind(("0.0.0.0", port))
    for name in ("zz", "aa", "mm"):
        engine.networks.disconnect(name, "web")
    assert out() == ""
    assert engine.containers.get("web").ports == ()
    with socket.socket() as free:
        free.bind(("0.0.0.0", port))
    engine.networks.connect("web", On("aa"))
    assert engine.containers.get("web").ports[0].container_port == 80


def test_a_published_port_answers_after_the_move(engine: Engine, busybox: str) -> None:
    engine.networks.create("aa")
    run(engine, busybox, "web", ports=(PortBinding(80, host_ip="127.0.0.1"),))
    inside(engine, "web", "sh", "-c", "mkdir /w; echo moved >/w/index.html; httpd -p 80 -h /w")
    port = engine.containers.get("web").ports[0].host_port

    def answer() -> bytes:
        with socket.create_connection(("127.0.0.1", port), 10) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            text = b""
            while data := sock.recv(4096):
                text += data
            return text

    assert b"moved" in answer()
    engine.networks.connect("web", On("aa"))
    engine.networks.disconnect("bridge", "web")
    assert b"moved" in answer()


def test_none_and_host(engine: Engine, busybox: str) -> None:
    engine.networks.create("blue")
    told = engine.events.last_seq()
    config = ContainerConfig(image=busybox, cmd=("sleep", "1000"), init=True)
    for mode in ("none", "host"):
        engine.containers.run(
            ContainerConfig(image=busybox, cmd=config.cmd, network_mode=mode, init=True), name=mode
        )
    assert events(engine, told) == [("connect", "none", "null"), ("connect", "host", "host")]
    engine.containers.run(config, name="web")
    for network, name, why in (
        ("blue", "none", r"networks in private \(none\) mode"),
        ("none", "web", r"networks in private \(none\) mode"),
        ("host", "web", "connected to host network"),
        ("blue", "host", "cannot be connected to any other network"),
    ):
        with pytest.raises(Conflict, match=why):
            engine.networks.connect(name, On(network))
    with pytest.raises(Conflict, match="disconnected from host network"):
        engine.networks.disconnect("host", "host")
    told = engine.events.last_seq()
    engine.networks.disconnect("none", "none")
    assert engine.containers.inspect("none")["NetworkSettings"]["Networks"] == {}
    engine.networks.connect("none", On("blue"))
    assert addresses(engine, "none").keys() == {"blue"}
    for name in ("none", "host"):
        engine.containers.kill(name)
    assert events(engine, told) == [
        ("disconnect", "none", "null"),
        ("connect", "blue", "bridge"),
        ("disconnect", "blue", "bridge"),
        ("disconnect", "host", "host"),
    ]


def test_what_is_refused_changes_nothing(engine: Engine, busybox: str) -> None:
    engine.networks.create("blue", subnet="10.213.8.0/24")
    engine.networks.create("green")
    run(engine, busybox, "one", On("blue", ipv4_address="10.213.8.5"))
    run(engine, busybox, "web", ports=(PortBinding(80),))
    links = inside(engine, "web", "ip", "link")
    told = engine.events.last_seq()
    wrong: list[tuple[Callable[[], None], type[EngineError], str]] = [
        (lambda: engine.networks.connect("web", On("nope")), NotFound, "network nope not found"),
        (lambda: engine.networks.connect("nope", On("blue")), NotFound, "no such container: nope"),
        (lambda: engine.networks.connect("web", On("bridge")), Conflict, "already exists in network bridge"),
        (
            lambda: engine.networks.connect("web", On("blue", ipv4_address="10.213.8.5")),
            Conflict,
            "already in use",
        ),
        (
            lambda: engine.networks.connect("web", On("blue", ipv4_address="10.9.9.9")),
            InvalidInput,
            "does not belong to network blue",
        ),
        (
            lambda: engine.networks.connect("web", On("green", ipv4_address="10.213.8.5")),
            InvalidInput,
            "user configured subnets",
        ),
        (lambda: engine.networks.disconnect("nope", "web"), NotFound, "network nope not found"),
        (lambda: engine.networks.disconnect("blue", "web"), Conflict, "is not connected to network blue"),
        (lambda: engine.networks.disconnect("blue", "no", force=True), NotFound, "endpoint no not found"),
        (lambda: engine.networks.remove("blue"), Conflict, "has active endpoints: one"),
    ]
    for act, kind, why in wrong:
        with pytest.raises(kind, match=why):
            act()
    assert inside(engine, "web", "ip", "link") == links
    assert addresses(engine, "web").keys() == {"bridge"}
    assert events(engine, told) == []
    assert not (engine.context.paths.run / "rewiring" / engine.containers.get("web").id).exists()


def test_a_gone_network_is_forgotten_by_force(engine: Engine, busybox: str) -> None:
    engine.networks.create("blue")
    engine.containers.create(
        ContainerConfig(image=busybox, network_mode="blue", networks=(On("blue"), On("bridge"))), name="one"
    )
    engine.networks.remove("blue")
    with pytest.raises(NotFound):
        engine.networks.disconnect("blue", "one")
    engine.networks.disconnect("blue", "one", force=True)
    engine.containers.start("one")
    assert [a.network for a in engine.containers.get("one").config.networks] == ["bridge"]


def test_its_own_lines_in_the_hosts_file_stay(engine: Engine, busybox: str) -> None:
    engine.networks.create("blue")
    web = run(engine, busybox, "web", extra_hosts=("web.example:10.1.2.3",))
    inside(engine, "web", "sh", "-c", "echo '10.9.9.9 mine' >>/etc/hosts")
    engine.networks.connect("web", On("blue"))
    engine.networks.disconnect("bridge", "web")
    text = inside(engine, "web", "cat", "/etc/hosts")
    own = [line.split()[0] for line in text.splitlines() if line.endswith(f"\t{web.config.hostname}")]
    assert own == [addresses(engine, "web")["blue"]]
    assert "10.9.9.9 mine" in text and "10.1.2.3\tweb.example" in text


@pytest.mark.parametrize("verb", ["connect", "disconnect"])
@pytest.mark.parametrize("place", ["plug", "repoint", "route", "write_files", "replace_contents"])
def test_killed_in_the_middle(engine: Engine, busybox: str, verb: str, place: str) -> None:
    """The next command finds it done, or never begun; nothing in between and nothing left over."""
    if (verb, place) == ("disconnect", "plug"):
        place = "endpoints.disconnect"
    engine.networks.create("aa")
    web = run(engine, busybox, "web", ports=(PortBinding(80),))
    if verb == "disconnect":
        engine.networks.connect("web", On("aa"))
    script = (
        "import os, signal, sys\n"
        "from runtime.engine import Engine\n"
        "from runtime.model.container import NetworkAttachment\n"
        "from runtime.network import endpoints, plug\n"
        "module, name = (endpoints, 'disconnect') if '.' in sys.argv[3] else (plug, sys.argv[3])\n"
        "real = getattr(module, name)\n"
        "def die(*arguments):\n"
        "    real(*arguments) if name in ('plug', 'repoint') else None\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "setattr(module, name, die)\n"
        "networks = Engine(sys.argv[1]).networks\n"
        "if sys.argv[2] == 'connect':\n"
        "    networks.connect('web', NetworkAttachment('aa'))\n"
        "else:\n"
        "    networks.disconnect('aa', 'web')\n"
    )
    root = str(engine.context.paths.state)
    done = subprocess.run([sys.executable, "-c", script, root, verb, place], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    traces = engine.context.paths.run / "rewiring"
    assert list(traces.iterdir())
    rewire.finish_dead(engine.context)  # what every command does first
    assert list(traces.iterdir()) == []

    found = engine.containers.get("web")
    places = addresses(engine, "web")
    networks = {attachment.network for attachment in found.config.networks}
    assert places.keys() == networks
    seen = inside(engine, "web", "ip", "-4", "-o", "address")
    assert all(f"inet {address}/" in seen for address in places.values())
    assert seen.count("inet ") == 1 + len(places)
    gateways = {e.network_name: e.gateway for e in found.endpoints}
    route = default_route(engine, "web")
    assert route[2] == gateways[min(places)]
    hosts = inside(engine, "web", "cat", "/etc/hosts")
    own = [line.split()[0] for line in hosts.splitlines() if line.endswith(f"\t{web.config.hostname}")]
    assert sorted(own) == sorted(places.values())
    assert engine.context.db.row("SELECT ipv4 FROM port") == (places[min(places)],)
    assert firewall.is_settled(engine.context)
    links = {name for name in os.listdir("/sys/class/net") if name.startswith(f"td{engine.context.root_id}v")}
    assert links == {e.host_interface for e in found.endpoints}


def test_connected_while_it_ends(engine: Engine, busybox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is for its next start, and no address is kept."""
    engine.networks.create("blue")
    run(engine, busybox, "web")
    real = plug.plug

    def end_first(*arguments: object) -> None:
        real(*arguments)  # type: ignore[arg-type]  # passed on
        os.kill(engine.containers.get("web").state.pid, signal.SIGKILL)

    monkeypatch.setattr(plug, "plug", end_first)
    engine.networks.connect("web", On("blue"))
    deadline = time.monotonic() + 30
    while engine.containers.get("web").state.status.alive:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert [a.network for a in engine.containers.get("web").config.networks] == ["bridge", "blue"]
    assert addresses(engine, "web") == {}


def test_many_at_once(engine: Engine, busybox: str) -> None:
    """Containers join and leave at the same time, and one has one turn at a time."""
    engine.networks.create("blue")
    for number in range(3):
        run(engine, busybox, f"c{number}")
    program = Path(sys.executable).with_name("tuidock")
    env = {**os.environ, "TUIDOCK_ROOT": str(engine.context.paths.state)}
    running = [
        subprocess.Popen(
            [program, "network", "connect", "blue", f"c{n % 3}"], env=env, stderr=subprocess.PIPE
        )
        for n in range(6)
    ]
    codes = []
    for process in running:
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=120)
        codes.append(process.returncode)
    assert sorted(codes) == [0, 0, 0, 1, 1, 1]
    assert len({addresses(engine, f"c{n}")["blue"] for n in range(3)}) == 3
