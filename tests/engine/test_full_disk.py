"""A full disk and a read-only one: one clear line a command, nothing corrupt, and afterwards all is well."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from runtime.config import Config
from runtime.engine import Engine
from runtime.errors import Conflict
from runtime.kernel import locks, syscalls
from runtime.store import reserve
from runtime.store.database import Transaction
from tests.engine.commands import Commands

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

SIZE = 256 << 20


class Done(NamedTuple):
    """A command's arguments, exit code and both outputs."""

    arguments: tuple[str, ...]
    code: int | None
    output: str


class Disk:
    """A root on a small file system of its own."""

    def __init__(self, root: Path, commands: Commands) -> None:
        self.root = root
        self._commands = commands
        self._ballast = root / "ballast"

    def run(self, *arguments: str) -> Done:
        running = self._commands.start(["--root", str(self.root), *arguments])
        output = running.output()
        return Done(arguments, running.returncode, output)

    def good(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.code == 0, done
        return done.output

    def fill(self) -> None:
        """Not a byte is left."""
        fd = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for piece in (1 << 20, 4096, 1):
                while True:
                    try:
                        if os.write(fd, b"x" * piece) < piece:
                            break
                    except OSError:
                        break
        finally:
            os.close(fd)

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def remount(self, flags: int) -> None:
        syscalls.mount("", str(self.root), "", syscalls.MS_REMOUNT | flags, "")


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands() as running:
        yield running


@pytest.fixture
def disk(nothing_left_behind: None, busybox_tar: bytes, tmp_path: Path, commands: Commands) -> Iterator[Disk]:
    root = Path(tempfile.mkdtemp(prefix="td", dir="/tmp"))
    syscalls.mount("td-disk", str(root), "tmpfs", 0, f"size={SIZE}")
    disk = Disk(root, commands)
    archive = tmp_path / "busybox.tar"
    archive.write_bytes(busybox_tar)
    try:
        disk.good("import", "--change", "ENV PATH=/bin", str(archive), "busybox")
        yield disk
    finally:
        _take_away(disk)


def _take_away(disk: Disk) -> None:
    root = disk.root
    disk.remount(0)
    disk.free()
    engine = Engine(root, config=Config())
    engine.system.purge()
    engine.close()
    deadline = time.monotonic() + 10
    while True:
        try:
            syscalls.umount2(str(root), 0)
            break
        except OSError:
            assert time.monotonic() < deadline, "the root's file system is still in use"
            time.sleep(0.05)
    shutil.rmtree(root)


def one_line(done: Done, *words: str) -> None:
    """It failed with one line, which has one of the ``words``."""
    assert done.code not in (0, None), done
    assert "Traceback" not in done.output and "internal error" not in done.output, done.output
    lines = [line for line in done.output.splitlines() if line.startswith("tuidock: ")]
    assert len(lines) == 1, done.output
    assert any(word in done.output for word in words), done


FULL = ("o space left", "is full")
WRITERS = (
    ("run", "-d", "busybox", "sleep", "1000"),
    ("run", "--rm", "busybox", "true"),
    ("create", "busybox", "true"),
    ("volume", "create", "things"),
    ("network", "create", "wires"),
    ("commit", "box", "committed"),
    ("tag", "busybox", "other"),
    ("build", "-t", "made", "{context}"),
    ("cp", "{context}/big", "box:/big"),
    ("import", "{context}/archive.tar", "imported"),
)


def test_every_verb_says_that_the_disk_is_full(disk: Disk, busybox_tar: bytes, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nCOPY big /big\nRUN echo x > /x\n")
    (tmp_path / "big").write_bytes(os.urandom(4 << 20))
    (tmp_path / "archive.tar").write_bytes(busybox_tar)
    disk.good("run", "-d", "--name", "box", "--stop-timeout", "0", "busybox", "sleep", "1000")
    for verb in WRITERS:
        (disk.root / "reserve").unlink(missing_ok=True)
        disk.fill()
        one_line(disk.run(*(word.format(context=tmp_path) for word in verb)), *FULL)
        disk.fill()
        assert "box" in disk.good("ps"), verb
        disk.free()
    assert disk.good("system", "check") == "nothing is wrong\n"
    for verb in WRITERS[1:]:
        disk.good(*(word.format(context=tmp_path) for word in verb))


def test_a_commit_that_fails_leaves_the_machine_as_it_was(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a verb does outside of the database inside its transaction is taken back."""
    kept = engine.volumes.create("kept")
    (Path(kept.mountpoint) / "file").write_text("precious")
    event = Transaction.event

    def known() -> object:
        ours = [name for _, name in socket.if_nameindex() if name.startswith(f"td{engine.context.root_id}")]
        return ours, engine.networks.list(), engine.volumes.list()

    before = known()

    def with_a_broken_promise(tx: Transaction, *arguments: str, **attributes: str) -> None:
        event(tx, *arguments, **attributes)
        tx.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        tx.execute("CREATE TABLE child (parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
        tx.execute("INSERT INTO child VALUES (1)")

    monkeypatch.setattr(Transaction, "event", with_a_broken_promise)
    for verb in (
        lambda: engine.networks.create("wires"),
        lambda: engine.volumes.create("things"),
        lambda: engine.volumes.remove("kept"),
    ):
        with pytest.raises((sqlite3.IntegrityError, Conflict)):
            verb()
    monkeypatch.undo()
    assert not (Path(kept.mountpoint).parent.parent / "things").exists()
    assert known() == before
    assert (Path(kept.mountpoint) / "file").read_text() == "precious"


def test_space_is_freed_with_our_own_commands(disk: Disk) -> None:
    disk.good("run", "-d", "--name", "box", "busybox", "sh", "-c", "sleep 1000")
    assert (disk.root / "reserve").stat().st_size == reserve.SIZE
    disk.run("exec", "box", "dd", "if=/dev/zero", "of=/fill", "bs=64k")
    disk.fill()
    assert "box" in disk.good("ps")
    assert disk.good("exec", "box", "echo", "alive") == "alive\n"
    disk.good("rm", "-f", "box")
    disk.free()
    assert disk.good("ps", "-aq") == ""
    disk.good("run", "--rm", "busybox", "true")
    assert (disk.root / "reserve").stat().st_size == reserve.SIZE


def test_a_log_that_finds_no_space_neither_stops_nor_holds_the_container(disk: Disk) -> None:
    writing = "n=0; while :; do n=$((n+1)); echo line $n; echo $n > /dev/shm/n; done"
    for options in ((), ("--log-opt", "max-size=1m", "--log-opt", "max-file=3")):
        disk.good("run", "-d", "--name", "box", *options, "busybox", "sh", "-c", writing)
        disk.fill()
        before = disk.good("exec", "box", "cat", "/dev/shm/n")
        deadline = time.monotonic() + 20
        while disk.good("exec", "box", "cat", "/dev/shm/n") == before:
            assert time.monotonic() < deadline, "the container stands still"
        assert json.loads(disk.good("inspect", "box"))[0]["State"]["Status"] == "running"
        disk.good("rm", "-f", "box")
        disk.free()


def test_an_end_on_a_full_disk_keeps_its_exit_code(disk: Disk) -> None:
    disk.good(
        "run", "-d", "--name", "box", "busybox", "sh", "-c", "while [ ! -e /dev/shm/go ]; do :; done; exit 7"
    )
    disk.good("exec", "box", "true")
    disk.fill()
    disk.good("exec", "box", "touch", "/dev/shm/go")
    disk.fill()
    time.sleep(1)
    disk.free()
    assert disk.good("wait", "box") == "7\n"
    assert json.loads(disk.good("inspect", "box"))[0]["State"]["ExitCode"] == 7


READERS = (
    ("ps", "-a"),
    ("images",),
    ("inspect", "box"),
    ("logs", "box"),
    ("volume", "ls"),
    ("network", "ls"),
    ("history", "busybox"),
    ("system", "df"),
    ("info",),
    ("events", "--until", "0s"),
)
READ_ONLY = (
    ("run", "busybox", "true"),
    ("create", "busybox", "true"),
    ("start", "box"),
    ("rm", "-f", "box"),
    ("volume", "create", "things"),
    ("network", "create", "wires"),
    ("tag", "busybox", "other"),
    ("rmi", "busybox"),
    ("commit", "box", "committed"),
    ("import", "{archive}", "imported"),
    ("system", "prune", "-f"),
)


def test_a_read_only_root_is_read_and_not_written(disk: Disk, tmp_path: Path) -> None:
    disk.good("run", "--name", "box", "busybox", "echo", "hello")
    before: dict[tuple[str, ...], str] = {verb: disk.good(*verb) for verb in READERS[2:4]}
    disk.remount(syscalls.MS_RDONLY)
    for verb in READERS:
        said = disk.good(*verb)
        assert before.get(verb, said) == said
    for verb in READ_ONLY:
        done = disk.run(*(word.format(archive=tmp_path / "busybox.tar") for word in verb))
        one_line(done, "read-only file system", "Read-only file system")
    disk.remount(0)
    assert disk.good("system", "check") == "nothing is wrong\n"
    disk.good("start", "-a", "box")


def test_a_dead_container_is_not_running_on_a_read_only_root(disk: Disk) -> None:
    container_id = disk.good(
        "run", "-d", "--name", "box", "-p", "18941:80", "busybox", "sleep", "1000"
    ).strip()
    lock = disk.root / "run" / "containers" / container_id / "lock"
    os.kill(locks.holder(str(lock)), signal.SIGKILL)
    deadline = time.monotonic() + 20
    while True:
        try:
            disk.remount(syscalls.MS_RDONLY)  # once nobody has a file open to write
            break
        except OSError:
            assert time.monotonic() < deadline, "somebody writes"
            time.sleep(0.05)
    assert disk.good("ps", "-q") == ""
    assert disk.good("ps", "-a", "--format", "{{.State}} {{.Ports}}") == "exited \n"
    state = json.loads(disk.good("inspect", "box"))[0]["State"]
    assert (state["Status"], state["Running"], state["Pid"], state["ExitCode"]) == ("exited", False, 0, 137)
    assert "Running: 0" in disk.good("info")
    one_line(disk.run("rm", "box"), "Read-only file system")
    disk.remount(0)
    assert disk.good("ps", "-a", "--format", "{{.State}}") == "exited\n"
    assert disk.good("system", "check") == "nothing is wrong\n"
