"""Mount plans carried out in a mount namespace of their own, hostile roots included."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.kernel import mountinfo
from tests.engine.kernel_child import run_child

pytestmark = pytest.mark.engine

IN_NAMESPACE = """
S.unshare(namespaces.flags_of(["mount", "cgroup", "ipc", "uts", "network"]))
mounts.make_private()
base = sys.argv[1]
def overlay():
    mounts.mount_overlay([base + "/lower"], base + "/upper", base + "/work", base + "/root")
    return os.open(base + "/root", os.O_PATH | os.O_DIRECTORY)
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for name in ("lower/etc", "lower/bin", "upper", "work", "root", "volume/sub"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "lower/etc/os-release").write_text("ID=test\n")
    (tmp_path / "volume/file").write_text("from the volume\n")
    return tmp_path


def run(base: Path, code: str) -> list[str]:
    lines = run_child(IN_NAMESPACE + code, str(base))
    assert not [entry.mount_point for entry in mountinfo.read() if entry.mount_point.startswith(str(base))]
    return lines


def test_overlay_writes_to_the_upper_directory_only(base: Path) -> None:
    run(
        base, "overlay(); open(base + '/root/etc/new', 'w').close(); os.remove(base + '/root/etc/os-release')"
    )
    assert (base / "upper/etc/new").exists()
    assert (base / "lower/etc/os-release").exists()
    assert not (base / "lower/etc/new").exists()


def test_overlay_of_many_layers_with_a_long_path(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 200) / ("e" * 200)
    for index in range(130):
        (deep / f"layer-with-a-name-{index:03}").mkdir(parents=True)
        (deep / f"layer-with-a-name-{index:03}" / f"f{index}").touch()
    for name in ("upper", "work", "root"):
        (deep / name).mkdir()
    code = """
    layers = [f"{base}/layer-with-a-name-{i:03}" for i in range(130)]
    mounts.mount_overlay(layers, base + "/upper", base + "/work", base + "/root")
    print(len(os.listdir(base + "/root")), os.getcwd())
    from runtime.kernel import overlay
    S.umount2(base + "/root")
    overlay._classic(layers, base + "/upper", base + "/work", False, base + "/root")
    print(len(os.listdir(base + "/root")))
    """
    lines = run_child(IN_NAMESPACE + "\nif True:" + code, str(deep))
    assert [line.split()[0] for line in lines] == ["130", "130"]


def test_layers_on_top_win_and_no_upper_is_read_only(base: Path) -> None:
    (base / "top/etc").mkdir(parents=True)
    (base / "top/etc/os-release").write_text("ID=top\n")
    lines = run(
        base,
        """
mounts.mount_overlay([base + "/top", base + "/lower"], None, None, base + "/root")
print(open(base + "/root/etc/os-release").read().strip())
print(attempt(open, base + "/root/new", "w"))
S.umount2(base + "/root")
mounts.mount_overlay([base + "/lower"], None, None, base + "/root")
print(attempt(open, base + "/root/new", "w"))
""",
    )
    assert lines == ["ID=top", "EROFS", "EROFS"]


