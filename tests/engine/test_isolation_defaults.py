"""What every container is denied by default (REFERENCE.md, section 3), and that each test of it can fail.

A row is something that root in a container tries. It fails; and with the named mechanism off it succeeds.
Where two mechanisms are in the way, each alone is enough.
"""

from __future__ import annotations

import json
import os
import textwrap
from dataclasses import dataclass

import pytest

from runtime.containers import defaults
from runtime.kernel import capabilities
from runtime.kernel.seccomp_compile import _numbers
from tests.engine.escape_lab import SECRET, Lab, tried
from tests.engine.weakened.off import SwitchOff

pytestmark = pytest.mark.engine


@dataclass(frozen=True)
class Barred:
    """``script`` succeeds when it gets what it should not. ``alone`` tells that each of ``off`` is enough."""

    name: str
    script: str
    off: tuple[str, ...]
    alone: bool = True


BOTH = ("capabilities", "seccomp")
SHOWS = (
    "if test -d {path}; then ls -A {path} | grep -q .;"
    # /proc/kcore cannot be opened (CAP_SYS_RAWIO), but it is not the null device.
    " else head -c 1 {path} | grep -q . || test $(stat -c %t:%T {path}) = 0:0; fi"
)
"""Whether a masked path has anything to tell."""
ROWS = (
    Barred("mount", "mount -t tmpfs none /tmp", BOTH),
    Barred("unmask", "umount /proc/interrupts && head -c 1 /proc/interrupts | grep -q .", BOTH),
    Barred("remount-proc-sys", "mount -o remount,bind,rw /proc/sys && touch -c /proc/sys", BOTH),
    Barred("remount-sys", "mount -o remount,bind,rw /sys && grep ' /sys sysfs rw' /proc/mounts", BOTH),
    Barred("unshare-mount", "unshare -m true", BOTH),
    Barred("unshare-user", "unshare -r true", ("seccomp",)),
    Barred("hostname", "hostname other", BOTH),
    Barred("kernel-log", "dmesg | grep -q .", BOTH, alone=False),  # dmesg_restrict may be off
    Barred("configure-links", "ip link set lo mtu 1400", ("capabilities",)),
    Barred("write-sysctl", "echo 65 > /proc/sys/net/ipv4/ip_default_ttl", ("read-only paths",)),
    Barred("core-pattern", ": >> /proc/sys/kernel/core_pattern", ("read-only paths",)),
    Barred("sysfs", "grep ' /sys sysfs rw' /proc/mounts", ("read-only sysfs",)),
    Barred(
        "cgroup-files",
        "for d in /sys/fs/cgroup/pids /sys/fs/cgroup; do"
        " test -e $d/cgroup.procs && mkdir $d/mine && rmdir $d/mine && exit 0; done; exit 1",
        ("read-only cgroup files",),
    ),
    Barred(
        "devices",  # /dev/fuse, /dev/net/tun, /dev/loop-control: those that do nothing when they are opened
        "cd /tmp; for n in 229 200 237; do mknod $n c 10 $n; (: < $n) && exit 0; done; exit 1",
        ("device rules",),
    ),
    *(
        Barred(f"masked{path.replace('/', '-')}", SHOWS.format(path=path), ("masked paths",))
        for path in defaults.MASKED_PATHS
        if os.path.exists(path) and (os.path.isfile(path) or os.listdir(path))
    ),
    *(
        Barred(f"read-only{path.replace('/', '-')}", f"touch -c {path}", ("read-only paths",))
        for path in defaults.READONLY_PATHS
        if os.path.exists(path)
    ),
)


def succeeds(lab: Lab, row: Barred) -> bool:
    return "SUCCEEDED" in lab.shell(f"({row.script}) 2>&1 && echo SUCCEEDED")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_root_in_a_container_may_not(lab: Lab, switch_off: SwitchOff, row: Barred) -> None:
    assert not succeeds(lab, row)
    switch_off(*row.off)
    assert succeeds(lab, row), f"with {row.off} off it must succeed, or the test proves nothing"


