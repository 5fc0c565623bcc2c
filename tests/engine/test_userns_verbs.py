"""Every verb on a container with a user namespace, on the real kernel."""

from __future__ import annotations

import io
import os
import struct
import tarfile
from pathlib import Path

import pytest

from runtime.engine import Engine
from runtime.errors import InvalidInput
from runtime.model.container import (
    HealthCheck,
    PortBinding,
    Resources,
    RestartPolicy,
    RestartPolicyName,
)
from tests.engine.userns_lab import box, ids, inside, output, until, with_capability

pytestmark = pytest.mark.engine

# -- every verb ---------------------------------------------------------------------------------


def test_cp_both_ways_running_and_stopped(engine: Engine, busybox: str, tmp_path: Path) -> None:
    container = box(engine, busybox)
    inside(engine, "echo one > /one; chown 7:8 /one; mkdir /d; chmod 700 /d; echo two > /d/two")
    given = tmp_path / "given"
    given.mkdir()
    (given / "three").write_text("three")
    os.chown(given / "three", 9, 10)
    for running in (True, False):
        if not running:
            engine.containers.kill("box")
        out = tmp_path / f"out-{running}"
        out.mkdir()
        engine.containers.copy_from("box", "/one", out, archive=True)
        engine.containers.copy_from("box", "/d", out)
        info = (out / "one").stat()
        assert (info.st_uid, info.st_gid, (out / "d" / "two").read_text()) == (7, 8, "two\n")
        engine.containers.copy_to("box", given, f"/root-{running}")
        engine.containers.copy_to("box", given, f"/kept-{running}", archive=True)
    os.chown(given / "three", 70000, 0)
    engine.containers.start("box")
    with pytest.raises(InvalidInput, match="has no owner 70000:0"):
        engine.containers.copy_to("box", given, "/refused", archive=True)
    script = "stat -c %u:%g /root-True/three /kept-True/three /root-False/three /kept-False/three"
    assert inside(engine, script).split() == ["0:0", "9:10", "0:0", "9:10"]
    assert os.geteuid() == 0 and (tmp_path / "out-True" / "d").stat().st_uid == 0
    (tmp_path / "after").write_text("")
    assert (tmp_path / "after").stat().st_uid == 0, "the thread is itself again"
    assert ids(container).root[0] != 0


def test_file_capabilities_are_copied_as_the_container_has_them(
    engine: Engine, busybox_tar: bytes, tmp_path: Path
) -> None:
    box(engine, with_capability(engine, busybox_tar))
    stream = io.BytesIO()
    engine.containers.copy_from("box", "/cap/busybox", stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream, encoding="latin-1") as archive:
        found = archive.getmembers()[0].pax_headers["SCHILY.xattr.security.capability"]
    assert found.encode("latin-1") == struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
    stream.seek(0)
    engine.containers.copy_to("box", stream, "/tmp")
    assert (
        inside(engine, "/tmp/busybox grep CapEff /proc/self/status", user="1000").split()[1]
        == "0000000000002000"
    )


