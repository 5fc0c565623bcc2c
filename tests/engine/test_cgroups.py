"""Control groups of this machine, whichever version it has; and v2's device filter wherever v2 is mounted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime import cgroups
from runtime.cgroups import devices_bpf
from runtime.kernel import mountinfo, syscalls
from tests.engine.kernel_child import REPOSITORY, run_child

pytestmark = pytest.mark.engine

NULL_ONLY = [
    {"allow": False, "access": "rwm"},
    {"allow": True, "type": "c", "access": "m"},
    {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
    {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "r"},
]


@pytest.fixture
def group() -> Iterator[str]:
    """The path of a group that does not exist yet; whatever is made of it is gone afterwards."""
    path = f"/tuidock/test-{os.getpid()}/one"
    yield path
    backend = cgroups.detect()
    backend.kill(path)
    backend.remove(path)
    backend.remove_empty_parents(path)
    assert not backend.exists(path.rpartition("/")[0])


Start = Callable[[str, str], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a Python child in a group; it says "ready" on its first line of output when it is inside."""
    children: list[subprocess.Popen[str]] = []

    def begin(path: str, code: str) -> subprocess.Popen[str]:
        prelude = (
            f"import os, sys, time; sys.path.insert(0, {str(REPOSITORY)!r})\n"
            f"from runtime import cgroups; cgroups.detect().enter({path!r}); print('ready', flush=True)\n"
        )
        child = subprocess.Popen([sys.executable, "-c", prelude + code], stdout=subprocess.PIPE, text=True)
        children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        return child

    yield begin
    for child in children:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()  # not read to its end: what it forked may live until the group is killed


def test_create_enter_and_remove(group: str, start: Start) -> None:
    backend = cgroups.detect()
    assert not backend.exists(group)
    assert backend.create(group, {}, None) == []
    assert backend.create(group, {}, None) == []  # again is fine
    child = start(group, "time.sleep(60)")
    assert backend.exists(group)
    assert backend.pids(group) == [child.pid]
    parent, _, name = group.rpartition("/")
    assert backend.children(parent) == [name]
    other = subprocess.Popen(["sleep", "60"])
    backend.attach(group, other.pid)
    assert sorted(backend.pids(group)) == sorted([child.pid, other.pid])
    backend.kill(group)
    assert other.wait() == -9
    backend.remove(group)
    backend.remove(group)
    assert not backend.exists(group)
    assert backend.pids(group) == []
    assert backend.oom_kills(group) == 0
    with pytest.raises(OSError):
        backend.stats(group)


def test_limits_are_counted(group: str) -> None:
    backend = cgroups.detect()
    warnings = backend.create(
        group,
        {
            "cpu": {"quota": 50_000, "period": 100_000, "shares": 512},
            "memory": {"limit": 64 << 20, "swap": 128 << 20, "reservation": 32 << 20},
            "pids": {"limit": 20},
        },
        None,
    )
    assert [warning for warning in warnings if not warning.startswith("swap limit")] == []
    figures = backend.stats(group)
    assert (figures["memory_limit"], figures["pids_limit"], figures["pids"]) == (64 << 20, 20, 0)
    for limit in (128 << 20, 16 << 20):  # growing and shrinking
        backend.update(group, {"memory": {"limit": limit}})
        assert backend.stats(group)["memory_limit"] == limit
    backend.update(group, {"memory": {"limit": -1}, "pids": {"limit": -1}, "cpu": {"quota": -1}})
    figures = backend.stats(group)
    assert (figures["memory_limit"], figures["pids_limit"]) == (0, 0)
    assert all(isinstance(value, int) for value in figures.values())


def test_a_refused_value_is_shown(group: str) -> None:
    backend = cgroups.detect()
    backend.create(group, {}, None)
    with pytest.raises(syscalls.SyscallError, match=r"write 4095 to .*cpuset\.cpus"):
        backend.update(group, {"cpu": {"cpus": "4095"}})
    with pytest.raises(OSError):
        backend.update(group + "/missing", {"pids": {"limit": 5}})


def test_cpu_quota_holds(group: str, start: Start) -> None:
    backend = cgroups.detect()
    backend.create(group, {"cpu": {"quota": 30_000, "period": 100_000}}, None)
    start(group, "while True: pass")
    time.sleep(0.3)
    before, begun = backend.stats(group)["cpu_usage"], time.monotonic_ns()
    time.sleep(1.5)
    figures = backend.stats(group)
    share = (figures["cpu_usage"] - before) / (time.monotonic_ns() - begun)
    assert 0.2 < share < 0.36
    assert figures["cpu_throttled"] > 0


def test_memory_limit_kills_and_is_counted(group: str, start: Start) -> None:
    backend = cgroups.detect()
    backend.create(group, {"memory": {"limit": 40 << 20, "swap": 40 << 20}}, None)
    small = start(group, "x = bytearray(10 << 20); print('held', flush=True); time.sleep(60)")
    assert small.stdout is not None
    assert small.stdout.readline() == "held\n"
    assert backend.stats(group)["memory_usage"] > 10 << 20
    assert backend.oom_kills(group) == 0
    backend.kill(group)
    big = start(group, "x = bytearray(200 << 20)")
    assert big.wait(timeout=60) == -9
    assert backend.oom_kills(group) == 1
    assert backend.stats(group)["oom_kills"] == 1


