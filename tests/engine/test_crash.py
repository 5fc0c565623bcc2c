"""kill -9 at any moment: the next ordinary command tells the truth and nothing is left over.

``TUIDOCK_CRASH_ROUNDS`` sets how many rounds are played (20), ``TUIDOCK_CRASH_SEED`` which ones.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.engine import Engine
from tests.leftovers import rows_of

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]

ROUNDS = int(os.environ.get("TUIDOCK_CRASH_ROUNDS", "20"))
SEED = int(os.environ.get("TUIDOCK_CRASH_SEED", "1"))
TUIDOCK = [sys.executable, "-m", "tuidock"]
REPOSITORY = Path(__file__).resolve().parents[2]

VERBS: tuple[tuple[str, ...], ...] = (
    ("run", "-d", "--name", "box", "busybox", "sleep", "1000"),
    ("run", "-d", "--name", "box", "-p", "18931:80", "-m", "32m", "busybox", "sleep", "1000"),
    ("run", "--rm", "busybox", "sleep", "0.05"),
    ("create", "--name", "box", "busybox", "sleep", "1000"),
    ("start", "box"),
    ("restart", "-t", "0", "box"),
    ("exec", "box", "sleep", "0.05"),
    ("pause", "box"),
    ("unpause", "box"),
    ("kill", "box"),
    ("stop", "-t", "0", "box"),
    ("rm", "-f", "box"),
)


def command(root: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*TUIDOCK, "--root", root, *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )


def finish(root: str, *arguments: str) -> str:
    process = command(root, *arguments)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, (arguments, output.decode())
    return output.decode()


def monitors(root: str) -> list[int]:
    """Processes with the root in their command line, but for commands of ours (they name the package)."""
    found = []
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if root in arguments and any("runtime/monitor" in argument for argument in arguments):
                found.append(int(pid))
    return found


def untrue(engine: Engine, root: str) -> list[str]:
    """What is wrong, in words, after the next ordinary command has run."""
    wrong = []
    rows = [
        json.loads(line) for line in finish(root, "ps", "-a", "--no-trunc", "--format", "json").splitlines()
    ]
    alive = {row["ID"] for row in rows if row["State"] in ("running", "paused", "restarting")}
    for container_id in alive:
        inspecting = command(root, "inspect", container_id)
        output, _ = inspecting.communicate(timeout=60)
        if inspecting.returncode != 0 and b"no such object" in output:
            return ["a container went while we looked: look again"]
        state = json.loads(output)[0]["State"]
        if state["Status"] != "restarting" and not Path(f"/proc/{state['Pid']}").exists():
            wrong.append(f"{container_id[:12]} is said to run and process {state['Pid']} does not exist")
    for table in ("endpoint", "port"):
        for holder in rows_of(root, f"SELECT container_id FROM {table}"):
            if holder not in alive:
                wrong.append(f"{table} row of {holder[:12]}, which does not run")
    root_id = engine.context.root_id
    for hierarchy in Path("/sys/fs/cgroup").iterdir():
        parent = hierarchy / "tuidock" / root_id
        if parent.is_dir():
            for group in parent.iterdir():
                if group.is_dir() and group.name != "monitors" and group.name not in alive:
                    wrong.append(f"cgroup {group}")
    interfaces = set(rows_of(root, "SELECT host_interface FROM endpoint"))
    bridges = set(rows_of(root, "SELECT bridge FROM network"))
    for name in os.listdir("/sys/class/net"):
        if name.startswith(f"td{root_id}") and name not in interfaces | bridges:
            wrong.append(f"link {name}")
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if root in line:
            wrong.append(f"mount {line.split()[4]}")
    if len(monitors(root)) != len(alive):
        wrong.append(f"{len(monitors(root))} monitors for {len(alive)} containers")
    return wrong


def settle(look: Callable[[], list[str]]) -> list[str]:
    """The kernel takes namespaces apart in its own time: look again for a while."""
    deadline = time.monotonic() + 5
    while (wrong := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return wrong


def test_killed_at_random_moments(fresh_engine: Engine, busybox_tar: bytes, tmp_path: Path) -> None:
    root = str(fresh_engine.context.paths.state)
    archive = tmp_path / "busybox.tar"
    archive.write_bytes(busybox_tar)
    finish(root, "import", "--change", "ENV PATH=/bin", str(archive), "busybox")
    images = finish(root, "images", "-q")
    rng = random.Random(SEED)
    history: list[str] = []
    for number in range(ROUNDS):
        verb = rng.choice(VERBS)
        victim = rng.choice(["command", "command", "monitor", "both"])
        delay = rng.uniform(0, 0.25)
        history.append(f"{number}: {' '.join(verb)}, {victim} after {delay * 1000:.0f} ms")
        process = command(root, *verb)
        time.sleep(delay)
        if victim in ("command", "both") and process.poll() is None:
            process.kill()
        if victim in ("monitor", "both"):
            for pid in monitors(root):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        process.communicate(timeout=60)
        wrong = settle(lambda: untrue(fresh_engine, root))
        assert not wrong, (wrong, history[-6:])
        assert finish(root, "images", "-q") == images, history[-6:]
        if rng.random() < 0.2:
            for name in finish(root, "ps", "-aq").split():
                command(root, "rm", "-f", name).communicate(timeout=60)
    for name in finish(root, "ps", "-aq").split():
        command(root, "rm", "-f", name).communicate(timeout=60)
    assert finish(root, "ps", "-aq") == ""
    assert not settle(lambda: untrue(fresh_engine, root))


def test_many_commands_at_once_leave_nothing(
    fresh_engine: Engine, busybox_tar: bytes, tmp_path: Path
) -> None:
    root = str(fresh_engine.context.paths.state)
    archive = tmp_path / "busybox.tar"
    archive.write_bytes(busybox_tar)
    finish(root, "import", "--change", "ENV PATH=/bin", str(archive), "busybox")
    processes = [command(root, "run", "--rm", "busybox", "echo", str(number)) for number in range(24)]
    for number, process in enumerate(processes):
        output, _ = process.communicate(timeout=120)
        assert (process.returncode, output.decode().strip()) == (0, str(number))
    assert finish(root, "ps", "-aq") == ""
    assert not settle(lambda: untrue(fresh_engine, root))