def test_commit_diff_and_export_know_the_containers_ids(engine: Engine, busybox: str) -> None:
    box(engine, busybox)
    inside(engine, "echo x > /made; chown 7:8 /made; rm /bin/wget")
    changes = {(str(change.kind), change.path) for change in engine.containers.diff("box")}
    assert {path for _kind, path in changes} == {"/made", "/bin", "/bin/wget"}
    engine.containers.commit("box", "committed:latest")
    script = "stat -c %u:%g /made; ls /bin/wget"
    for mode in ("host", "auto"):
        text = output(engine, "committed:latest", script, userns_mode=mode)[1]
        assert text.startswith("7:8\n") and "No such file" in text
    stream = io.BytesIO()
    engine.containers.export("box", stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        member = archive.getmember("made")
    assert (member.uid, member.gid) == (7, 8)


def test_the_other_verbs(engine: Engine, busybox: str) -> None:
    check = HealthCheck(("CMD-SHELL", "test $(id -u) = 0 && test -w /tmp"), interval=100_000_000)
    box(engine, busybox, "echo hello; exec sleep 1000", healthcheck=check)

    def health() -> str:
        found = engine.containers.get("box").state.health
        return found.status if found else ""

    until(lambda: health() == "healthy", "not healthy")
    engine.containers.pause("box")
    engine.containers.unpause("box")
    engine.containers.update("box", resources=Resources(memory=64 << 20))
    engine.containers.rename("box", "renamed")
    engine.containers.restart("renamed", timeout=0)
    assert inside(engine, "id -u", reference="renamed") == "0\n"
    assert inside(
        engine,
        "id -u; cat > /dev/null < /dev/stdin; echo x > /dev/stdout",
        user="nobody",
        reference="renamed",
    ) == ("65534\nx\n")
    engine.containers.stop("renamed", timeout=0)
    assert engine.containers.get("renamed").state.exit_code in (137, 143)
    assert engine.containers.inspect("renamed")["HostConfig"]["UsernsMode"] == "auto:size=65536"


def test_a_terminal_is_roots_inside(engine: Engine, busybox: str) -> None:
    box(
        engine,
        busybox,
        "tty > /tty; stat -c %u:%g $(tty) >> /tty; echo ok > /dev/tty; exec sleep 1000",
        tty=True,
    )
    until(lambda: len(inside(engine, "cat /tty").split()) == 2, "no terminal")
    assert inside(engine, "cat /tty").split() == ["/dev/pts/0", "0:5"]
    session = engine.containers.exec(
        "box", ["sh", "-c", "stat -c %u:%g $(tty); echo x > /dev/stdout"], tty=True
    )
    assert session is not None
    text = b""
    while (chunk := session.read()) is not None:
        text += chunk[1]
    assert text.split() == [b"0:5", b"x"]


def test_network_names_ports_and_low_ports(engine: Engine, busybox: str) -> None:
    engine.networks.create("usernet")
    box(
        engine,
        busybox,
        "mkdir /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www",
        network_mode="usernet",
        ports=(PortBinding(80),),
    )
    until(lambda: "served" in inside(engine, "wget -q -O- http://127.0.0.1/"), "no server")
    assert "127.0.0.11" in inside(engine, "cat /etc/resolv.conf")
    code, text = output(engine, busybox, "nslookup box", network_mode="usernet")
    assert code == 0 and engine.containers.get("box").endpoints[0].ipv4_address in text
    port = engine.containers.get("box").ports[0].host_port
    import urllib.request

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        assert answer.read() == b"served\n"


def test_a_restart_by_policy_keeps_the_namespace(engine: Engine, busybox: str) -> None:
    container = box(
        engine,
        busybox,
        "sleep 0.3; exit 3",
        restart=RestartPolicy(RestartPolicyName.ALWAYS),
        network_mode="bridge",
    )
    before = Path(f"/proc/{container.state.pid}/ns/user").readlink()
    until(lambda: engine.containers.get("box").state.restart_count >= 2, "no restart")
    seen: set[str] = set()

    def look() -> bool:
        pid = engine.containers.get("box").state.pid
        try:
            seen.add(str(Path(f"/proc/{pid}/ns/user").readlink()) if pid else "")
        except FileNotFoundError:
            return False
        return str(before) in seen

    until(look, f"another namespace: {seen}")


@pytest.mark.parametrize("init", [False, True])
def test_limits_and_sysctls_are_set_from_outside(engine: Engine, busybox: str, init: bool) -> None:
    script = (
        "ulimit -n; cd /proc; cat self/oom_score_adj sys/net/ipv4/ip_forward sys/kernel/msgmax; hostname;"
    )
    script += " touch /x"
    code, text = output(
        engine,
        busybox,
        script,
        init=init,
        network_mode="bridge",
        ulimits=("nofile=100:200",),
        oom_score_adj=500,
        sysctls={"net.ipv4.ip_forward": "1", "kernel.msgmax": "4096"},
        hostname="named",
        read_only=True,
    )
    assert text.split()[:5] == ["100", "500", "1", "4096", "named"]
    assert code == 1 and "Read-only file system" in text
