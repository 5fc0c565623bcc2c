"""What docker's verbs tell and take, on the real kernel: events, filters, options of ps and of volumes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.engine import Engine
from runtime.errors import InvalidInput, NotFound
from runtime.model.container import ContainerConfig, Mount, MountType
from runtime.model.selection import Selection

pytestmark = pytest.mark.engine

TUIDOCK = Path(sys.executable).with_name("tuidock")


def told(engine: Engine, since: int) -> list[tuple[str, str]]:
    return [(event.type, event.action) for event in engine.events.since(since)]


def cli(engine: Engine, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "TUIDOCK_ROOT": str(engine.context.paths.state)}
    return subprocess.run(
        [str(TUIDOCK), *words], env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def config(image: str, *cmd: str, volume: str = "") -> ContainerConfig:
    mounts = (Mount(MountType.VOLUME, volume, "/data"),) if volume else ()
    return ContainerConfig(image=image, cmd=cmd, network_mode="none", mounts=mounts)


@pytest.fixture
def sleeper(engine: Engine, busybox: str) -> Iterator[str]:
    yield engine.containers.run(config(busybox, "sleep", "1000"), name="sleeper").id


def test_volumes_are_told_of_when_they_are_used_and_left(engine: Engine, busybox: str) -> None:
    engine.volumes.create("told")
    before = engine.events.last_seq()
    container = engine.containers.run(config(busybox, "true", volume="told"), name="user")
    engine.containers.wait(container.id)
    events = [event for event in engine.events.since(before) if event.type == "volume"]
    assert [(event.action, event.actor) for event in events] == [("mount", "told"), ("unmount", "told")]
    assert {event.attributes["container"] for event in events} == {container.id}
    assert events[0].attributes["destination"] == "/data"


def test_leaving_a_network_is_told_of(engine: Engine, busybox: str) -> None:
    engine.networks.create("told")
    before = engine.events.last_seq()
    wanted = ContainerConfig(image=busybox, cmd=("true",), network_mode="told")
    container = engine.containers.run(wanted)
    engine.containers.wait(container.id)
    actions = [action for kind, action in told(engine, before) if kind == "network"]
    assert actions == ["connect", "disconnect"]


def test_a_command_in_a_container_has_an_id_in_its_events(engine: Engine, sleeper: str) -> None:
    before = engine.events.last_seq()
    engine.containers.exec(sleeper, ["sh", "-c", "exit 7"], detach=True)
    deadline = time.monotonic() + 30
    while "exec_die" not in [action for _, action in told(engine, before)]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    events = engine.events.since(before)
    actions = [event.action.partition(":")[0] for event in events]
    assert actions == ["exec_create", "exec_start", "exec_die"]
    assert len({event.attributes["execID"] for event in events}) == 1
    assert events[-1].attributes["exitCode"] == "7"


def test_stop_tells_of_both_signals(engine: Engine, busybox: str) -> None:
    stubborn = config(busybox, "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
    container = engine.containers.run(stubborn)
    before = engine.events.last_seq()
    engine.containers.stop(container.id, timeout=0)
    kills = [event for event in engine.events.since(before) if event.action == "kill"]
    assert [event.attributes["signal"] for event in kills] == ["15", "9"]


def test_top_takes_ps_options(engine: Engine, sleeper: str) -> None:
    (row,) = engine.containers.top(sleeper, ["-o", "pid,user,comm,args=WHAT"])
    assert list(row) == ["PID", "USER", "COMMAND", "WHAT"]
    assert (row["USER"], row["COMMAND"], row["WHAT"]) == ("root", "sleep", "sleep 1000")
    (full,) = engine.containers.top(sleeper, ["aux"])
    assert " ".join(full) == "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"
    assert full["STAT"] == "Ss"
    with pytest.raises(InvalidInput, match='unknown user-defined format specifier "nix"'):
        engine.containers.top(sleeper, ["-eo", "nix"])


def test_every_column_of_ps_has_a_value(engine: Engine, sleeper: str) -> None:
    from runtime.containers.process_columns import _SPECIFIERS

    for name in _SPECIFIERS:
        (row,) = engine.containers.top(sleeper, ["-o", f"{name}=X"])
        assert row["X"], name


def test_prune_takes_what_the_labels_select(engine: Engine) -> None:
    for name, labels in (("keep", {"keep": ""}), ("old", {"tier": "old"}), ("new", {"tier": "new"})):
        engine.networks.create(name, labels=labels)
        engine.volumes.create(name, labels=labels)
    before = engine.events.last_seq()
    chosen = Selection(labels=["tier"], without=["tier=new"])
    assert engine.networks.prune(selection=chosen) == ["old"]
    assert engine.volumes.prune(all=True, selection=chosen)[0] == ["old"]
    assert engine.volumes.prune(all=True, selection=Selection(until=1)) == ([], 0)
    assert engine.networks.prune(selection=Selection(until=1)) == []
    assert {item for item in told(engine, before) if item[1] == "prune"} == {
        ("network", "prune"),
        ("volume", "prune"),
    }


def test_a_volume_is_a_file_system_or_a_directory_of_the_host(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    (tmp_path / "there").write_text("yes")
    engine.volumes.create("memory", options={"type": "tmpfs", "device": "tmpfs", "o": "size=1m"})
    engine.volumes.create("bound", options={"type": "none", "device": str(tmp_path), "o": "bind"})
    done = cli(engine, "run", "--rm", "--network", "none", "-v", "memory:/m", "-v", "bound:/b:ro",
               busybox, "sh", "-c",
               "grep ' /m ' /proc/mounts; cat /b/there; touch /b/x 2>/dev/null || echo ' ro'")  # fmt: skip
    assert done.stdout.startswith("tmpfs /m tmpfs rw,relatime,size=1024k")
    assert done.stdout.endswith("yes ro\n"), done
    assert list(tmp_path.iterdir()) == [tmp_path / "there"]


def test_a_mount_makes_a_volume_with_options_and_labels(engine: Engine, busybox: str) -> None:
    spec = "type=volume,src=made,dst=/x,volume-label=a=b,volume-opt=type=tmpfs,volume-opt=device=tmpfs"
    done = cli(
        engine, "run", "--rm", "--network", "none", "--mount", spec, busybox, "grep", " /x ", "/proc/mounts"
    )
    assert done.stdout.startswith("tmpfs /x tmpfs"), done
    made = engine.volumes.get("made")
    assert (made.labels, made.options) == ({"a": "b"}, {"type": "tmpfs", "device": "tmpfs"})


def test_what_is_not_there_may_be_removed_by_force(engine: Engine) -> None:
    for words in (("rm", "-f", "nothing-here"), ("rmi", "-f", "nothing-here")):
        done = cli(engine, *words)
        assert (done.returncode, done.stdout) == (0, "")
        assert "no such" in done.stderr
    with pytest.raises(NotFound):
        engine.containers.remove("nothing-here", force=True)


def test_disk_usage_in_full(engine: Engine, busybox: str) -> None:
    engine.volumes.create("disk")
    container = engine.containers.run(
        config(busybox, "sh", "-c", "echo 12345 >/w; mkdir -p /d/d"), name="writer"
    )
    engine.containers.wait(container.id)
    out = cli(engine, "system", "df", "-v").stdout
    assert [line for line in out.splitlines() if line.endswith("usage:")] == [
        "Images space usage:",
        "Containers space usage:",
        "Local Volumes space usage:",
    ]
    (row,) = [line for line in out.splitlines() if line.endswith("writer")]
    assert " 6B " in row
    assert cli(engine, "ps", "-as", "--filter", "name=writer", "--format", "{{.Size}}").stdout.startswith(
        "6B ("
    )
    assert cli(engine, "system", "df", "-v", "--format", "{{(index .Volumes 0).Name}}").stdout == "disk\n"
