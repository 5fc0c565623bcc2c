"""User namespaces on the real kernel: root in a container is nobody outside, and everything still works."""

from __future__ import annotations

import io
import os
import signal
import struct
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.config import Config
from runtime.engine import Engine
from runtime.errors import Conflict, EngineError, InvalidInput, Unavailable
from runtime.model.container import (
    Container,
    ContainerConfig,
    HealthCheck,
    Mount,
    MountType,
    PortBinding,
    Resources,
    RestartPolicy,
    RestartPolicyName,
)
from runtime.model.ids import IdMap
from tests.leftovers import rows_of

pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True)
def ranges_are_given_back(engine: Engine) -> Iterator[None]:
    """No row of a range outlives its container."""
    yield
    for container in engine.containers.list(all=True):
        engine.containers.remove(container.id, force=True, volumes=True)
    assert rows_of(engine.context.paths.state, "SELECT container_id FROM id_range") == []


def output(engine: Engine, image: str, script: str, **options: object) -> tuple[int, str]:
    """Exit code and what was written, of a container with a range of its own."""
    options = {"network_mode": "none", "userns_mode": "auto", **options}
    config = ContainerConfig(image=image, cmd=("sh", "-c", script), auto_remove=True, **options)  # type: ignore[arg-type]  # table of options
    session = engine.containers.start(engine.containers.create(config).id, attach=True)
    assert session is not None
    text = b""
    while (chunk := session.read()) is not None:
        text += chunk[1]
    return session.wait(), text.decode(errors="replace")


def box(engine: Engine, image: str, script: str = "exec sleep 1000", **options: object) -> Container:
    """One named "box" that runs."""
    options = {"network_mode": "none", "userns_mode": "auto", **options}
    name = str(options.pop("name", "box"))
    config = ContainerConfig(image=image, cmd=("sh", "-c", script), **options)  # type: ignore[arg-type]  # table of options
    return engine.containers.run(config, name=name)


def inside(engine: Engine, script: str, *, user: str = "", reference: str = "box") -> str:
    session = engine.containers.exec(reference, ["sh", "-c", script], user=user)
    assert session is not None
    text = b""
    while (chunk := session.read()) is not None:
        text += chunk[1]
    session.wait()
    return text.decode(errors="replace")


def status(pid: int, field: str) -> list[int]:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return [int(word) for word in line.split()[1:]]
    raise AssertionError(field)


def ids(container: Container) -> IdMap:
    assert container.config.id_map is not None
    return container.config.id_map


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 15
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


# -- who root is --------------------------------------------------------------------------------


def test_root_inside_is_nobody_outside(engine: Engine, busybox: str) -> None:
    container = box(engine, busybox)
    root = ids(container).root
    assert min(root) > 65536
    assert status(container.state.pid, "Uid") == [root[0]] * 4
    assert status(container.state.pid, "Gid") == [root[1]] * 4
    assert status(container.state.pid, "Groups") == []
    assert inside(engine, "id -u; id -g; cat /proc/self/uid_map").split() == [
        "0",
        "0",
        "0",
        str(root[0]),
        "65536",
    ]
    assert {row["UID"] for row in engine.containers.top("box")} == {str(root[0])}


def test_every_namespace_is_the_user_namespaces(engine: Engine, busybox: str) -> None:
    """But for the pid namespace. NS_GET_USERNS (ioctl_ns(2)) says whose each is."""
    import fcntl

    container = box(engine, busybox)
    wanted = os.stat(f"/proc/{container.state.pid}/ns/user").st_ino
    assert wanted != Path("/proc/self/ns/user").stat().st_ino
    for name in ("mnt", "net", "ipc", "uts", "cgroup"):
        fd = os.open(f"/proc/{container.state.pid}/ns/{name}", os.O_RDONLY)
        owner = fcntl.ioctl(fd, 0xB701)
        assert os.fstat(owner).st_ino == wanted, name
        os.close(owner)
        os.close(fd)


