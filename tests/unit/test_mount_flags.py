"""MS_* flags as mount attributes, and the import budget of what a container's process loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from runtime.kernel import filesystems, syscalls


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (0, 0),
        (syscalls.MS_RDONLY | syscalls.MS_NOSUID, syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NOSUID),
        (syscalls.MS_NODEV | syscalls.MS_NOEXEC, syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOEXEC),
        (syscalls.MS_NOATIME, syscalls.MOUNT_ATTR_NOATIME),
        (syscalls.MS_STRICTATIME, syscalls.MOUNT_ATTR_STRICTATIME),
        (syscalls.MS_RELATIME, 0),
        (syscalls.MS_BIND | syscalls.MS_REC | syscalls.MS_SYNCHRONOUS, 0),
    ],
)
def test_attributes(flags: int, expected: int) -> None:
    assert filesystems.attributes(flags) == expected


def test_error_names_the_call_and_the_target() -> None:
    error = syscalls.SyscallError("mount", "overlay on /x", 1)
    assert str(error) == "mount overlay on /x: Operation not permitted"
    assert error.errno == 1
    assert isinstance(error, OSError)


def test_the_small_process_loads_nothing_big() -> None:
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "from runtime import cgroups\n"
        "from runtime.kernel import capabilities, locks, mounts, namespaces, pidfd, seccomp, terminals\n"
        "cgroups.detect()\n"
        "print(*sorted(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(out.stdout.split())
    heavy = {"typing", "enum", "re", "json", "pathlib", "dataclasses", "logging", "subprocess", "collections"}
    assert "runtime.kernel.mounts" in loaded
    assert not loaded & heavy
