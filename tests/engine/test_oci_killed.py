"""kill -9 of ``tuidock oci`` at any moment: its next command tells the truth and can take everything away."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from runtime import cgroups
from runtime.oci import forking, lifecycle, state
from tests.engine.commands import Commands, Running
from tests.engine.crash_lab import settled
from tests.interop.oci_lab import document, place, write

__all__ = ["place"]

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

GROUP = "/tuidock-oci-killed/x"
ROUNDS = 4


class Lab:
    def __init__(self, place: Path, commands: Commands) -> None:
        self.bundle, self.root = place, place / "state"
        self._commands = commands

    def start(self, *arguments: str) -> Running:
        return self._commands.start(["oci", "--root", str(self.root), *arguments])

    def good(self, *arguments: str) -> str:
        running = self.start(*arguments)
        output = running.output()
        assert running.returncode == 0, (arguments, output)
        return output

    def listed(self) -> dict[str, str]:
        return {item["id"]: item["status"] for item in json.loads(self.good("list", "--format", "json"))}

    def left(self) -> list[str]:
        """After ``list`` and ``delete``: directories, groups, processes of killed commands."""
        found = [str(path) for path in self.root.iterdir()] if self.root.exists() else []
        found += [f"group {path}" for path in _groups()]
        for name in os.listdir("/proc"):
            if name.isdigit():
                with suppress(OSError):
                    if str(self.bundle) in Path(f"/proc/{name}/mountinfo").read_text():
                        found.append(f"process {name} has the bundle's mounts")
        return found


def _groups() -> list[Path]:
    top = Path("/sys/fs/cgroup")
    return [path for path in (Path(f"{top}{GROUP}"), *top.glob(f"*{GROUP}")) if path.is_dir()]


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands() as running:
        yield running


@pytest.fixture
def lab(place: Path, commands: Commands) -> Iterator[Lab]:
    made = document("/bin/sleep", "1000")
    made["linux"]["cgroupsPath"] = GROUP
    write(place, made)
    lab = Lab(place, commands)
    yield lab
    for name in ("x", "y"):
        lab.good("delete", "--force", name)
    left = settled(lab.left)
    for parent in {path.parent for path in (Path(f"/sys/fs/cgroup{GROUP}"), *_parents())}:
        if parent.is_dir():
            parent.rmdir()
    assert not left


def _parents() -> Iterator[Path]:
    for parent in Path("/sys/fs/cgroup").glob(f"*{os.path.dirname(GROUP)}"):
        yield parent / "x"


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _patched(owner: object, name: str, number: int, *, after: bool) -> Callable[[], None]:
    """Dies in the ``number``-th call of ``owner.name``, before it does anything or when it has done it."""

    def patch() -> None:
        real = getattr(owner, name)
        calls = iter(range(1, 100))

        def dying(*arguments: Any, **options: Any) -> Any:
            if (now := next(calls)) == number and not after:
                die()
            result = real(*arguments, **options)
            if now == number:
                die()
            return result

        setattr(owner, name, dying)

    return patch


BACKEND = type(cgroups.detect())
POINTS: dict[str, Callable[[], None]] = {
    "with an empty directory": _patched(state.Record, "save", 1, after=False),
    "when the id is taken": _patched(state.Record, "save", 1, after=True),
    "before the group": _patched(BACKEND, "create", 1, after=False),
    "with the group": _patched(BACKEND, "create", 1, after=True),
    "with one FIFO": _patched(os, "mkfifo", 1, after=True),
    "when the process exists and is not known": _patched(forking, "fork_into", 1, after=True),
    "when the process is known": _patched(state.Record, "save", 3, after=True),
    "when the process waits": _patched(forking, "hear", 1, after=True),
    "with the pid file": _patched(forking, "write_pid_file", 1, after=True),
}


def _create(lab: Lab, patch: Callable[[], None]) -> None:
    patch()
    lifecycle.create(lab.root, "x", lab.bundle, pid_file=lab.bundle / "pid")


@pytest.mark.parametrize("verb", ["list", "delete", "create"])
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_create_is_found_by_the_next_verb(lab: Lab, point: str, verb: str) -> None:
    killed = multiprocessing.get_context("fork").Process(target=_create, args=(lab, POINTS[point]))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    if verb == "create":
        lab.good("create", "--bundle", str(lab.bundle), "x")
        assert lab.listed() == {"x": "created"}
        lab.good("start", "x")
        assert lab.listed() == {"x": "running"}
        return
    if verb == "list":
        assert lab.listed() == {}
    else:
        lab.good("delete", "--force", "x")
    assert not settled(lab.left)


def test_a_create_that_is_at_work_is_left_alone(lab: Lab) -> None:
    go, ready = multiprocessing.get_context("fork").Event(), multiprocessing.get_context("fork").Event()

    def wait() -> None:
        hear = forking.hear

        def slow(*arguments: Any) -> None:
            hear(*arguments)
            ready.set()
            go.wait(60)

        setattr(forking, "hear", slow)  # noqa: B010 - in a process of its own, which knows no monkeypatch

    working = multiprocessing.get_context("fork").Process(target=_create, args=(lab, wait))
    working.start()
    assert ready.wait(60)
    assert lab.listed() == {"x": "creating"}
    for arguments in (("create", "--bundle", str(lab.bundle), "x"), ("delete", "y"), ("start", "y")):
        running = lab.start(*arguments)
        assert running.output() and running.returncode == 1
    go.set()
    working.join()
    assert working.exitcode == 0
    assert lab.listed() == {"x": "created"}


def test_a_killed_start_has_started_or_can_be_tried_again(lab: Lab) -> None:
    for patch in (_patched(os, "write", 1, after=False), _patched(Path, "unlink", 1, after=False)):
        lab.good("create", "--bundle", str(lab.bundle), "x")

        def begin(patch: Callable[[], None] = patch) -> None:
            patch()
            lifecycle.start(state.open_record(lab.root, "x"))

        killed = multiprocessing.get_context("fork").Process(target=begin)
        killed.start()
        killed.join()
        assert killed.exitcode == -signal.SIGKILL
        if settled(lambda: [] if lab.listed() == {"x": "running"} else ["waiting"], 1.0):
            assert lab.listed() == {"x": "created"}
            lab.good("start", "x")
        assert lab.listed() == {"x": "running"}
        lab.good("delete", "--force", "x")


def test_commands_killed_at_random_moments(lab: Lab) -> None:
    rng = random.Random(3)
    rounds = [
        name for name in ("create", "run", "run --detach", "exec", "delete --force") for _ in range(ROUNDS)
    ]
    lasts: dict[str, float] = {}
    for name in rounds:
        verb, *options = name.split()
        target = ("--bundle", str(lab.bundle), "x") if verb in ("create", "run") else ("x",)
        if verb in ("exec", "delete"):
            lab.good("run", "--detach", "--bundle", str(lab.bundle), "x")
        program = ("/bin/sleep", "0.05") if verb == "exec" else ()
        delay, began = rng.random() * lasts.get(name, 0.3) * 1.1, time.monotonic()
        running = lab.start(verb, *options, *target, *program)
        if running.wait(delay):
            lasts[name] = time.monotonic() - began
        running.kill()
        output = running.output()
        assert "Traceback" not in output, output
        known = lab.listed()
        assert known in ({}, {"x": "created"}, {"x": "running"}, {"x": "stopped"}), (name, delay)
        if known:
            if known["x"] != "stopped":
                refused = lab.start("delete", "x") if known["x"] == "running" else lab.start("start", "x")
                refused.output()
            lab.good("delete", "--force", "x")
        wrong = settled(lab.left)
        assert not wrong, (name, delay, wrong)
    shutil.rmtree(lab.root)
