"""OCI resources as the files of both cgroup versions, written into plain directories."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.cgroups import v1_limits, v2_limits

V1 = {
    "cpu": ("cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us"),
    "cpuset": ("cpuset.cpus", "cpuset.mems"),
    "memory": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes",
               "memory.oom_control", "memory.swappiness"),
    "pids": ("pids.max",),
    "blkio": ("blkio.bfq.weight", "blkio.throttle.read_bps_device", "blkio.throttle.write_iops_device"),
}  # fmt: skip
V2 = ("cpu.weight", "cpu.max", "cpuset.cpus", "cpuset.mems", "memory.max", "memory.swap.max", "memory.low",
      "pids.max", "io.bfq.weight", "io.max")  # fmt: skip


@pytest.fixture
def v1(tmp_path: Path) -> Path:
    for controller, names in V1.items():
        (tmp_path / controller).mkdir()
        for name in names:
            (tmp_path / controller / name).touch()
    return tmp_path


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    for name in V2:
        (tmp_path / name).touch()
    return tmp_path


def written(root: Path) -> dict[str, str]:
    return {path.name: text for path in root.rglob("*") if path.is_file() and (text := path.read_text())}


def apply_v1(root: Path, resources: dict[str, object]) -> list[str]:
    def directory(controller: str, path: str) -> str:
        found = root / controller
        return str(found) if found.is_dir() else ""

    return v1_limits.apply(directory, "", resources)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, {}),
        ({"cpu": {"shares": 512}}, {"cpu.shares": "512"}),
        (
            {"cpu": {"quota": 50000, "period": 100000}},
            {"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"},
        ),
        ({"cpu": {"cpus": "0-1", "mems": "0"}}, {"cpuset.cpus": "0-1", "cpuset.mems": "0"}),
        ({"memory": {"limit": 10}}, {"memory.limit_in_bytes": "10", "memory.memsw.limit_in_bytes": "20"}),
        (
            {"memory": {"limit": 10, "swap": -1}},
            {"memory.limit_in_bytes": "10", "memory.memsw.limit_in_bytes": "-1"},
        ),
        ({"memory": {"reservation": 5}}, {"memory.soft_limit_in_bytes": "5"}),
        ({"memory": {"disableOOMKiller": True}}, {"memory.oom_control": "1"}),
        ({"pids": {"limit": 10}}, {"pids.max": "10"}),
        ({"pids": {"limit": -1}}, {"pids.max": "max"}),
        ({"blockIO": {"weight": 300}}, {"blkio.bfq.weight": "300"}),
        (
            {"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1000}]}},
            {"blkio.throttle.read_bps_device": "8:0 1000"},
        ),
    ],
)
def test_v1(v1: Path, resources: dict[str, object], expected: dict[str, str]) -> None:
    assert apply_v1(v1, resources) == []
    assert written(v1) == expected


def test_v1_missing_controllers_and_files_are_warnings(v1: Path) -> None:
    (v1 / "pids" / "pids.max").unlink()
    (v1 / "pids").rmdir()
    (v1 / "memory" / "memory.memsw.limit_in_bytes").unlink()
    (v1 / "blkio" / "blkio.bfq.weight").unlink()
    warnings = apply_v1(v1, {"pids": {"limit": 5}, "memory": {"limit": 10}, "blockIO": {"weight": 100}})
    assert warnings == [
        "swap limit: the kernel does not count swap",
        "pids limit: no pids cgroup controller",
        "block I/O weight: the kernel has no I/O scheduler for it",
    ]
    assert written(v1) == {"memory.limit_in_bytes": "10"}


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, {}),
        ({"cpu": {"shares": 1024}}, {"cpu.weight": "39"}),
        ({"cpu": {"quota": 50000, "period": 100000}}, {"cpu.max": "50000 100000"}),
        ({"cpu": {"quota": -1}}, {"cpu.max": "max 100000"}),
        ({"cpu": {"cpus": "0-1"}}, {"cpuset.cpus": "0-1"}),
        ({"memory": {"limit": 10}}, {"memory.max": "10", "memory.swap.max": "10"}),
        ({"memory": {"limit": 10, "swap": 10}}, {"memory.max": "10", "memory.swap.max": "0"}),
        ({"memory": {"limit": 10, "swap": 25}}, {"memory.max": "10", "memory.swap.max": "15"}),
        ({"memory": {"limit": 10, "swap": -1}}, {"memory.max": "10", "memory.swap.max": "max"}),
        ({"memory": {"limit": -1}}, {"memory.max": "max", "memory.swap.max": "max"}),
        ({"memory": {"reservation": 5}}, {"memory.low": "5"}),
        ({"pids": {"limit": 0}}, {"pids.max": "max"}),
        ({"blockIO": {"weight": 300}}, {"io.bfq.weight": "default 300"}),
        (
            {"blockIO": {"throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 7}]}},
            {"io.max": "8:0 wiops=7"},
        ),
    ],
)
def test_v2(v2: Path, resources: dict[str, object], expected: dict[str, str]) -> None:
    assert v2_limits.apply(str(v2), resources) == []
    assert written(v2) == expected


def test_v2_missing_controllers_are_warnings(tmp_path: Path) -> None:
    resources = {
        "pids": {"limit": 5},
        "memory": {"limit": 10, "disableOOMKiller": True},
        "cpu": {"shares": 2},
    }
    assert v2_limits.apply(str(tmp_path), resources) == [
        "cpu shares: no cpu cgroup controller here",
        "memory limit: no memory cgroup controller here",
        "swap limit: no memory cgroup controller here",
        "oom-kill-disable: cgroup v2 does not have it",
        "pids limit: no pids cgroup controller here",
    ]


@pytest.mark.parametrize(
    ("shares", "weight"), [(2, 1), (1024, 39), (262144, 10000), (0, 1), (1 << 30, 10000)]
)
def test_cpu_weight(shares: int, weight: int) -> None:
    assert v2_limits.cpu_weight(shares) == weight


@pytest.mark.parametrize(("weight", "expected"), [(10, 1), (500, 4950), (1000, 10000)])
def test_io_weight(weight: int, expected: int) -> None:
    assert v2_limits.io_weight(weight) == expected