@pytest.mark.parametrize("user", ["nobody", "1000:1000"])
def test_another_user_has_its_own_id_outside(engine: Engine, busybox: str, user: str) -> None:
    container = box(engine, busybox, user=user)
    number = 65534 if user == "nobody" else 1000
    assert status(container.state.pid, "Uid") == [ids(container).root[0] + number] * 4
    assert status(container.state.pid, "CapEff") == [0]


def test_capabilities_inside_are_none_outside(engine: Engine, busybox: str) -> None:
    """The set is docker's; it counts in the container's user namespace only."""
    container = box(engine, busybox)
    effective = Path(f"/proc/{container.state.pid}/status").read_text().partition("CapEff:\t")[2].split()[0]
    assert int(effective, 16) == 0xA80425FB
    assert inside(engine, "grep CapInh /proc/self/status").split() == ["CapInh:", "0000000000000000"]


# -- what it cannot do --------------------------------------------------------------------------


def test_a_file_of_root_is_not_writable_over_a_bind(engine: Engine, busybox: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    secret, shown = tmp_path / "secret", tmp_path / "shown"
    secret.write_text("secret")
    shown.write_text("shown")
    secret.chmod(0o600)
    shown.chmod(0o644)
    mounts = (Mount(MountType.BIND, str(tmp_path), "/host"),)
    script = (
        "cat /host/shown; cat /host/secret; echo x > /host/shown; echo x > /host/new; chown 0 /host/shown;"
    )
    script += " chmod 777 /host/secret; rm /host/secret; ls -ln /host/shown"
    _code, text = output(engine, busybox, script, mounts=mounts)
    assert text.startswith("shown")
    assert "can't open '/host/secret': Permission denied" in text
    assert "can't create /host/shown: Permission denied" in text
    assert "can't create /host/new: Permission denied" in text
    assert "65534    65534" in text
    assert (secret.read_text(), shown.read_text()) == ("secret", "shown")
    assert sorted(os.listdir(tmp_path)) == ["secret", "shown"]
    # The same without a user namespace is root's: the test can fail.
    output(engine, busybox, "echo x > /host/shown", mounts=mounts, userns_mode="host")
    assert shown.read_text() == "x\n"


@pytest.mark.parametrize(
    ("attempt", "works"),
    [
        ("mount -t tmpfs t /mnt", True),
        ("hostname changed && test $(hostname) = changed", True),
        ("ip link add v0 type veth", True),
        ("umount /proc/keys", False),
        ("umount /sys/firmware", False),
        ("mount -o remount,rw,bind /proc/sys", False),
        ("mount -o remount,rw,bind /sys", False),
        ("umount /dev/shm", False),
        ("mount -o remount,rw /sys", False),
        ("mount -t sysfs s /mnt", False),
        ("mount -t proc p /mnt", False),
        ("mount -t cgroup -o memory c /mnt; echo /x > /mnt/release_agent", False),
        ("echo h > /proc/sysrq-trigger", False),
        ("dmesg -c", False),
        ("mknod /tmp/disk b 8 0", False),
        ("echo 1 > /proc/sys/kernel/randomize_va_space", False),
        ("insmod /bin/busybox", False),
        ("echo /tmp/x > /proc/sys/kernel/core_pattern", False),
    ],
)
def test_all_capabilities_are_over_the_container_alone(
    engine: Engine, busybox: str, attempt: str, works: bool
) -> None:
    code, text = output(
        engine,
        busybox,
        f"mkdir /mnt; {attempt}",
        cap_add=("ALL",),
        security_opt=("seccomp=unconfined", "no-new-privileges"),
    )
    assert (code == 0) is works, text
    assert os.uname().nodename != "changed"


def test_no_device_of_the_machine(engine: Engine, busybox: str) -> None:
    code, text = output(engine, busybox, "mknod /dev/disk b 7 0; cat /dev/disk", cap_add=("MKNOD",))
    assert code != 0 and "not permitted" in text
    code, text = output(
        engine, busybox, "ls -ln /dev/loop-control; : < /dev/loop-control", devices=("/dev/loop-control",)
    )
    assert code == 0, text
    assert text.split()[2:4] == ["0", "0"]


def test_a_set_id_file_gives_no_rights_on_the_machine(engine: Engine, busybox: str, tmp_path: Path) -> None:
    """What the container writes over a bind belongs to its root outside, set-id bits and all."""
    tmp_path.chmod(0o777)
    mounts = (Mount(MountType.BIND, str(tmp_path), "/host"),)
    container = box(
        engine, busybox, "cp /bin/busybox /host/sh; chmod 4755 /host/sh; exec sleep 1000", mounts=mounts
    )
    until(lambda: (tmp_path / "sh").exists() and bool((tmp_path / "sh").stat().st_mode & 0o4000), "no file")
    assert (tmp_path / "sh").stat().st_uid == ids(container).root[0]


def test_two_containers_are_strangers(engine: Engine, busybox: str) -> None:
    """The same files outside, other ids: neither root may signal the other, were it to see it."""
    first, second = box(engine, busybox), box(engine, busybox, name="other")
    one, two = ids(first).uids[0], ids(second).uids[0]
    assert one.outside + one.count <= two.outside or two.outside + two.count <= one.outside


def test_an_exec_that_enters_cannot_be_looked_into(engine: Engine, busybox: str) -> None:
    """CVE-2016-9962, with ptrace allowed inside: what enters is the host's until it executes."""
    spy = "while :; do for p in /proc/[0-9]*; do ls -l $p/fd 2>/dev/null; done; done"
    box(
        engine,
        busybox,
        f"({spy}) > /seen 2>&1",
        cap_add=("SYS_PTRACE",),
        security_opt=("seccomp=unconfined",),
    )
    for _ in range(20):
        inside(engine, "true")
    seen = inside(engine, "grep -c -e /containers/ -e sqlite -e tuidock.db /seen; true")
    assert seen.strip() == "0"


# -- files --------------------------------------------------------------------------------------


def test_layers_are_shared_and_stay_roots(engine: Engine, busybox: str) -> None:
    container = box(engine, busybox, "echo x > /made; chown 7:8 /made; exec sleep 1000")
    until(lambda: "8" in inside(engine, "stat -c %g /made 2>/dev/null"), "no file")
    assert inside(engine, "stat -c %u:%g /bin/busybox /made /etc/hosts /dev/null").split() == [
        "0:0",
        "7:8",
        "0:0",
        "0:0",
    ]
    upper = engine.context.paths.container(container.id) / "upper"
    info = (upper / "made").stat()
    assert (info.st_uid, info.st_gid) == (7, 8), "on disk the ids are the container's"
    for directory in engine.context.paths.layers.iterdir():
        assert directory.stat().st_uid == 0


def test_a_volume_serves_any_range(engine: Engine, busybox: str) -> None:
    mounts = (Mount(MountType.VOLUME, "shared", "/v"),)
    assert output(engine, busybox, "echo 1 > /v/one; chown 5:6 /v/one", mounts=mounts)[0] == 0
    assert output(engine, busybox, "echo 2 >> /v/one; stat -c %u:%g /v/one", mounts=mounts) == (0, "5:6\n")
    assert output(
        engine, busybox, "echo 3 >> /v/one; stat -c %u:%g /v/one", mounts=mounts, userns_mode="host"
    ) == (
        0,
        "5:6\n",
    )
    info = (engine.context.paths.volume("shared") / "one").stat()
    assert (info.st_uid, info.st_gid) == (5, 6)


def test_a_new_volume_is_filled_from_the_image(engine: Engine, busybox: str) -> None:
    mounts = (Mount(MountType.VOLUME, "", "/etc"),)
    code, text = output(
        engine, busybox, "stat -c %u:%g /etc /etc/passwd; echo x >> /etc/passwd", mounts=mounts
    )
    assert (code, text.split()) == (0, ["0:0", "0:0"])


def test_a_bind_is_mapped_when_asked(engine: Engine, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o600)
    os.chown(tmp_path / "file", 7, 8)
    mounts = (Mount(MountType.BIND, str(tmp_path), "/host", options=("idmap",)),)
    script = "stat -c %u:%g /host /host/file; cat /host/file; echo new > /host/new"
    assert output(engine, busybox, script, mounts=mounts) == (0, "0:0\n7:8\nx")
    assert (tmp_path / "new").stat().st_uid == 0


def test_a_file_system_that_cannot_be_mapped_is_named(engine: Engine, busybox: str) -> None:
    mounts = (Mount(MountType.BIND, "/sys/kernel", "/host", options=("idmap",)),)
    with pytest.raises(EngineError, match="idmap of /sys/kernel, whose file system cannot map ids"):
        output(engine, busybox, "true", mounts=mounts)


def test_tmpfs_owners_are_the_containers(engine: Engine, busybox: str) -> None:
    mounts = (
        Mount(MountType.TMPFS, "", "/plain"),
        Mount(MountType.TMPFS, "", "/owned", options=("uid=1000", "gid=50"), tmpfs_mode=0o700),
    )
    script = "stat -c %u:%g:%a /plain /owned /dev /dev/shm /dev/mqueue; touch /plain/x /dev/shm/x"
    assert output(engine, busybox, script, mounts=mounts) == (
        0,
        "0:0:1777\n1000:50:700\n0:0:755\n0:0:1777\n0:0:1777\n",
    )


def test_file_capabilities_of_an_image_count_inside(engine: Engine, busybox_tar: bytes) -> None:
    """security.capability on a shared layer is of the container's root through the mapped mount."""
    name = with_capability(engine, busybox_tar)
    script = "/cap/busybox grep CapEff /proc/self/status"
    code, text = output(engine, name, script, user="1000:1000")
    assert (code, text.split()[1]) == (0, "0000000000002000"), "CAP_NET_RAW"


def with_capability(engine: Engine, busybox_tar: bytes) -> str:
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(busybox_tar)) as source,
        tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, encoding="latin-1") as target,
    ):
        for entry in source:
            content = source.extractfile(entry) if entry.isreg() else None
            target.addfile(entry, content)
            if entry.name == "bin/busybox":
                copied = tarfile.TarInfo("cap/busybox")
                copied.size, copied.mode = entry.size, 0o755
                value = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0).decode("latin-1")
                copied.pax_headers = {"SCHILY.xattr.security.capability": value}
                data = source.extractfile(entry)
                assert data is not None
                target.addfile(copied, data)
    buffer.seek(0)
    engine.images.import_(buffer, "capable:latest", changes=["ENV PATH=/bin"])
    return "capable:latest"


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


