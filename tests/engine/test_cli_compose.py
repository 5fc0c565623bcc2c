"""compose and demo on the command line, over the real engine."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.engine import Engine
from tests.leftovers import Root, left_in_kernel

pytestmark = pytest.mark.engine

COMPOSE = """
name: shop
services:
  web:
    image: busybox:latest
    command: ["sh", "-c", "trap 'exit 0' TERM; echo hello from $$HOSTNAME; while :; do sleep 0.1; done"]
    environment: {GREETING: hi}
    deploy: {replicas: 2}
  db:
    image: busybox:latest
    command: ["sh", "-c", "trap 'exit 0' TERM; echo db is up; while :; do sleep 0.1; done"]
"""


def tuidock(root: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tuidock", "--root", str(root), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
        cwd=cwd,
    )


@pytest.fixture
def shop(engine: Engine, busybox: str, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``tuidock compose ...`` where the compose file is."""
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    root = engine.context.paths.state

    def compose(*arguments: str) -> subprocess.CompletedProcess[str]:
        return tuidock(root, "compose", *arguments, cwd=tmp_path)

    return compose


Compose = Callable[..., subprocess.CompletedProcess[str]]


def test_a_project_from_up_to_down(engine: Engine, shop: Compose) -> None:
    up = shop("up", "-d")
    assert up.returncode == 0, up.stderr
    assert " Container shop-web-2  Started\n" in up.stderr
    names = shop("ps", "--format", "{{.Name}} {{.Service}} {{.State}}").stdout.split("\n")
    assert names == ["shop-db-1 db running", "shop-web-1 web running", "shop-web-2 web running", ""]
    assert shop("ps", "--services").stdout == "db\nweb\n"
    listed = [json.loads(line) for line in shop("ls", "--format", "json").stdout.splitlines()]
    assert [(item["Name"], item["Status"]) for item in listed] == [("shop", "running(3)")]

    logs = shop("logs", "--no-color", "db").stdout
    assert logs == "db-1  | db is up\n"
    assert sorted(line[:8] for line in shop("logs", "web").stdout.splitlines()) == ["web-1  |", "web-2  |"]
    assert shop("logs", "--no-log-prefix", "--tail", "1", "db").stdout == "db is up\n"

    done = shop("exec", "-T", "--index", "2", "web", "sh", "-c", "echo $GREETING $HOSTNAME; exit 3")
    second = engine.containers.get("shop-web-2").short_id
    assert (done.stdout, done.returncode) == (f"hi {second}\n", 3)
    once = shop("run", "--rm", "-T", "-e", "GREETING=ciao", "web", "sh", "-c", "echo $GREETING; exit 4")
    assert (once.stdout, once.returncode) == ("ciao\n", 4)

    assert shop("scale", "web=3").returncode == 0
    assert shop("ps", "-q", "web").stdout.count("\n") == 3
    assert shop("up", "-d", "--scale", "web=1").returncode == 0
    assert shop("ps", "-a", "-q", "web").stdout.count("\n") == 1

    assert shop("stop").returncode == 0
    assert shop("ps", "-q").stdout == ""
    assert shop("start", "db").returncode == 0
    assert shop("ps", "--format", "{{.Name}}").stdout == "shop-db-1\n"
    down = shop("down")
    assert down.returncode == 0 and " Network shop_default  Removed\n" in down.stderr
    assert engine.containers.list(all=True) == []


def test_a_project_is_reached_by_name_without_its_file(engine: Engine, shop: Compose, tmp_path: Path) -> None:
    shop("up", "-d", "db")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "compose.yaml").unlink()
    root = engine.context.paths.state
    ps = tuidock(root, "compose", "-p", "shop", "ps", "--format", "{{.Name}}", cwd=elsewhere)
    assert ps.stdout == "shop-db-1\n"
    scaled = tuidock(root, "compose", "-p", "shop", "scale", "db=2", cwd=elsewhere)
    assert scaled.returncode == 0, scaled.stderr
    assert len(engine.services.project_containers("shop")) == 2
    nameless = tuidock(root, "compose", "ps", cwd=elsewhere)
    assert nameless.returncode == 1 and nameless.stderr.startswith("tuidock: no compose file found")
    assert tuidock(root, "compose", "-p", "shop", "down", cwd=elsewhere).returncode == 0


def test_up_attached_stops_its_containers_on_an_interrupt(
    engine: Engine, shop: Compose, tmp_path: Path
) -> None:
    root = str(engine.context.paths.state)
    process = subprocess.Popen(
        [sys.executable, "-m", "tuidock", "--root", root, "compose", "up", "--no-color"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        # A shell's background job, as the tests may be, has it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    lines = {process.stdout.readline() for _ in range(3)}
    assert "db-1   | db is up\n" in lines
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Gracefully stopping..." in err
    assert engine.containers.list() == []
    assert len(engine.containers.list(all=True)) == 3


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def test_the_demo(new_root: Callable[[], Path]) -> None:
    root, port = new_root(), free_port()
    started = tuidock(root, "demo", "--port", str(port))
    assert started.returncode == 0, started.stderr
    assert f"3 replicas of the service web answer at http://127.0.0.1:{port}/" in started.stdout
    hosts: Counter[str] = Counter()
    for _ in range(30):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            page = answer.read().decode()
        hosts[page.partition("Hostname:</b> ")[2].partition("<")[0]] += 1
    assert sorted(hosts.values()) == [10, 10, 10]
    assert tuidock(root, "compose", "-p", "demo", "ps", "-q").stdout.count("\n") == 3

    again = tuidock(root, "demo", "--no-tui", "--port", str(port))
    assert again.returncode == 0
    assert set(hosts) == {line[:12] for line in tuidock(root, "ps", "-q").stdout.splitlines()}

    down = tuidock(root, "demo", "--down")
    assert down.returncode == 0, down.stderr
    assert tuidock(root, "ps", "-aq").stdout == ""
    assert tuidock(root, "images", "-aq").stdout == ""
    engine = Engine(root)
    kernel = left_in_kernel([Root(str(root), engine.context.root_id)])
    engine.close()
    assert not kernel
    assert not [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(root) in line]


def test_the_demo_names_a_port_that_is_taken(new_root: Callable[[], Path]) -> None:
    root = new_root()
    with socket.socket() as sock:
        sock.bind(("0.0.0.0", 0))
        sock.listen()
        port = sock.getsockname()[1]
        failed = tuidock(root, "demo", "--port", str(port))
    assert failed.returncode == 1
    message, hint = failed.stderr.splitlines()[-2:]
    assert message.startswith("tuidock: ") and str(port) in message
    assert hint == f"hint: choose another one: tuidock demo --port {port + 1}"
    assert tuidock(root, "demo", "--down").returncode == 0
