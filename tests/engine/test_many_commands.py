"""Two hundred commands at once, each a process of its own: all do what they say and leave nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.engine import Engine
from tests.engine.commands import Commands, Running
from tests.engine.crash_lab import Lab, settled
from tests.interop.registry_lab import registry

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]

MANY = 200
PATIENCE = 500.0
"""Seconds for all of them: the machine may have other work."""


@pytest.fixture
def lab(fresh_engine: Engine, busybox_tar: bytes, tmp_path: Path) -> Iterator[Lab]:
    (tmp_path / "registry").mkdir()
    with Commands() as commands, registry(tmp_path / "registry") as far:
        yield Lab(fresh_engine, commands, far.host, tmp_path, busybox_tar, random.Random(1))


def together(lab: Lab, orders: list[list[str]]) -> list[tuple[Running, str]]:
    running = [lab.command(*order) for order in orders]
    return [(one, one.output(PATIENCE)) for one in running]


def test_two_hundred_runs_at_once_all_succeed(lab: Lab) -> None:
    """On one network, so with one address pool, one firewall table and one database."""
    done = together(lab, [["run", "--rm", "busybox", "echo", str(number)] for number in range(MANY)])
    assert [(one.returncode, text.strip()) for one, text in done] == [(0, str(n)) for n in range(MANY)]
    assert lab.names() == ["keeper"]
    assert not settled(lab.untrue, 30)


def test_two_hundred_commands_on_one_container(lab: Lab) -> None:
    """In whatever order they come: each works or says why not, and what is told at the end is true."""
    verbs = (
        "start box", "stop -t 0 box", "exec box true", "inspect box", "restart -t 0 box", "kill box",
        "pause box", "unpause box", "logs box", "rm -f box", "create --name box busybox sleep 1000",
        "update -m 64m box", "top box", "cp box:/bin/busybox /dev/null",
    )  # fmt: skip
    rng = random.Random(7)
    lab.finish("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    for one, text in together(lab, [rng.choice(verbs).split() for _ in range(MANY)]):
        # 137 is what an exec says whose container is killed meanwhile; no command itself dies of a signal.
        assert one.returncode in (*range(128), 137), (one.returncode, text)
        assert "Traceback" not in text and "internal error" not in text, text
    assert not settled(lab.untrue, 30)
    lab.clear()
    assert not settled(lab.untrue, 30)