# -- sharing ------------------------------------------------------------------------------------


def test_a_joined_network_brings_its_user_namespace(engine: Engine, busybox: str) -> None:
    first = box(engine, busybox, network_mode="bridge")
    script = "readlink /proc/self/ns/user; ip link set lo down && ip link set lo up && echo done"
    code, text = output(
        engine, busybox, script, userns_mode="", network_mode="container:box", cap_add=("NET_ADMIN",)
    )
    assert (code, text.split()) == (0, [str(Path(f"/proc/{first.state.pid}/ns/user").readlink()), "done"])
    code, text = output(
        engine, busybox, "ps; stat -c %u /etc/hosts", userns_mode="", pid_mode="container:box"
    )
    assert code == 0 and "sleep 1000" in text


@pytest.mark.parametrize(("theirs", "mine"), [("auto", "auto"), ("auto", "host"), ("host", "auto")])
def test_namespaces_of_another_user_namespace_are_refused(
    engine: Engine, busybox: str, theirs: str, mine: str
) -> None:
    box(engine, busybox, userns_mode=theirs)
    with pytest.raises(Conflict, match="box: it is in another user namespace") as refused:
        output(engine, busybox, "true", network_mode="container:box", userns_mode=mine)
    wanted = "--userns host" if theirs == "host" else "--userns container:box"
    assert refused.value.hint == f"give {wanted}"
    assert len(engine.containers.list(all=True)) == 1


