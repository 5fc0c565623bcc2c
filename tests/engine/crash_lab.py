"""A root to be hit while it works: what is done to it, who is killed, and what must be true afterwards.

:class:`Lab` holds a root with images, a build context, a compose project and a container that must survive.
:data:`OPERATIONS` is what one round may be about; to add one add a row.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import random
import select
import signal
import sqlite3
import struct
import sys
import termios
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from runtime.config import Config
from runtime.containers.cgroup_path import cgroup_path
from runtime.engine import Engine
from runtime.images.check import verify
from runtime.network import firewall
from runtime.store import containers as store
from tests.engine.commands import Commands, Running
from tests.leftovers import rows_of

__all__ = ["OPERATIONS", "Lab", "Operation", "settled"]

TUIDOCK = [sys.executable, "-m", "tuidock"]
REPOSITORY = Path(__file__).resolve().parents[2]
PRECIOUS = "what must not be lost"

DOCKERFILE = """\
FROM busybox
ARG N
COPY data /data
RUN echo $N > /n; sleep 0.05; cat /data/* > /all
WORKDIR /made
RUN sleep 0.02; mkdir -p a/b/c; rm -r /data
CMD ["sleep", "1000"]
"""
COMPOSE = """\
name: lab
services:
  one:
    image: busybox
    command: sleep 1000
    init: true
    stop_grace_period: 0s
    volumes: [stuff:/stuff]
  two:
    image: busybox
    command: sleep 1000
    stop_grace_period: 0s
    ports: ["18932:80"]
    depends_on: [one]
volumes:
  stuff: {}
"""


@dataclass(frozen=True)
class Operation:
    """``arguments`` of the command; ``keys`` are typed into the interface instead. ``seen`` says whether what
    a command that ended with 0 has promised is there."""

    arguments: tuple[str, ...]
    keys: str = ""
    seen: Callable[[Lab], bool] | None = None

    @property
    def name(self) -> str:
        return " ".join(self.arguments) or f"interface: {self.keys}"


def _image(name: str) -> Callable[[Lab], bool]:
    return lambda lab: any(
        image.repository == name.format(host=lab.host) for image in lab.engine.images.list()
    )


def _named(noun: str, name: str) -> Callable[[Lab], bool]:
    return lambda lab: bool(rows_of(lab.root, f"SELECT name FROM {noun} WHERE name = '{name}'"))


def _gone(name: str) -> Callable[[Lab], bool]:
    return lambda lab: not rows_of(lab.root, f"SELECT id FROM container WHERE name = '{name}'")


def _file(lab: Lab) -> bool:
    """What was copied can be copied back, byte for byte."""
    process = lab.command("cp", "box:/copied", str(lab.scratch / "back"))
    lab.end(process)
    return (lab.scratch / "back").read_bytes() == (lab.context / "data" / "f1").read_bytes()


OPERATIONS: tuple[Operation, ...] = (
    *(
        Operation(tuple(text.split()))
        for text in (
            "run -d --name box busybox sleep 1000",
            "run -d --name box -p 18931:80 -m 32m -v named:/named busybox sleep 1000",
            "run -d --name box --restart always --health-cmd true --health-interval 1s busybox sleep 0.2",
            "run -d --rm --name box -v /anonymous busybox sleep 1000",
            "run --rm busybox sleep 0.05",
            "run --rm -v /anonymous -p 18933:80 busybox true",
            "run --rm --cgroup-parent lab-parent busybox true",
            "create --name box --network wires -v named:/named busybox sleep 1000",
            "start box",
            "restart -t 0 box",
            "exec box sleep 0.05",
            "exec -d box sleep 1000",
            "pause box",
            "unpause box",
            "kill box",
            "stop -t 0 box",
            "rm -f box",
            "update --memory 48m --restart no box",
            "rename box other",
            "compose up -d",
            "compose down -v",
            "compose restart -t 0",
            "network rm wires",
            "network connect wires box",
            "network disconnect wires box",
            "network disconnect bridge box",
            "volume rm things",
            "rmi loaded",
            "rmi made",
            "container prune -f",
            "volume prune -f",
            "image prune -f",
            "system check --repair",
        )
    ),
    Operation(("rm", "-f", "-v", "box"), seen=_gone("box")),
    Operation(("cp", "{context}/data/f1", "box:/copied"), seen=_file),
    Operation(("cp", "box:/etc", "{scratch}/etc")),
    Operation(("commit", "box", "committed"), seen=_image("committed")),
    Operation(("build", "-t", "made", "--build-arg", "N={number}", "{context}"), seen=_image("made")),
    Operation(("build", "--no-cache", "-t", "made", "{context}"), seen=_image("made")),
    Operation(("load", "-i", "{saved}"), seen=_image("loaded")),
    Operation(("pull", "-q", "{host}/far"), seen=_image("{host}/far")),
    Operation(("pull", "{host}/far")),
    Operation(("push", "-q", "{host}/far")),
    Operation(("rmi", "{host}/far")),
    Operation(("run", "--rm", "--pull", "always", "{host}/far", "true")),
    Operation(("import", "{archive}", "imported:{number}"), seen=_image("imported")),
    Operation(("save", "-o", "{scratch}/saved.tar", "busybox")),
    Operation(("volume", "create", "things"), seen=_named("volume", "things")),
    Operation(("network", "create", "wires"), seen=_named("network", "wires")),
    *(Operation((), keys=keys) for keys in ("s", "S", "\x0b")),
)


@dataclass
class Lab:
    """``history`` is what was done so far, in words, for whoever has to understand a failure; ``host`` is a
    registry's."""

    engine: Engine
    commands: Commands
    host: str
    scratch: Path
    busybox_tar: bytes
    rng: random.Random
    history: list[str] = field(default_factory=list)
    lasts: dict[str, float] = field(default_factory=dict)
    """How long each operation takes when nobody kills it, as far as is known."""

    def __post_init__(self) -> None:
        self.root = str(self.engine.context.paths.state)
        self.archive, self.saved = self.scratch / "busybox.tar", self.scratch / "loaded.tar"
        self.context, self.project = self.scratch / "context", self.scratch / "project"
        self.archive.write_bytes(self.busybox_tar)
        (self.context / "data").mkdir(parents=True)
        for number in range(20):
            (self.context / "data" / f"f{number}").write_text(f"{number}" * 1000)
        (self.context / "Dockerfile").write_text(DOCKERFILE)
        self.project.mkdir()
        (self.project / "compose.yaml").write_text(COMPOSE)
        self.finish("import", "--change", "ENV PATH=/bin", str(self.archive), "busybox")
        loaded = self.scratch / "Loaded"
        loaded.write_text("FROM busybox\nRUN echo loaded > /loaded\n")
        self.finish("build", "-t", "loaded", "-f", str(loaded), str(self.context))
        self.finish("save", "-o", str(self.saved), "loaded")
        self.finish("tag", "loaded", f"{self.host}/far")
        self.finish("push", "-q", f"{self.host}/far")
        self.finish("rmi", "loaded", f"{self.host}/far")
        self.finish("volume", "create", "kept")
        self.finish(
            "run",
            "-d",
            "--name",
            "keeper",
            "--stop-timeout",
            "0",
            "-v",
            "kept:/kept",
            "busybox",
            "sleep",
            "100000",
        )
        self.finish("exec", "keeper", "sh", "-c", f"echo '{PRECIOUS}' | tee /kept/file > /own")
        self.base = self.engine.images.get("busybox").id

    # -- commands ---------------------------------------------------------------------------------

    def command(self, *arguments: str) -> Running:
        directory = self.project if arguments[0] == "compose" else REPOSITORY
        return self.commands.start(["--root", self.root, *arguments], directory)

    def end(self, process: Running) -> str:
        """Its output, once it has ended; a traceback in it is a bug, whoever was killed."""
        output = process.output()
        assert "Traceback" not in output and "internal error" not in output, (output, self.history[-8:])
        return output

    def finish(self, *arguments: str) -> str:
        process = self.command(*arguments)
        output = self.end(process)
        assert process.returncode == 0, (arguments, process.returncode, output, self.history[-8:])
        return output

    def names(self) -> list[str]:
        return self.finish("ps", "-a", "--format", "{{.Names}}").split()

    # -- a round ----------------------------------------------------------------------------------

    def round(self, number: int) -> list[str]:
        """Begin something, kill somebody, look. What is wrong, in words."""
        operation = self.rng.choice(OPERATIONS)
        victim = self.rng.choice(["command", "command", "command", "monitor", "both", "child", "nobody"])
        part = self.rng.random()
        places = {
            "context": self.context, "scratch": self.scratch, "saved": self.saved, "archive": self.archive,
            "number": number % 3, "host": self.host,
        }  # fmt: skip
        arguments = tuple(text.format(**places) for text in operation.arguments)
        delay = part * self.lasts.get(operation.name, 0.6) * 1.1
        self.history.append(f"{number}: {operation.name}: {victim} killed after {delay * 1000:.0f} ms")
        if operation.keys or not arguments:
            self._interface(operation.keys, delay)
            return settled(self.untrue)
        began = time.monotonic()
        process = self.command(*arguments)
        if process.wait(delay):
            self.lasts[operation.name] = time.monotonic() - began
        if victim in ("command", "both"):
            process.kill()
        if victim in ("monitor", "both"):
            for pid in self.monitors():
                if pid != self.keeper():
                    kill(pid)
        if victim == "child" and (found := self.processes_of("box")):
            kill(self.rng.choice(found))
        self.end(process)
        wrong = settled(self.untrue)
        promised = process.returncode == 0 and victim in ("command", "nobody")
        if promised and operation.seen is not None and not operation.seen(self):
            wrong.append(f"{operation.name} ended well and nothing shows it")
        return wrong

    def _interface(self, keys: str, delay: float) -> None:
        """The terminal interface on a terminal of its own: keys once it is up, then it is killed."""
        pid, master = pty.fork()
        if pid == 0:
            os.chdir(REPOSITORY)
            os.execve(
                sys.executable, [*TUIDOCK, "--root", self.root], {**os.environ, "TERM": "xterm-256color"}
            )
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        try:
            shown, deadline = b"", time.monotonic() + 20
            while b"keeper" not in shown and time.monotonic() < deadline:
                if select.select([master], [], [], 0.1)[0]:
                    shown += os.read(master, 65536)
            assert b"keeper" in shown, shown[-500:]
            os.write(master, keys.encode())
            deadline = time.monotonic() + delay
            while (left := deadline - time.monotonic()) > 0:
                if select.select([master], [], [], left)[0]:
                    os.read(master, 65536)
        finally:
            kill(pid)
            os.waitpid(pid, 0)
            os.close(master)
        self.end(self.command("unpause", "keeper"))  # the keys were for whatever was selected
        # Not start: a kill that its monitor has yet to carry out would come after it.
        self.finish("restart", "-t", "0", "keeper")

    # -- looking ----------------------------------------------------------------------------------

    def monitors(self) -> list[int]:
        """Processes with the root in their command line and the monitor's code, but for what one has just
        forked to write a row or to enter the container: that has its parent's command line for a moment."""
        found: dict[int, int] = {}
        for pid in os.listdir("/proc"):
            if pid.isdigit():
                with suppress(OSError):
                    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
                    if self.root in arguments and any("runtime/monitor" in text for text in arguments):
                        stat = Path(f"/proc/{pid}/stat").read_text()
                        found[int(pid)] = int(stat.rpartition(")")[2].split()[1])
        return [pid for pid, parent in found.items() if parent not in found]

    def keeper(self) -> int:
        from runtime.containers.control import monitor_pid

        container = store.find(self.engine.context.db, "keeper")
        return monitor_pid(self.engine.context, container.id)

    def processes_of(self, name: str) -> list[int]:
        from runtime import cgroups

        ctx = self.engine.context
        rows = rows_of(self.root, f"SELECT id FROM container WHERE name = '{name}'")
        return cgroups.detect().pids(cgroup_path(ctx, rows[0], None)) if rows else []

    def untrue(self) -> list[str]:
        """The next ordinary commands, then what is wrong all the same."""
        output = self.finish("ps", "-a", "--no-trunc", "--format", "json")
        with closing(Engine(self.root, config=Config())) as engine:
            engine.images.list()
            engine.networks.list()
        alive = {
            row["ID"]
            for row in map(json.loads, output.splitlines())
            if row["State"] in ("running", "paused", "restarting")
        }
        wrong = [*self._rows(alive), *self._kernel(alive), *self._disk(), *self._lost()]
        if len(self.monitors()) != len(alive):
            wrong.append(f"{len(self.monitors())} monitors for {len(alive)} containers")
        return wrong

    def _rows(self, alive: set[str]) -> list[str]:
        wrong = []
        for container in store.all_containers(self.engine.context.db, internal=True):
            state, config = container.state, container.config
            if state.status.value in ("running", "paused") and not Path(f"/proc/{state.pid}").exists():
                wrong.append(f"{container.name} is said to run and process {state.pid} does not exist")
            if config.auto_remove and state.status.value in ("exited", "dead"):
                wrong.append(f"{container.name} has ended and did not remove itself")
            if config.internal:
                wrong.append(f"build step {container.name}")
            if not (self.engine.context.paths.container(container.id) / "upper").is_dir():
                wrong.append(f"{container.name} has lost its directory")
        for table in ("endpoint", "port"):
            for holder in rows_of(self.root, f"SELECT container_id FROM {table}"):
                if holder not in alive:
                    wrong.append(f"{table} row of {holder[:12]}, which does not run")
        return wrong

    def _kernel(self, alive: set[str]) -> list[str]:
        ctx, wrong = self.engine.context, []
        hierarchies = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]
        for hierarchy in hierarchies:
            parent = hierarchy / "tuidock" / ctx.root_id
            for group in parent.iterdir() if parent.is_dir() else ():
                if group.is_dir() and group.name != "monitors" and group.name not in alive:
                    wrong.append(f"cgroup {group}")
            if (hierarchy / "lab-parent").is_dir():
                wrong.append(f"cgroup {hierarchy / 'lab-parent'}")
        interfaces = set(rows_of(self.root, "SELECT host_interface FROM endpoint"))
        bridges = set(rows_of(self.root, "SELECT bridge FROM network"))
        for name in os.listdir("/sys/class/net"):
            if name.startswith(f"td{ctx.root_id}") and name not in interfaces | bridges:
                wrong.append(f"link {name}")
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            if self.root in line:
                wrong.append(f"mount {line.split()[4]}")
        if firewall.settle(ctx, only_existing=True):
            wrong.append("the firewall's table was not what the rows say")
        return wrong

    def _disk(self) -> list[str]:
        """Files and directories that nothing names."""
        paths, db = self.engine.context.paths, self.engine.context.db
        known = {row[0] for row in db.rows("SELECT id FROM container")}
        volumes = {row[0] for row in db.rows("SELECT name FROM volume")}
        layers = {row[0] for row in db.rows("SELECT directory FROM layer")}
        used = {row[0] for row in db.rows("SELECT id FROM image UNION SELECT manifest_digest FROM image")}
        used |= {row[0] for row in db.rows("SELECT blob_digest FROM layer UNION SELECT recipe FROM layer")}
        wrong = [f"directory {item}" for item in paths.containers.iterdir() if item.name not in known]
        wrong += [f"directory {item}" for item in paths.run_containers.iterdir() if item.name not in known]
        wrong += [f"directory {item}" for item in paths.volumes.iterdir() if item.name not in volumes]
        wrong += [f"row of volume {name}" for name in volumes if not paths.volume(name).is_dir()]
        for item in paths.layers.iterdir():
            if item.name not in layers and item.name != ".lock":
                wrong.append(f"layer directory {item}")
        wrong += [f"content {item}" for item in paths.content.iterdir() if item.name.startswith(".")]
        for item in (paths.content / "blobs" / "sha256").iterdir():
            if f"sha256:{item.name}" not in used:
                wrong.append(f"blob {item.name}")
        wrong += [f"build {item}" for item in paths.build.iterdir() if item.name.startswith(".tmp")]
        mounted = {row[0] for row in db.rows(_MOUNTED)}
        for name in volumes - mounted:
            if len(name) == 64:
                wrong.append(f"anonymous volume {name[:12]} of no container")
        return wrong

    def _lost(self) -> list[str]:
        wrong = verify(self.engine.context)
        if self.engine.images.get("busybox").id != self.base:
            wrong.append("the image busybox is not what it was")
        volume = self.engine.context.paths.volume("kept") / "file"
        if volume.read_text().strip() != PRECIOUS:
            wrong.append("the volume's file is not what it was")
        keeper = store.find(self.engine.context.db, "keeper")
        own = self.engine.context.paths.container(keeper.id) / "upper" / "own"
        if own.read_text().strip() != PRECIOUS or keeper.state.status.value != "running":
            wrong.append("the container that nobody touched is not what it was")
        connection = sqlite3.connect(f"file:{self.root}/tuidock.db?mode=ro", uri=True)
        with suppress(sqlite3.OperationalError):
            wrong += [
                f"database: {row[0]}" for row in connection.execute("PRAGMA quick_check") if row[0] != "ok"
            ]
        connection.close()
        return wrong

    def clear(self) -> None:
        """Everything but what must survive."""
        for name in self.names():
            if name != "keeper":
                self.end(self.command("rm", "-f", "-v", name))


_MOUNTED = (
    "SELECT json_extract(mount.value, '$.source') FROM container, json_each(container.config, '$.mounts')"
    " AS mount WHERE json_extract(mount.value, '$.type') = 'volume'"
)


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def settled(look: Callable[[], list[str]], seconds: float = 5.0) -> list[str]:
    """The kernel takes namespaces apart in its own time: look again for a while."""
    deadline = time.monotonic() + seconds
    while (wrong := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return wrong