def test_the_whole_world(base: Path) -> None:
    lines = run(
        base,
        """
S.unshare(S.CLONE_NEWPID)
if pid := os.fork():
    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
root = overlay()
plain = S.MS_NOSUID | S.MS_NOEXEC | S.MS_NODEV
mounts.mount_all(root, [
    entry("/proc", "proc", "proc", plain),
    entry("/dev", "tmpfs", "tmpfs", S.MS_NOSUID | S.MS_STRICTATIME, "mode=755,size=65536k"),
    entry("/dev/pts", "devpts", "devpts", S.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"),
    entry("/sys", "sysfs", "sysfs", plain | S.MS_RDONLY),
    entry("/sys/fs/cgroup", "cgroup", "cgroup", plain | S.MS_RDONLY),
    entry("/dev/mqueue", "mqueue", "mqueue", plain),
    entry("/dev/shm", "tmpfs", "shm", plain, "mode=1777,size=1048576"),
    entry("/data", "bind", base + "/volume", S.MS_BIND | S.MS_REC | S.MS_RDONLY, "", S.MS_PRIVATE | S.MS_REC),
    entry("/made/up/file", "bind", base + "/volume/file", S.MS_BIND),
])
mounts.create_devices(root, [("/dev/null", "c", 1, 3, 0o666), ("/dev/full", "c", 1, 7, 0o666)])
master, slave = terminals.open_pty_in(root)
mounts.bind_console(root, slave)
mounts.pivot(base + "/root")
mounts.readonly_paths(["/proc/sys", "/proc/missing"])
mounts.mask_paths(["/proc/keys", "/sys/firmware", "/proc/missing/too"])
mounts.set_rootfs_readonly()
print(os.getpid(), os.getcwd(), *sorted(name for name in os.listdir("/")))
print(oct(os.stat("/dev/null").st_mode), os.readlink("/dev/ptmx"), os.readlink("/dev/stdin"))
print(attempt(open, "/new", "w"), attempt(open, "/data/new", "w"), attempt(open, "/sys/fs/cgroup/new", "w"))
print(attempt(os.open, "/proc/sys/kernel/hostname", os.O_WRONLY), open("/made/up/file").read().strip())
print(repr(open("/proc/keys").read()), os.listdir("/sys/firmware"), attempt(os.mkdir, "/sys/firmware/x"))
os.write(os.open("/dev/console", os.O_WRONLY | os.O_NOCTTY), b"to the console"); print(os.read(master, 100))
open("/dev/shm/x", "w").close()
print(sum(1 for line in open("/proc/self/mountinfo") if sys.argv[1] in line.split()[4]))
sys.stdout.flush(); os._exit(0)
""",
    )
    assert lines[0] == "1 / bin data dev etc made proc sys"
    assert lines[1:6] == [
        "0o20666 pts/ptmx /proc/self/fd/0",
        "EROFS EROFS EROFS",
        "EROFS from the volume",
        "'' [] EROFS",
        "b'to the console'",
    ]
    assert lines[6] == "0"


@pytest.mark.parametrize(
    ("place", "fstype"), [("proc", "proc"), ("sys", "sysfs"), ("dev", "tmpfs"), ("dev/pts", "devpts")]
)
def test_a_link_at_a_trusted_place_is_refused(base: Path, place: str, fstype: str) -> None:
    (base / "elsewhere").mkdir()
    link = base / "lower" / place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to("/etc")
    lines = run(
        base,
        f"""
root = overlay()
try:
    mounts.mount_all(root, [entry("/{place}", "{fstype}", "{fstype}")])
except S.SyscallError as error:
    print(error)
""",
    )
    assert lines[0].startswith(f"mount {fstype} on /{place}")
    assert "Too many levels of symbolic links" in lines[0]


def test_nothing_of_an_image_covers_proc(base: Path) -> None:
    lines = run(
        base,
        """
root = overlay()
mounts.mount_all(root, [entry("/proc", "proc", "proc")])
for destination in ("/proc", "/proc/self/attr", "/proc/sys/kernel", "/proc/meminfo"):
    source = base + ("/volume/file" if destination.endswith("meminfo") else "/volume")
    print(attempt(mounts.mount_all, root, [entry(destination, "bind", source, S.MS_BIND)]))
""",
    )
    assert lines == ["EPERM", "EPERM", "EPERM", "None"]


def test_a_destination_link_is_followed_inside_the_root(base: Path) -> None:
    (base / "lower/link").symlink_to("/etc/target")
    (base / "lower/out").symlink_to(base / "volume")
    run(
        base,
        """
root = overlay()
mounts.mount_all(root, [entry("/link", "tmpfs", "tmpfs"), entry("/out", "tmpfs", "tmpfs")])
open(base + "/root/etc/target/x", "w").close()
inside = [line.split()[4] for line in open("/proc/self/mountinfo") if " tmpfs tmpfs " in line]
print([path for path in inside if path.startswith(base) and not path.startswith(base + "/root/")])
assert any(path == base + "/root/etc/target" for path in inside)
""",
    )
    assert not (base / "upper/etc/target/x").exists()
    assert sorted(path.name for path in (base / "volume").iterdir()) == ["file", "sub"]