def test_a_user_namespace_is_shared_by_name(engine: Engine, busybox: str) -> None:
    first = box(engine, busybox)
    code, text = output(engine, busybox, "cat /proc/self/uid_map", userns_mode="container:box")
    assert (code, text.split()[1]) == (0, str(ids(first).root[0]))
    engine.containers.kill("box")
    config = ContainerConfig(image=busybox, cmd=("true",), network_mode="none", userns_mode="container:box")
    waiting = engine.containers.create(config)
    with pytest.raises(Conflict, match="cannot join user of container box: it is not running"):
        engine.containers.start(waiting.id)


# -- ranges -------------------------------------------------------------------------------------


def small_pool(engine: Engine, ranges: int) -> Engine:
    """The same root with a pool of so many ranges for ``auto``."""
    pool = f"3000000000:{65536 * (ranges + 1)}"
    return Engine(engine.context.paths.state, config=Config(userns_pool=pool))


def test_ranges_end_and_come_back(engine: Engine, busybox: str) -> None:
    small = small_pool(engine, 2)
    config = ContainerConfig(image=busybox, cmd=("true",), network_mode="none", userns_mode="auto")
    first = small.containers.create(config, name="first")
    second = small.containers.create(config, name="second")
    assert {ids(first).root[0], ids(second).root[0]} == {3000065536, 3000131072}
    before = sorted(os.listdir(engine.context.paths.containers))
    with pytest.raises(
        Unavailable, match=r"no range of 65536 ids is free .* 2 containers hold ranges"
    ) as refused:
        small.containers.create(config, name="third")
    assert refused.value.hint is not None and "userns-pool" in refused.value.hint
    assert sorted(os.listdir(engine.context.paths.containers)) == before, "nothing was made"
    small.containers.remove("first")
    third = small.containers.create(config, name="third")
    assert ids(third).root == ids(first).root
    small.close()


