"""Logs of real containers: bytes identical, rotated and compressed while they are followed, full disks."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.containers.control import monitor_pid
from runtime.engine import Engine
from runtime.errors import Conflict, InvalidInput
from runtime.images.create import create_image
from runtime.images.layers import unpack_layer
from runtime.model.container import ContainerConfig, Mount, MountType
from runtime.model.image import ImageConfig
from tests.engine.test_options import start

pytestmark = pytest.mark.engine


def command(engine: Engine, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "tuidock", "--root", str(engine.context.paths.state), *arguments],
        capture_output=True,
        check=False,
    )


def read(engine: Engine, name: str) -> dict[int, bytes]:
    found = {1: b"", 2: b""}
    for stream, data in engine.containers.log_bytes(name):
        found[stream] += data
    return found


def eventually(check: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.02)
    return check()


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 MB of everything: lines, NULs, a line of 8 MB, no newline at the end."""
    rng = random.Random(1)
    path = tmp_path_factory.mktemp("content") / "bytes"
    path.write_bytes(rng.randbytes(6 << 20) + b"y" * (8 << 20) + b"\n" + rng.randbytes(6 << 20) + b"end")
    return path


@pytest.mark.parametrize(
    "options",
    [(), ("--log-opt", "max-size=3m", "--log-opt", "max-file=20"),
     ("--log-opt", "max-size=3m", "--log-opt", "max-file=20", "--log-opt", "compress=true"),
     ("--log-opt", "mode=blocking"), ("--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=64m")],
)  # fmt: skip
def test_bytes_are_identical(engine: Engine, busybox: str, content: Path, options: tuple[str, ...]) -> None:
    volume = ("-v", f"{content}:/bytes:ro")
    start(engine, "talker", "--network", "none", *options, *volume, busybox, "cat", "/bytes")
    followed = b"".join(data for _, data in engine.containers.log_bytes("talker", follow=True))
    assert engine.containers.wait("talker") == 0
    expected = content.read_bytes()
    assert followed == expected
    assert read(engine, "talker") == {1: expected, 2: b""}
    shown = command(engine, "logs", "talker")
    assert (shown.stdout, shown.stderr, shown.returncode) == (expected, b"", 0)
    last = expected.split(b"\n")[-5:]
    assert command(engine, "logs", "--tail", "5", "talker").stdout == b"\n".join(last)


def test_what_is_attached_and_what_is_stored_are_the_same(
    engine: Engine, busybox: str, content: Path
) -> None:
    shown = command(
        engine, "run", "--name", "talker", "--network", "none", "-v", f"{content}:/bytes:ro",
        busybox, "cat", "/bytes",
    )  # fmt: skip
    assert shown.stdout == content.read_bytes()
    assert read(engine, "talker")[1] == shown.stdout


def test_two_streams_and_a_terminal(engine: Engine, busybox: str) -> None:
    script = "i=0; while [ $i -lt 300 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done; printf tail"
    start(engine, "both", "--network", "none", busybox, "sh", "-c", script)
    engine.containers.wait("both")
    expected = {
        1: b"".join(b"out %d\n" % n for n in range(300)) + b"tail",
        2: b"".join(b"err %d\n" % n for n in range(300)),
    }
    assert read(engine, "both") == expected
    shown = command(engine, "logs", "both")
    assert {1: shown.stdout, 2: shown.stderr} == expected
    start(engine, "terminal", "-t", "--network", "none", busybox, "sh", "-c", script)
    engine.containers.wait("terminal")
    text = read(engine, "terminal")[1]
    assert text.endswith(b"out 299\r\nerr 299\r\ntail")


def test_following_goes_through_rotations_and_ends_with_the_container(engine: Engine, busybox: str) -> None:
    script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"
    options = ("--log-opt", "max-size=8k", "--log-opt", "max-file=100", "--log-opt", "compress=true")
    identity = start(engine, "chatty", "--network", "none", *options, busybox, "sh", "-c", script)
    lines = [entry.line for entry in engine.containers.logs("chatty", follow=True)]
    assert lines == [b"line %d" % number for number in range(20_000)]
    directory = engine.context.paths.container(identity)
    assert eventually(lambda: not [p for p in directory.glob("log.*") if p.suffix[1:].isdigit()])
    assert len(list(directory.glob("log.*.gz"))) > 10
    assert [e.line for e in engine.containers.logs("chatty", tail=15_000)] == lines[-15_000:]
    engine.containers.remove("chatty")
    assert not directory.exists()


def test_a_line_reaches_the_follower_while_the_container_runs(engine: Engine, busybox: str) -> None:
    start(engine, "slow", "--network", "none", busybox, "sh", "-c", "echo now; sleep 60")
    entries = engine.containers.logs("slow", follow=True)
    assert next(entries).line == b"now"
    assert engine.containers.get("slow").state.status.alive
    engine.containers.stop("slow", timeout=0)
    assert list(entries) == []


def test_following_ends_when_the_monitor_is_killed(engine: Engine, busybox: str) -> None:
    identity = start(engine, "orphan", "--network", "none", busybox, "sh", "-c", "printf part; sleep 60")
    entries = engine.containers.logs("orphan", follow=True)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.extend(entry.line for entry in entries))
    reader.start()
    assert eventually(lambda: read(engine, "orphan")[1] == b"part")
    os.kill(monitor_pid(engine.context, identity), signal.SIGKILL)
    reader.join(30)
    assert not reader.is_alive()
    assert found == [b"part"]