def test_read_only_bind_holds_for_submounts(base: Path) -> None:
    lines = run(
        base,
        """
S.mount("tmpfs", base + "/volume/sub", "tmpfs", 0)
root = overlay()
mounts.mount_all(root, [
    entry("/deep", "bind", base + "/volume", S.MS_BIND | S.MS_REC | S.MS_RDONLY),
    entry("/top", "bind", base + "/volume", S.MS_BIND | S.MS_REC | S.MS_RDONLY,
          extra={"top_readonly_only": True}),
    entry("/flat", "bind", base + "/volume", S.MS_BIND | S.MS_NOEXEC),
])
for path in ("deep/x", "deep/sub/x", "top/x", "top/sub/x", "flat/x"):
    result = attempt(open, f"{base}/root/{path}", "w")
    print(path, result if isinstance(result, str) else "written")
print(os.statvfs(base + "/root/flat").f_flag & os.ST_NOEXEC != 0, os.listdir(base + "/root/flat/sub"))
""",
    )
    assert lines == [
        "deep/x EROFS", "deep/sub/x EROFS", "top/x EROFS", "top/sub/x written", "flat/x written", "True []",
    ]  # fmt: skip


def test_attributes_on_kernels_without_mount_setattr(base: Path) -> None:
    lines = run(
        base,
        """
from runtime.kernel import filesystems
fd = filesystems.new_filesystem("tmpfs", "tmpfs", S.MS_NOSUID | S.MS_NODEV, "")
target = os.open(base + "/root", os.O_PATH)
filesystems.attach(fd, target, "test")
filesystems.set_attributes_attached(fd, S.MS_RDONLY, S.MS_SLAVE | S.MS_REC)
flags = os.statvfs(base + "/root").f_flag
print([bool(flags & f) for f in (os.ST_RDONLY, os.ST_NOSUID, os.ST_NODEV, os.ST_NOEXEC)])
""",
    )
    assert lines == ["[True, True, True, False]"]


def test_errors_name_source_and_destination(base: Path) -> None:
    lines = run(
        base,
        """
root = overlay()
for item in (entry("/x", "bind", "/no/such", S.MS_BIND), entry("/x", "nosuchfs", "none"),
             entry("/etc/os-release", "bind", base + "/volume", S.MS_BIND),
             entry("/t", "tmpfs", "t", 0, "size=oops")):
    try:
        mounts.mount_all(root, [item])
    except S.SyscallError as error:
        print(error)
""",
    )
    assert lines[0] == "mount /no/such on /x: No such file or directory"
    assert lines[1].startswith("mount nosuchfs on /x")
    assert lines[1].endswith("No such device")
    assert lines[2] == f"mount {base}/volume on /etc/os-release (open /etc/os-release): Not a directory"
    assert lines[3].startswith("mount tmpfs on /t (fsconfig size=oops")


@pytest.mark.parametrize("trap", ["/etc/target", "/dev/zero"])
def test_hostile_device_nodes(base: Path, trap: str) -> None:
    """An image whose /dev/null is a link or another device (CVE-2025-31133), or whose console is (52565)."""
    (base / "lower/dev").mkdir()
    (base / "lower/etc/target").write_text("victim")
    (base / "lower/dev/null").symlink_to(trap)
    (base / "lower/dev/console").symlink_to(trap)
    lines = run(
        base,
        """
root = overlay()
print(attempt(mounts.create_devices, root, [("/dev/null", "c", 1, 3, 0o666)]))
_master, slave = os.openpty()
zero = os.open("/dev/zero", os.O_RDWR)
print(attempt(mounts.bind_console, root, slave), attempt(mounts.bind_console, root, zero))
mounts.pivot(base + "/root")
open("/secret", "w").close()
print(attempt(mounts.mask_paths, ["/secret"]))
""",
    )
    assert lines == ["EEXIST", "ELOOP ENOTTY", "ELOOP"]


def test_without_mknod_the_hosts_node_is_bound(base: Path) -> None:
    lines = run(
        base,
        """
root = overlay()
mounts.mount_all(root, [entry("/dev", "tmpfs", "tmpfs")])
capabilities.set_sets(*(mask & ~capabilities.mask_of(["MKNOD"]) for mask in S.capget()))
mounts.create_devices(root, [("/dev/null", "c", 1, 3, 0o666)])
info = os.stat(base + "/root/dev/null")
print(os.major(info.st_rdev), os.minor(info.st_rdev))
""",
    )
    assert lines == ["1 3"]
