"""User namespaces on the real kernel: root in a container is nobody outside, on files and on the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.engine import Engine
from runtime.errors import EngineError
from runtime.model.container import (
    Mount,
    MountType,
    Resources,
)
from tests.engine.userns_lab import box, ids, inside, output, status, until, with_capability

pytestmark = pytest.mark.engine

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
        ("mount -t cgroup -o memory c /mnt && echo /x > /mnt/release_agent", False),
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
        security_opt=("seccomp=unconfined", "no-new-privileges", "apparmor=unconfined"),
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


def test_limits_are_readable_and_not_to_be_changed(engine: Engine, busybox: str) -> None:
    """JVMs and others size themselves by what they read there."""
    files = "/sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max"
    script = f"cat {files} 2>/dev/null; for f in {files}; do echo 5 > $f; done"
    limited = Resources(pids_limit=33)
    code, text = output(engine, busybox, script, resources=limited)
    assert code != 0 and text.splitlines()[0] == "33", text


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