@pytest.mark.parametrize("kept", BOTH)
@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.off == BOTH and row.alone], ids=lambda row: row.name
)
def test_one_of_the_two_is_enough(lab: Lab, switch_off: SwitchOff, row: Barred, kept: str) -> None:
    switch_off(*(name for name in row.off if name != kept))
    assert not succeeds(lab, row)


# -- capabilities and the filter, in run, exec and --init ------------------------------------------

STATUS = "grep -E '^(Cap|Seccomp:|NoNewPrivs)' /proc/self/status"


def statuses(lab: Lab) -> list[dict[str, str]]:
    """Of a program, of one below --init, and of an exec."""
    with lab.running(("sleep", "100")) as container:
        texts = [lab.shell(STATUS), lab.shell(STATUS, init=True), lab.exec(container, ["sh", "-c", STATUS])]
    return [dict(line.split(":\t", 1) for line in text.splitlines()) for text in texts]


def test_capabilities_are_dockers_and_the_filter_is_on(lab: Lab, switch_off: SwitchOff) -> None:
    mask = f"{capabilities.mask_of(defaults.CAPABILITIES):016x}"
    assert mask == "00000000a80425fb"
    none = "0" * 16
    expected = {"CapInh": none, "CapPrm": mask, "CapEff": mask, "CapBnd": mask, "CapAmb": none}
    assert statuses(lab) == [{**expected, "NoNewPrivs": "0", "Seccomp": "2"}] * 3
    switch_off("capabilities", "seccomp")
    for found in statuses(lab):
        assert found["Seccomp"] == "0"
        assert all(int(found[name], 16) & ~int(mask, 16) for name in ("CapPrm", "CapEff", "CapBnd"))


# -- the calls that the filter refuses -------------------------------------------------------------

EPERM, EINVAL, ESRCH, ENOSYS = 1, 22, 3, 38
BAD, ALL = 1, 0xFFFFFFFF
THREAD = 0x10000  # CLONE_THREAD without CLONE_SIGHAND: the kernel refuses it, so nothing is ever made
REFUSED: dict[str, tuple[str, list[int], int]] = {
    **{
        f"clone {name}": ("clone", [flag | THREAD, 0, 0, 0, 0], EPERM)
        for name, flag in {
            "NEWNS": 0x20000, "NEWCGROUP": 0x2000000, "NEWUTS": 0x4000000, "NEWIPC": 0x8000000,
            "NEWUSER": 0x10000000, "NEWPID": 0x20000000, "NEWNET": 0x40000000,
        }.items()
    },
    "clone3": ("clone3", [0, 0], ENOSYS),
    "socket AF_ALG": ("socket", [38, 5, 0], EPERM),
    "socket AF_VSOCK": ("socket", [40, 1, 0], EPERM),
    "io_uring_setup": ("io_uring_setup", [0, 0], EPERM),
    "io_uring_enter": ("io_uring_enter", [ALL, 0, 0, ALL, 0, 0], EPERM),
    "io_uring_register": ("io_uring_register", [ALL, ALL, 0, 0], EPERM),
    "keyctl": ("keyctl", [9999, 0, 0, 0, 0], EPERM),
    "add_key": ("add_key", [BAD, BAD, 0, 0, 0], EPERM),
    "request_key": ("request_key", [BAD, BAD, 0, 0], EPERM),
    "userfaultfd": ("userfaultfd", [ALL], EPERM),
    "bpf": ("bpf", [0, BAD, 1 << 20], EPERM),
    "perf_event_open": ("perf_event_open", [0, 0, 0, 0, ALL], EPERM),
    "mount": ("mount", [BAD, BAD, BAD, 0, 0], EPERM),
    "umount2": ("umount2", [BAD, 0xFFFF], EPERM),
    "unshare": ("unshare", [1], EPERM),
    "setns": ("setns", [ALL, 0], EPERM),
    "open_tree": ("open_tree", [ALL, BAD, ALL], EPERM),
    "mount_setattr": ("mount_setattr", [ALL, BAD, ALL, BAD, 0], EPERM),
    "fsconfig": ("fsconfig", [ALL, ALL, 0, 0, 0], EPERM),
    "personality": ("personality", [0x0040000], EPERM),
}  # fmt: skip
"""Name -> (call, arguments that the kernel itself answers otherwise, the filter's answer)."""
ALLOWED = {
    "clone": ("clone", [THREAD, 0, 0, 0, 0], EINVAL),
    "ptrace": ("ptrace", [3, 0x7FFFFFFF, 0, 0], ESRCH),
}
"""So that the filter does not simply refuse everything (ptrace since Linux 4.8)."""


