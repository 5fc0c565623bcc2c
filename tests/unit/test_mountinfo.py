"""Parsing /proc/PID/mountinfo."""

from __future__ import annotations

from pathlib import Path

from runtime.kernel import mountinfo

TEXT = """\
36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
40 35 0:29 / /with\\040blank rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct
41 35 0:30 / /plain rw - cgroup2 cgroup2 rw
broken line
"""


def test_fields_and_escapes(tmp_path: Path) -> None:
    file = tmp_path / "mountinfo"
    file.write_text(TEXT)
    first, second, third = mountinfo.read(str(file))
    assert (first.root, first.mount_point, first.fstype, first.source) == (
        "/mnt1",
        "/mnt2",
        "ext3",
        "/dev/root",
    )
    assert (second.mount_point, second.super_options) == ("/with blank", "rw,cpu,cpuacct")
    assert third.fstype == "cgroup2"


def test_only_lines_that_contain(tmp_path: Path) -> None:
    file = tmp_path / "mountinfo"
    file.write_text(TEXT)
    assert [entry.fstype for entry in mountinfo.read(str(file), contains=" - cgroup ")] == ["cgroup"]