def test_pids_limit_stops_forks(group: str, start: Start) -> None:
    backend = cgroups.detect()
    backend.create(group, {"pids": {"limit": 5}}, None)
    bomb = start(
        group,
        "made = 0\n"
        "try:\n"
        "    while os.fork(): made += 1\n"
        "    time.sleep(60)\n"
        "except BlockingIOError: print(made, flush=True); time.sleep(60)\n",
    )
    assert bomb.stdout is not None
    assert bomb.stdout.readline() == "4\n"
    assert backend.stats(group)["pids"] == 5
    assert len(backend.pids(group)) == 5


def test_freeze_thaw_and_kill_frozen(group: str, start: Start) -> None:
    backend = cgroups.detect()
    backend.create(group, {}, None)
    child = start(group, "while True: pass")
    backend.freeze(group)
    assert backend.frozen(group)
    before = backend.stats(group)["cpu_usage"]
    time.sleep(0.2)
    assert backend.stats(group)["cpu_usage"] - before < 20_000_000
    backend.thaw(group)
    assert not backend.frozen(group)
    time.sleep(0.2)
    assert backend.stats(group)["cpu_usage"] > before + 20_000_000
    backend.freeze(group)
    backend.kill(group)
    assert child.wait(timeout=10) == -9
    assert backend.pids(group) == []


def test_kill_outruns_forks(group: str, start: Start) -> None:
    backend = cgroups.detect()
    backend.create(group, {"pids": {"limit": 60}}, None)
    start(
        group,
        "while True:\n"
        "    try:\n"
        "        if os.fork() == 0: time.sleep(0.001); os.fork()\n"
        "    except OSError: pass\n",
    )
    time.sleep(0.3)
    backend.kill(group)
    assert backend.pids(group) == []


def test_groups_below_are_killed_and_removed(group: str, start: Start) -> None:
    backend = cgroups.detect()
    backend.create(group, {}, None)
    backend.create(group + "/a/b", {}, None)
    child = start(group + "/a/b", "time.sleep(60)")
    assert backend.pids(group) == [child.pid]
    backend.kill(group)
    assert child.wait(timeout=10) == -9
    backend.remove(group)
    assert not backend.exists(group)


def test_parents_stay_while_they_are_in_use(group: str) -> None:
    backend = cgroups.detect()
    backend.create(group, {}, None)
    sibling = group + "-sibling"
    backend.create(sibling, {}, None)
    backend.remove(group)
    backend.remove_empty_parents(group)
    assert backend.exists(sibling)
    backend.remove(sibling)


def test_device_rules(group: str, start: Start) -> None:
    backend = cgroups.detect()
    backend.create(group, {}, NULL_ONLY)
    child = start(
        group,
        "def attempt(path, mode):\n"
        "    try: os.close(os.open(path, mode)); return 'ok'\n"
        "    except PermissionError: return 'denied'\n"
        "print(attempt('/dev/null', os.O_RDWR), attempt('/dev/zero', os.O_RDONLY),"
        " attempt('/dev/zero', os.O_RDWR), attempt('/dev/full', os.O_RDONLY), flush=True)\n"
        "os.mknod('/tmp/td-node', 0o20600, os.makedev(10, 200)); os.unlink('/tmp/td-node')\n"
        "try: os.mknod('/tmp/td-node', 0o60600, os.makedev(7, 0))\n"
        "except PermissionError: print('no block node', flush=True)\n",
    )
    assert child.stdout is not None
    assert child.stdout.read().splitlines() == ["ok ok denied denied", "no block node"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], "denied denied denied"),
        ([{"allow": True, "access": "rwm"}], "ok ok ok"),
        (
            [{"allow": True}, {"allow": False, "type": "c", "major": 1, "minor": 3, "access": "w"}],
            "denied ok ok",
        ),
        (
            [
                {"allow": False},
                {"allow": True, "type": "c", "major": 1, "access": "r"},
                {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "w"},
            ],
            "ok denied ok",
        ),
        ([{"allow": True, "type": "b", "access": "rwm"}], "denied denied denied"),
    ],
)
def test_v2_device_filter(rules: list[dict[str, object]], expected: str) -> None:
    """Opening null and zero for both, and full for reading, under the filter alone."""
    roots = [entry.mount_point for entry in mountinfo.read(contains=" - cgroup2 ")]
    assert roots, "no cgroup2 mount: mount one to run the engine tests"
    directory = Path(roots[0]) / f"td-bpf-{os.getpid()}"
    directory.mkdir()
    try:
        devices_bpf.attach(str(directory), rules)
        lines = run_child(
            """
with open(sys.argv[1] + "/cgroup.procs", "w") as file:
    file.write("0")
def check(path, mode):
    try: os.close(os.open(path, mode)); return "ok"
    except PermissionError: return "denied"
print(check("/dev/null", os.O_RDWR), check("/dev/zero", os.O_RDWR), check("/dev/full", os.O_RDONLY))
""",
            str(directory),
        )
        assert lines == [expected]
    finally:
        directory.rmdir()


def test_a_sample_is_cheap(group: str) -> None:
    backend = cgroups.detect()
    backend.create(group, {}, None)
    backend.stats(group)
    begun = time.perf_counter()
    for _ in range(20):
        backend.stats(group)
    assert (time.perf_counter() - begun) / 20 < 0.05  # 0.1 ms on bare metal; emulated machines take 8 ms