def answers(lab: Lab) -> dict[str, int]:
    numbers = _numbers()[os.uname().machine]
    calls = {
        name: [numbers[call], *arguments] for name, (call, arguments, _) in {**REFUSED, **ALLOWED}.items()
    }
    code = f"""
        import ctypes, json
        libc = ctypes.CDLL(None, use_errno=True)
        found = {{}}
        for name, (number, *arguments) in {calls!r}.items():
            ctypes.set_errno(0)
            libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
            found[name] = ctypes.get_errno()
        print(json.dumps(found))
    """
    found: dict[str, int] = json.loads(lab.python(textwrap.dedent(code)))
    return found


def test_the_filter_refuses(lab: Lab, switch_off: SwitchOff) -> None:
    allowed = {name: answer for name, (_, _, answer) in ALLOWED.items()}
    refused = {name: answer for name, (_, _, answer) in REFUSED.items()}
    assert answers(lab) == {**refused, **allowed}
    switch_off("seccomp")
    open_now = answers(lab)
    assert {name: open_now[name] for name in allowed} == allowed
    assert [name for name in refused if open_now[name] == refused[name]] == [], (
        "cannot tell the filter from the kernel"
    )


# -- namespaces, root, devices ---------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in defaults.NAMESPACES if name != "mount"])
def test_the_machines_namespaces_are_out_of_reach(lab: Lab, switch_off: SwitchOff, name: str) -> None:
    link = f"/proc/self/ns/{'net' if name == 'network' else name}"
    assert lab.shell(f"readlink {link}").strip() != os.readlink(link)
    switch_off(f"namespace={name}")
    assert lab.shell(f"readlink {link}").strip() == os.readlink(link)


def out_of_a_chroot(lab: Lab) -> str:
    """The oldest way out: a root directory is no wall for who may change it (chroot(2))."""
    return lab.python(
        f"""
        import os
        os.mkdir("/cell")
        os.chroot("/cell")
        for _ in range(100):
            os.chdir("..")
        os.chroot(".")
        path = {str(lab.outside / "secret")!r}
        print(open(path).read() if os.path.exists(path) else "", end="")
        """
    )


def test_the_machines_root_is_gone(lab: Lab, switch_off: SwitchOff) -> None:
    assert os.readlink("/proc/self/ns/mnt") != lab.shell("readlink /proc/self/ns/mnt").strip()
    assert tried(out_of_a_chroot, lab) == ""
    switch_off("pivot_root")
    assert out_of_a_chroot(lab) == SECRET


DEV = [
    "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout",
    "tty", "urandom", "zero",
]  # fmt: skip


@pytest.mark.parametrize("tty", [False, True])
def test_the_devices_are_these_and_work(lab: Lab, tty: bool) -> None:
    listed = lab.shell("ls /dev | cat", tty=tty).split()
    assert listed == sorted([*DEV, "console"] if tty else DEV)
    script = (
        "head -c 1 /dev/zero | od -An -c; head -c 1 /dev/random | wc -c; head -c 1 /dev/urandom | wc -c;"
        " echo x > /dev/null && echo null; (echo x > /dev/full) 2>/dev/null || echo full"
    )
    assert lab.shell(script, tty=tty).split() == ["\\0", "1", "1", "null", "full"]
    if tty:
        assert "/dev/pts/0" in lab.shell("tty; echo > /dev/tty; echo > /dev/console", tty=True)
