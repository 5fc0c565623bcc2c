"""Running containers on the real kernel: what is inside, what comes out, what is left."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from runtime.engine import Engine
from runtime.errors import CommandNotFound, CommandNotRunnable, Conflict, InvalidInput, NotFound
from runtime.model.container import (
    ContainerConfig,
    ContainerStatus,
    Mount,
    MountType,
    PortBinding,
    Resources,
    RestartPolicy,
    RestartPolicyName,
)

pytestmark = pytest.mark.engine


def output(engine: Engine, image: str, *argv: str, **options: object) -> tuple[int, str]:
    """Run to the end, attached: (exit code, both streams)."""
    options.setdefault("network_mode", "none")
    config = ContainerConfig(image=image, cmd=argv, auto_remove=True, **options)  # type: ignore[arg-type]  # table of options
    container = engine.containers.create(config)
    session = engine.containers.start(container.id, attach=True)
    assert session is not None
    text = b""
    while (chunk := session.read()) is not None:
        text += chunk[1]
    return session.wait(), text.decode()


def wait_for_lines(engine: Engine, name: str, count: int) -> list[bytes]:
    """The log, once it has ``count`` lines (or five seconds have passed)."""
    deadline = time.monotonic() + 5
    while len(lines := list(engine.containers.logs(name))) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    return [entry.line.strip() for entry in lines]


def test_the_world_inside_is_its_own(engine: Engine, busybox: str) -> None:
    script = (
        "id -u; hostname; ls /proc | grep -c '^[0-9]'; grep -vc ':/$' /proc/self/cgroup; ls /sys/class/net"
    )
    code, text = output(engine, busybox, "sh", "-c", script, hostname="inside")
    user, hostname, processes, groups, links = text.split()
    assert (code, user, hostname, links) == (0, "0", "inside", "lo")
    assert int(processes) <= 4
    assert groups == "0"  # in its own cgroup namespace every path is /


@pytest.mark.parametrize(
    ("script", "expected"),
    [("exit 0", 0), ("exit 3", 3), ("sh -c 'kill -9 $$'; exit $?", 137), ("kill -9 $$; exit 5", 5)],
)
def test_exit_codes(engine: Engine, busybox: str, script: str, expected: int) -> None:
    # A first process cannot be killed from inside its pid namespace (pid_namespaces(7)).
    assert output(engine, busybox, "sh", "-c", script)[0] == expected


def test_command_not_found_and_not_executable_leave_nothing(engine: Engine, busybox: str) -> None:
    with pytest.raises(CommandNotFound) as missing:
        engine.containers.run(ContainerConfig(image=busybox, cmd=("nosuch",), auto_remove=True))
    assert missing.value.exit_code == 127
    with pytest.raises(CommandNotRunnable) as denied:
        engine.containers.run(ContainerConfig(image=busybox, cmd=("/etc/passwd",), auto_remove=True))
    assert denied.value.exit_code == 126
    assert engine.containers.list(all=True) == []


def test_wrong_input_is_refused_before_anything_is_made(engine: Engine, busybox: str) -> None:
    for config, kind in (
        (ContainerConfig(image="nosuch:image", cmd=("true",)), NotFound),
        (ContainerConfig(image=busybox, cmd=("true",), working_dir="relative"), InvalidInput),
        (ContainerConfig(image=busybox, cmd=("true",), cap_add=("NOSUCH",)), InvalidInput),
        (ContainerConfig(image=busybox, cmd=("true",), network_mode="nosuch"), NotFound),
        (ContainerConfig(image=busybox, cmd=("true",), resources=Resources(memory=1 << 20)), InvalidInput),
        (ContainerConfig(image=busybox, cmd=("true",), ulimits=("nofile=many",)), InvalidInput),
        (
            ContainerConfig(image=busybox, cmd=("true",), mounts=(Mount(MountType.BIND, "/nosuch", "/x"),)),
            InvalidInput,
        ),
        (
            ContainerConfig(
                image=busybox,
                cmd=("true",),
                auto_remove=True,
                restart=RestartPolicy(RestartPolicyName.ALWAYS),
            ),
            InvalidInput,
        ),
    ):
        with pytest.raises(kind):
            engine.containers.run(config)
    assert engine.containers.list(all=True) == []


def test_detached_life(engine: Engine, busybox: str) -> None:
    before = engine.events.last_seq()
    config = ContainerConfig(
        image=busybox, cmd=("sh", "-c", "echo hello; exec sleep 100"), network_mode="none"
    )
    container = engine.containers.run(config, name="life")
    assert container.state.status is ContainerStatus.RUNNING
    with pytest.raises(Conflict):
        engine.containers.create(config, name="life")
    with pytest.raises(Conflict):
        engine.containers.remove("life")
    engine.containers.pause("life")
    assert engine.containers.get("life").state.status is ContainerStatus.PAUSED
    with pytest.raises(Conflict):
        engine.containers.exec("life", ["true"])
    engine.containers.unpause("life")
    assert engine.containers.get("life").state.status is ContainerStatus.RUNNING
    engine.containers.stop("life", timeout=0)
    stopped = engine.containers.get(container.id[:10])
    assert (stopped.state.status, stopped.state.exit_code) == (ContainerStatus.EXITED, 137)
    engine.containers.start("life")
    engine.containers.kill("life")
    assert engine.containers.get("life").state.exit_code == 137
    assert [entry.line for entry in engine.containers.logs("life")] == [b"hello", b"hello"]
    with pytest.raises(Conflict):
        engine.containers.kill("life")
    engine.containers.remove("life")
    with pytest.raises(NotFound):
        engine.containers.get("life")
    actions = [event.action for event in engine.events.since(before) if event.actor == container.id]
    assert actions == [  # the stop's SIGTERM, which the program ignores as pid 1, and its SIGKILL
        "create", "start", "pause", "unpause", "kill", "kill", "die", "stop",
        "start", "kill", "die", "destroy",
    ]  # fmt: skip


def test_what_it_wrote_survives_a_restart(engine: Engine, busybox: str) -> None:
    script = "echo x >> /count; wc -l < /count; exec sleep 100"
    engine.containers.run(
        ContainerConfig(image=busybox, cmd=("sh", "-c", script), network_mode="none"), name="count"
    )
    assert wait_for_lines(engine, "count", 1) == [b"1"]
    engine.containers.restart("count", timeout=0)
    assert wait_for_lines(engine, "count", 2) == [b"1", b"2"]
    engine.containers.remove("count", force=True)


def test_out_of_memory_is_reported(engine: Engine, busybox: str) -> None:
    before = engine.events.last_seq()
    config = ContainerConfig(
        image=busybox,
        cmd=("sh", "-c", "x=a; while true; do x=$x$x; done"),
        network_mode="none",
        resources=Resources(memory=16 << 20),
    )
    engine.containers.run(config, name="hungry")
    assert engine.containers.wait("hungry") == 137
    assert engine.containers.get("hungry").state.oom_killed
    assert engine.containers.inspect("hungry")["State"]["OOMKilled"] is True
    assert "oom" in [event.action for event in engine.events.since(before)]
    engine.containers.remove("hungry")


def test_processes_are_limited(engine: Engine, busybox: str) -> None:
    script = "for i in $(seq 50); do sleep 5 & done; echo started; wait"
    config = ContainerConfig(
        image=busybox, cmd=("sh", "-c", script), network_mode="none", resources=Resources(pids_limit=10)
    )
    engine.containers.run(config, name="bomb")
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and engine.containers.get("bomb").state.status.alive:
        figures = engine.containers.stats(["bomb"])
        assert all(sample.pids <= 10 for sample in figures)
        time.sleep(0.1)
    text = b"\n".join(entry.line for entry in engine.containers.logs("bomb"))
    assert b"can't fork" in text
    engine.containers.remove("bomb", force=True)


def test_the_processor_is_limited(engine: Engine, busybox: str) -> None:
    config = ContainerConfig(
        image=busybox,
        cmd=("sh", "-c", "while :; do :; done"),
        network_mode="none",
        resources=Resources(cpus=0.5),
    )
    engine.containers.run(config, name="busy")
    before = engine.containers.stats(["busy"])[0]
    # On a busy machine it may get less than its half for a while; it must never get more.
    deadline = time.monotonic() + 20
    while True:
        time.sleep(1)
        after = engine.containers.stats(["busy"])[0]
        assert (after.cpu_usage - before.cpu_usage) / (after.time - before.time) <= 0.55
        if after.cpu_throttled > before.cpu_throttled or time.monotonic() > deadline:
            break
    engine.containers.remove("busy", force=True)
    assert after.cpu_throttled > before.cpu_throttled


def test_exec(engine: Engine, busybox: str) -> None:
    engine.containers.run(
        ContainerConfig(image=busybox, cmd=("sleep", "100"), network_mode="none"), name="host"
    )
    session = engine.containers.exec("host", ["sh", "-c", "cat; echo err >&2; exit 7"], stdin=True)
    assert session is not None
    session.write(b"typed")
    session.close_stdin()
    seen: dict[int, bytes] = {1: b"", 2: b""}
    while (chunk := session.read()) is not None:
        seen[chunk[0]] += chunk[1]
    assert (session.wait(), seen) == (7, {1: b"typed", 2: b"err\n"})
    terminal = engine.containers.exec("host", ["sh", "-c", "tty; stty size; exit 3"], tty=True)
    assert terminal is not None
    text = b""
    while (chunk := terminal.read()) is not None:
        text += chunk[1]
    assert terminal.wait() == 3
    assert b"/dev/pts/" in text
    with pytest.raises(CommandNotFound):
        engine.containers.exec("host", ["nosuch"])
    assert "sleep 100" in [process["CMD"] for process in engine.containers.top("host")]
    engine.containers.remove("host", force=True)


def test_restart_policy_counts_and_gives_up(engine: Engine, busybox: str) -> None:
    config = ContainerConfig(
        image=busybox,
        cmd=("sh", "-c", "echo run; exit 4"),
        network_mode="none",
        restart=RestartPolicy(RestartPolicyName.ON_FAILURE, 2),
    )
    engine.containers.run(config, name="again")
    assert engine.containers.wait("again") == 4
    state = engine.containers.get("again").state
    assert (state.status, state.restart_count) == (ContainerStatus.EXITED, 2)
    assert len(list(engine.containers.logs("again"))) == 3
    engine.containers.remove("again")


def test_volumes_and_binds(engine: Engine, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from the host")
    mounts = (
        Mount(MountType.BIND, str(tmp_path), "/bind", read_only=True),
        Mount(MountType.VOLUME, "data", "/data"),
        Mount(MountType.TMPFS, "", "/scratch", tmpfs_size=1 << 20),
    )
    script = (
        "cat /bind/file; touch /bind/no 2>/dev/null || echo ' ro';"
        "echo kept > /data/x; df -k /scratch | tail -1"
    )
    code, text = output(engine, busybox, "sh", "-c", script, mounts=mounts)
    assert code == 0, text
    assert "from the host ro" in text
    assert "1024" in text
    assert (Path(engine.volumes.get("data").mountpoint) / "x").read_text() == "kept\n"
    engine.volumes.remove("data")


def test_a_killed_monitor_takes_its_container_along(engine: Engine, busybox: str) -> None:
    import os
    import signal

    from runtime.containers.control import monitor_pid

    container = engine.containers.run(ContainerConfig(image=busybox, cmd=("sleep", "100")), name="orphan")
    os.kill(monitor_pid(engine.context, container.id), signal.SIGKILL)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{container.state.pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{container.state.pid}").exists()
    assert engine.containers.get("orphan").state.status is ContainerStatus.EXITED
    engine.containers.start("orphan")
    assert engine.containers.get("orphan").state.status is ContainerStatus.RUNNING
    engine.containers.remove("orphan", force=True)


def test_published_ports_go_with_the_container(engine: Engine, busybox: str) -> None:
    import subprocess

    config = ContainerConfig(
        image=busybox, cmd=("sleep", "100"), ports=(PortBinding(80, host_port=18977),), network_mode="bridge"
    )
    engine.containers.run(config, name="web")

    def rules() -> str:
        table = f"tuidock-{engine.context.root_id}"
        listed = subprocess.run(
            ["nft", "list", "table", "ip", table], capture_output=True, text=True, check=True
        )
        return listed.stdout

    assert "18977" in rules()
    engine.containers.stop("web", timeout=0)
    assert "18977" not in rules()  # the monitor, which ends alone, has seen to it
    engine.containers.remove("web")