def test_a_range_goes_with_a_container_that_removes_itself(engine: Engine, busybox: str) -> None:
    small = small_pool(engine, 1)
    for _ in range(3):
        assert output(small, busybox, "true")[0] == 0
    small.close()


def test_a_range_goes_when_everything_is_killed(engine: Engine, busybox: str) -> None:
    container = box(engine, busybox, auto_remove=True)
    monitor = int(Path(f"/proc/{container.state.pid}/status").read_text().partition("PPid:\t")[2].split()[0])
    os.kill(monitor, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{container.state.pid}").exists(), "the container outlived its monitor")
    root = str(engine.context.paths.state)
    subprocess.run([sys.executable, "-m", "tuidock", "--root", root, "ps"], check=True, capture_output=True)
    assert rows_of(root, "SELECT container_id FROM id_range") == []


def test_ids_that_a_process_has_are_passed_over(engine: Engine, busybox: str) -> None:
    """Of another root, or of another engine: only the kernel knows."""
    small = small_pool(engine, 2)
    holder = subprocess.Popen(["unshare", "--user", "sleep", "1000"])
    try:
        until(
            lambda: os.readlink(f"/proc/{holder.pid}/ns/user") != os.readlink("/proc/self/ns/user"),
            "no userns",
        )
        Path(f"/proc/{holder.pid}/uid_map").write_text("0 3000065536 65536\n")
        config = ContainerConfig(image=busybox, cmd=("true",), network_mode="none", userns_mode="auto")
        assert ids(small.containers.create(config)).root[0] == 3000131072
        with pytest.raises(Unavailable):
            small.containers.create(config)
    finally:
        holder.kill()
        holder.wait()
        small.close()


def test_users_beyond_the_range_are_refused(engine: Engine, busybox: str) -> None:
    with pytest.raises(
        EngineError, match=r"user id 70000 is not in the container's user namespace, .* 0 to 65535"
    ):
        output(engine, busybox, "true", user="70000")
    with pytest.raises(EngineError, match="group id 70000"):
        output(engine, busybox, "true", user="0:70000")
    assert output(engine, busybox, "id -u", user="70000", userns_mode="auto:size=80000") == (0, "70000\n")
    box(engine, busybox)
    with pytest.raises(EngineError, match="user id 65536"):
        inside(engine, "id", user="65536")


# -- the setting --------------------------------------------------------------------------------


def test_the_setting_is_for_all_who_do_not_say_otherwise(engine: Engine, busybox: str) -> None:
    remapped = Engine(
        engine.context.paths.state, config=Config(userns_remap="default", userns_pool="3000000000:196608")
    )
    script = "cat /proc/self/uid_map"
    assert output(remapped, busybox, script, userns_mode="")[1].split() == ["0", "3000000000", "65536"]
    assert output(remapped, busybox, script, userns_mode="remap")[1].split() == ["0", "3000000000", "65536"]
    assert output(remapped, busybox, script, userns_mode="host")[1].split()[1] == "0"
    assert output(remapped, busybox, script)[1].split()[1] in ("3000065536", "3000131072")
    assert "name=userns" in remapped.system.info()["SecurityOptions"]
    assert "name=userns" not in engine.system.info()["SecurityOptions"]
    remapped.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"privileged": True}, "privileged mode is incompatible with user namespaces"),
        (
            {"network_mode": "host"},
            "cannot share the host's network namespace when user namespaces are enabled",
        ),
        ({"pid_mode": "host"}, "cannot share the host PID namespace when user namespaces are enabled"),
        (
            {"mounts": (Mount(MountType.BIND, "/tmp", "/t", propagation="rshared"),)},
            "bind propagation rshared of /t does not work with user namespaces",
        ),
        ({"userns_mode": "keep-id"}, "invalid mode 'keep-id'"),
        ({"userns_mode": "remap"}, "no range is configured"),
    ],
)
def test_contradictions_are_refused_before_anything_is_made(
    engine: Engine, busybox: str, options: dict[str, object], message: str
) -> None:
    before = sorted(os.listdir(engine.context.paths.containers))
    with pytest.raises(InvalidInput, match=message) as refused:
        output(engine, busybox, "true", **options)
    assert refused.value.hint
    assert sorted(os.listdir(engine.context.paths.containers)) == before
    if "userns_mode" not in options:
        assert output(engine, busybox, "true", **options, userns_mode="host")[0] == 0


def test_builds_run_remapped_and_make_the_same_image(engine: Engine, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM busybox\n"
        "RUN cat /proc/self/uid_map > /map; echo x > /made; chown 7:8 /made\n"
        "RUN --mount=type=cache,target=/c echo x > /c/x && test $(stat -c %u /c/x) = 0\n"
        "RUN true\nRUN true\n"
        "RUN --mount=type=secret,id=s test $(cat /run/secrets/s) = hidden\n"
    )
    (tmp_path / "s").write_text("hidden")
    (tmp_path / "s").chmod(0o600)
    root = str(engine.context.paths.state)
    settings = tmp_path / "settings.yaml"
    settings.write_text("userns-remap: default\n")
    subprocess.run(
        [sys.executable, "-m", "tuidock", "--root", root, "build", "-q", "-t", "built", "--secret",
         f"id=s,src={tmp_path / 's'}", str(tmp_path)],
        check=True, capture_output=True, env={**os.environ, "TUIDOCK_CONFIG": str(settings)},
    )  # fmt: skip
    code, text = output(engine, "built", "stat -c %u:%g /made /map; cat /map", userns_mode="host")
    assert (code, text.split()) == (0, ["7:8", "0:0", "0", "1879048192", "65536"])
