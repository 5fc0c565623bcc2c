"""Names inside a container on a user network, from the socket to the answer."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.model.container import NetworkAttachment
from runtime.network import stub
from runtime.network.create import create
from tests.engine.network_lab import Container, Lab

pytestmark = pytest.mark.engine

ASK = """
import socket, struct, sys
import dnslib
name, kind, stream = sys.argv[1], sys.argv[2], sys.argv[3] == "tcp"
query = dnslib.DNSRecord.question(name, kind)
told = dnslib.DNSRecord.parse(query.send("127.0.0.11", 53, tcp=stream, timeout=15))
assert told.header.id == query.header.id
print(told.header.rcode, *sorted(str(record.rdata) for record in told.rr))
"""


@pytest.fixture
def lab() -> Iterator[Lab]:
    root = Path(tempfile.mkdtemp(prefix="tdn"))
    made = Lab(root)
    try:
        create(made.ctx, "blue")
        yield made
    finally:
        made.close()
        shutil.rmtree(root)


class Names:
    """What a monitor does: hold the sockets, start the program."""

    def __init__(self, lab: Lab, container: Container, upstreams: tuple[str, ...] = ()) -> None:
        fd = container.descriptor()
        self.sockets = stub.open_sockets(fd)
        os.close(fd)
        self.pid = stub.spawn(
            stub.resolver_command(str(lab.ctx.paths.state), container.id, upstreams), self.sockets
        )

    def end(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        for fd in self.sockets:
            os.close(fd)


def ask(container: Container, name: str, kind: str = "A", over: str = "udp") -> list[str]:
    return container.run(sys.executable, "-c", ASK, name, kind, over).split()


@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_aliases_resolve_to_every_replica(lab: Lab, over: str) -> None:
    made = [lab.container(NetworkAttachment("blue", aliases=("web",))) for _ in range(3)]
    asker = lab.container("blue", "bridge")
    names = Names(lab, asker)
    try:
        assert ask(asker, "web", over=over) == ["0", *sorted(one.address for one in made)]
        assert ask(asker, "web.blue", over=over) == ["0", *sorted(one.address for one in made)]
        assert ask(asker, made[0].id[:12], over=over) == ["0", made[0].address]
        assert ask(asker, "web", "AAAA", over=over) == ["0"]
        assert ask(asker, "nobody", over=over) == ["2"]
    finally:
        names.end()


def test_names_come_and_go_with_containers(lab: Lab) -> None:
    asker = lab.container("blue")
    names = Names(lab, asker)
    try:
        assert ask(asker, "late") == ["2"]
        late = lab.container(NetworkAttachment("blue", aliases=("late",)))
        assert ask(asker, "late") == ["0", late.address]
    finally:
        names.end()


@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_other_names_are_asked_upstream(lab: Lab, over: str) -> None:
    """The upstream is the resolver of another container, at 127.0.0.11 of its own namespace, made the
    machine's by a second pair of sockets there."""
    asker = lab.container("blue")
    upstream = "127.0.0.77"
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((upstream, 53))
    tcp = socket.create_server((upstream, 53))
    other = lab.container(NetworkAttachment("blue"))
    create(lab.ctx, "green")
    far = lab.container(NetworkAttachment("green", aliases=("far",)))
    serving = stub.spawn(
        stub.resolver_command(str(lab.ctx.paths.state), far.id, ()), (udp.fileno(), tcp.fileno())
    )
    names = Names(lab, asker, ("127.0.0.78", upstream))
    try:
        assert ask(asker, "far", over=over) == ["0", far.address]
        assert other.address != far.address
    finally:
        names.end()
        os.kill(serving, signal.SIGKILL)
        os.waitpid(serving, 0)
        udp.close()
        tcp.close()


def test_a_question_that_came_before_the_program_is_answered(lab: Lab) -> None:
    asker = lab.container("blue")
    fd = asker.descriptor()
    sockets = stub.open_sockets(fd)
    os.close(fd)

    waiting = subprocess.Popen(
        asker.command([sys.executable, "-c", ASK, asker.id[:12], "A", "udp"]),
        stdout=subprocess.PIPE,
        text=True,
    )
    readable, _, _ = select.select(sockets, [], [], 10)
    assert readable == [sockets[0]]
    began = time.monotonic()
    pid = stub.spawn(stub.resolver_command(str(lab.ctx.paths.state), asker.id, ()), sockets)
    out, _ = waiting.communicate(timeout=10)
    assert out.split() == ["0", asker.address]
    assert time.monotonic() - began < 2
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    for sock in sockets:
        os.close(sock)


def test_the_program_ends_when_nobody_asks(lab: Lab) -> None:
    asker = lab.container("blue")
    fd = asker.descriptor()
    sockets = stub.open_sockets(fd)
    os.close(fd)
    argv = stub.resolver_command(str(lab.ctx.paths.state), asker.id, ())
    argv[4] = argv[4].replace(
        "import main;", "import main; import runtime.network.resolver as r; r.IDLE = 0.2;"
    )
    pid = stub.spawn(argv, sockets)
    assert os.waitpid(pid, 0)[1] == 0
    for sock in sockets:
        os.close(sock)