def test_details_and_times(engine: Engine, busybox: str) -> None:
    options = ("--log-opt", "labels=com.x", "--log-opt", "env-regex=^FO", "--log-opt", "tag={{.Name}}")
    given = ("-l", "com.x=a b,c", "-e", "FOO=1=2", "-e", "OTHER=3")
    start(engine, "web", *options, *given, "--network", "none", busybox, "sh", "-c", "echo one; printf two")
    engine.containers.wait("web")
    attributes = b"FOO=1%3D2,com.x=a+b%2Cc,tag=web "
    assert command(engine, "logs", "--details", "web").stdout == attributes + b"one\n" + attributes + b"two"
    stamped = command(engine, "logs", "--details", "-t", "web").stdout.split(b"\n")
    assert [line.partition(b" ")[2] for line in stamped] == [attributes + b"one", attributes + b"two"]
    assert all(len(line.partition(b" ")[0]) == len("2024-05-31T12:00:00.123456789Z") for line in stamped)
    moment = stamped[0].partition(b" ")[0].decode()
    assert command(engine, "logs", "--since", moment, "web").stdout.startswith(b"one\n")
    assert command(engine, "logs", "--until", "2020-01-01", "web").stdout == b""
    assert command(engine, "logs", "--since", "10m", "--until", "0s", "-n", "1", "web").stdout == b"two"
    inspected = engine.containers.inspect("web")["HostConfig"]["LogConfig"]
    assert inspected["Config"] == {"labels": "com.x", "env-regex": "^FO", "tag": "{{.Name}}"}


def test_a_log_that_is_not_kept_cannot_be_read(engine: Engine, busybox: str) -> None:
    start(engine, "mute", "--log-driver", "none", "--network", "none", busybox, "echo", "unheard")
    engine.containers.wait("mute")
    with pytest.raises(Conflict, match="configured logging driver does not support reading"):
        engine.containers.logs("mute")
    shown = command(engine, "logs", "mute")
    assert (shown.returncode, shown.stdout) == (1, b"")


def test_wrong_options_make_nothing(engine: Engine, busybox: str) -> None:
    for options in ({"compress": "true"}, {"tag": "{{.X}}"}, {"max-file": "2"}, {"driver": "syslog"}):
        with pytest.raises(InvalidInput):
            engine.containers.create(ContainerConfig(image=busybox, log_options=options))
    assert engine.containers.list(all=True) == []


# -- a disk that is full --------------------------------------------------------------------------


@pytest.fixture
def small_disk(new_root: Callable[[], Path], busybox_tar: bytes) -> Iterator[tuple[Engine, Path]]:
    """An engine whose root is a disk in memory, and the path of a file there that fills it up."""
    directory = new_root()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "none", str(directory)], check=True)
    engine = Engine(directory)
    try:
        layer = unpack_layer(engine.context, io.BytesIO(busybox_tar))
        config = ImageConfig(cmd=("sh",), env=("PATH=/bin",))
        create_image(engine.context, config=config, layers=[layer.diff_id], refs=["box:latest"])
        yield engine, directory / "filler"
    finally:
        (directory / "filler").unlink(missing_ok=True)
        engine.system.purge()
        engine.close()
        subprocess.run(["umount", str(directory)], check=True)


def fill(path: Path, leave: int) -> None:
    room = os.statvfs(path.parent)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_bsize - leave)


def talker(directory: Path, **log_options: str) -> ContainerConfig:
    """Writes 4 MB when it is told to, says so, and lives on until it is told to end."""
    (directory / "bytes").write_bytes(b"some line of output\n" * 200_000)
    wait = "until [ -e /go/%s ]; do sleep 0.02; done"
    script = f"{wait % 'now'}; cat /go/bytes; touch /go/done; {wait % 'end'}"
    return ContainerConfig(
        image="box", cmd=("sh", "-c", script), network_mode="none",
        mounts=(Mount(MountType.BIND, str(directory), "/go"),), log_options=log_options,
    )  # fmt: skip


@pytest.mark.parametrize("mode", [{}, {"mode": "non-blocking"}])
def test_a_full_disk_never_holds_a_container_up(
    small_disk: tuple[Engine, Path], tmp_path: Path, mode: dict[str, str]
) -> None:
    engine, filler = small_disk
    engine.containers.run(talker(tmp_path, **mode), name="talker")
    fill(filler, 1 << 20)
    (tmp_path / "now").touch()
    assert eventually((tmp_path / "done").exists)
    assert eventually(lambda: os.statvfs(filler.parent).f_bavail == 0)
    filler.unlink()
    (tmp_path / "end").touch()
    assert engine.containers.wait("talker") == 0
    shown = command(engine, "logs", "talker")
    assert (tmp_path / "bytes").read_bytes().startswith(shown.stdout)
    lost = 4_000_000 - len(shown.stdout)
    assert lost > 2_000_000
    assert f"warning: log of talker: {lost} bytes of output were not stored".encode() in shown.stderr


def test_mode_blocking_waits_for_room(small_disk: tuple[Engine, Path], tmp_path: Path) -> None:
    engine, filler = small_disk
    container = engine.containers.run(talker(tmp_path, mode="blocking"), name="talker")
    fill(filler, 1 << 20)
    (tmp_path / "now").touch()
    assert eventually(lambda: os.statvfs(filler.parent).f_bavail == 0)
    assert 0 < (engine.context.paths.container(container.id) / "log").stat().st_size < 4_000_000
    assert not (tmp_path / "done").exists()
    filler.unlink()
    assert eventually((tmp_path / "done").exists)
    (tmp_path / "end").touch()
    assert engine.containers.wait("talker") == 0
    shown = command(engine, "logs", "talker")
    assert (shown.stdout, shown.stderr) == ((tmp_path / "bytes").read_bytes(), b"")
