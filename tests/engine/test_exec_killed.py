"""The process of an exec killed at any moment of its life: the exec ends, the container does not notice."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from runtime.containers.control import monitor_pid
from runtime.engine import Engine
from runtime.errors import EngineError
from runtime.model.container import ContainerConfig

pytestmark = pytest.mark.engine


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Hunter(threading.Thread):
    """Kills what appears among a process's children, ``delay`` seconds after it was seen."""

    def __init__(self, parent: int, delay: float) -> None:
        super().__init__()
        self._parent, self._spared, self._delay = parent, set(children(parent)), delay
        self.killed = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            for pid in set(children(self._parent)) - self._spared:
                time.sleep(self._delay)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.killed += 1
                self._spared.add(pid)


def test_the_process_of_an_exec_killed_in_the_middle(engine: Engine, busybox: str) -> None:
    made = engine.containers.run(ContainerConfig(image=busybox, cmd=("sleep", "1000")), name="box")
    monitor = monitor_pid(engine.context, made.id)
    killed = 0
    for number in range(12):
        hunter = Hunter(monitor, number * 0.002)
        hunter.start()
        try:
            session = engine.containers.exec("box", ["sleep", "1000"])
            assert session is not None
            assert session.wait() == 137
            session.detach()
        except EngineError:  # before it had become the program
            pass
        finally:
            hunter.over.set()
            hunter.join()
        killed += hunter.killed
    assert killed >= 12
    assert monitor_pid(engine.context, made.id) == monitor
    session = engine.containers.exec("box", ["echo", "well"])
    assert session is not None
    assert session.read() == (1, b"well\n")
    assert session.wait() == 0
    session.detach()
    deadline = time.monotonic() + 10
    while len(children(monitor)) > 1:
        assert time.monotonic() < deadline, "something of a killed exec is left"
        time.sleep(0.01)


def test_the_monitor_killed_during_an_exec_ends_both(engine: Engine, busybox: str) -> None:
    made = engine.containers.run(ContainerConfig(image=busybox, cmd=("sleep", "1000")), name="box")
    session = engine.containers.exec("box", ["sleep", "1000"])
    assert session is not None
    os.kill(monitor_pid(engine.context, made.id), signal.SIGKILL)
    assert session.wait() == 137
    session.detach()
    assert engine.containers.get("box").state.status.value == "exited"


def test_many_at_once_all_tell_their_own_exit_code(engine: Engine, busybox: str) -> None:
    """The monitor notices many ends at once, some before it has heard that the program runs."""
    engine.containers.run(ContainerConfig(image=busybox, cmd=("sleep", "1000")), name="box")
    wrong: list[tuple[int, int]] = []

    def ask(code: int) -> None:
        for _ in range(25):
            session = engine.containers.exec("box", ["sh", "-c", f"exit {code}"])
            assert session is not None
            found = session.wait()
            session.detach()
            if found != code:
                wrong.append((code, found))

    threads = [threading.Thread(target=ask, args=(code,)) for code in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
