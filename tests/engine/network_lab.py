"""Network namespaces that stand for containers and for another machine, made with Debian's tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from runtime.context import Context
from runtime.model.container import Endpoint, NetworkAttachment, PortBinding
from runtime.network import endpoints

__all__ = ["CLOSED", "Container", "Lab", "Namespace"]

CLOSED = "closed"
"""What :meth:`Namespace.ask` answers when nobody could be reached."""

_ANSWER = """
import socket, sys
name, port, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", port))
if kind == "tcp":
    s.listen(100)
print("ready", flush=True)
while True:
    if kind == "udp":
        _, peer = s.recvfrom(100)
        s.sendto(f"{name} {peer[0]}".encode(), peer)
    else:
        c, peer = s.accept()
        c.sendall(f"{name} {peer[0]}".encode())
        c.close()
"""

_ASK = """
import json, socket, sys
address, port, kind, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
found = []
for _ in range(count):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    s.settimeout(1.5)
    try:
        s.connect((address, port))
        if kind == "udp":
            s.send(b"?")
        found.append(s.recv(100).decode())
    except OSError:
        found.append("closed")
    s.close()
print(json.dumps(found))
"""


class Namespace:
    """``pid`` None is the machine's own network."""

    def __init__(self, pid: int | None = None) -> None:
        self.pid = pid
        self._children: list[subprocess.Popen[str]] = []

    def command(self, argv: Sequence[str]) -> list[str]:
        return list(argv) if self.pid is None else ["nsenter", "-t", str(self.pid), "-n", *argv]

    def run(self, *argv: str) -> str:
        done = subprocess.run(self.command(argv), capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def serve(self, name: str, port: int = 80, kind: str = "tcp") -> None:
        """Answer "NAME PEER-ADDRESS" to everybody."""
        argv = self.command([sys.executable, "-I", "-c", _ANSWER, name, str(port), kind])
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self._children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"

    def ask(self, address: str, port: int, kind: str = "tcp", count: int = 1) -> list[str]:
        out = self.run(sys.executable, "-I", "-c", _ASK, address, str(port), kind, str(count))
        found: list[str] = json.loads(out)
        return found

    def end(self) -> None:
        for child in self._children:
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()


class Container(Namespace):
    """A network namespace that was connected as a container's."""

    def __init__(self, container_id: str) -> None:
        self._sleeper = subprocess.Popen(["unshare", "-n", "sleep", "300"])
        super().__init__(self._sleeper.pid)
        own = os.readlink("/proc/self/ns/net")
        deadline = time.monotonic() + 5
        while os.readlink(f"/proc/{self.pid}/ns/net") == own:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        self.id = container_id
        self.places: list[Endpoint] = []
        self.ports: list[PortBinding] = []

    @property
    def address(self) -> str:
        return self.places[0].ipv4_address

    def descriptor(self) -> int:
        return os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def end(self) -> None:
        super().end()
        self._sleeper.kill()
        self._sleeper.wait()


class Lab:
    """Containers of one root; :meth:`outside` is a machine on a wire to this one (198.51.100.0/24)."""

    WIRE = "tdwire0"
    HERE = "198.51.100.1"
    THERE = "198.51.100.2"

    def __init__(self, root: Path) -> None:
        self.ctx = Context.open(root)
        self.machine = Namespace()
        self._spaces: list[Namespace] = [self.machine]
        self._wired = False

    def container(
        self,
        *networks: str | NetworkAttachment,
        ports: Sequence[PortBinding] = (),
        serve: str | None = None,
    ) -> Container:
        made = Container(os.urandom(32).hex())
        self._spaces.append(made)
        wanted = [
            n if isinstance(n, NetworkAttachment) else NetworkAttachment(n) for n in networks or ("bridge",)
        ]
        with self.ctx.db.write() as tx:
            made.places = endpoints.allocate(tx, self.ctx, made.id, wanted, "name", made.id[:12])
            made.ports = endpoints.allocate_ports(tx, self.ctx, made.id, ports, made.places)
        fd = made.descriptor()
        try:
            endpoints.connect(self.ctx, made.id, made.places, fd)
        finally:
            os.close(fd)
        if ports:
            endpoints.publish(self.ctx, made.id)
        if serve is not None:
            made.serve(serve)
        return made

    def outside(self) -> Namespace:
        """It routes everything through this machine, as a neighbour on the wire could."""
        space = Container("")
        self._spaces.append(space)
        self.machine.run(
            "ip", "link", "add", self.WIRE, "type", "veth", "peer", "name", "wire", "netns", str(space.pid)
        )
        self._wired = True
        self.machine.run("ip", "address", "add", f"{self.HERE}/24", "dev", self.WIRE)
        self.machine.run("ip", "link", "set", self.WIRE, "up")
        space.run("ip", "address", "add", f"{self.THERE}/24", "dev", "wire")
        space.run("ip", "link", "set", "wire", "up")
        space.run("ip", "link", "set", "lo", "up")
        space.run("ip", "route", "add", "default", "via", self.HERE)
        return space

    def table(self) -> str:
        done = subprocess.run(
            ["nft", "list", "table", "ip", f"tuidock-{self.ctx.root_id}"],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout

    def links(self) -> set[str]:
        return {name for name in os.listdir("/sys/class/net") if name.startswith(f"td{self.ctx.root_id}")}

    def close(self) -> None:
        for space in self._spaces:
            space.end()
        if self._wired:
            subprocess.run(["ip", "link", "delete", self.WIRE], check=False, stderr=subprocess.DEVNULL)
        from runtime.network.sweep import teardown

        teardown(self.ctx)
        assert not self.links()
        assert not self.table()
        self.ctx.db.close()
