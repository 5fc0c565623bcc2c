"""Control groups version 2: one hierarchy (Documentation/admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

import errno

from runtime.cgroups import groupfiles, v2_limits
from runtime.cgroups.groupfiles import keyed, number
from runtime.kernel.syscalls import SyscallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["UnifiedBackend"]

_WANTED = ("cpu", "cpuset", "io", "memory", "pids")


class UnifiedBackend:
    """Version 2. ``root`` is where the hierarchy is mounted."""

    version = 2

    def __init__(self, root: str) -> None:
        self._root = root

    def controllers(self) -> set[str]:
        """In version 1's words; freezer and devices are part of every v2."""
        names = set(groupfiles.read(f"{self._root}/cgroup.controllers").split())
        if "io" in names:
            names.add("blkio")
        if "cpu" in names:
            names.add("cpuacct")
        return names | {"freezer", "devices"}

    def create(
        self,
        path: str,
        resources: Mapping[str, object],
        devices: Sequence[Mapping[str, object]] | None,
    ) -> list[str]:
        """See the package."""
        parts = [part for part in path.split("/") if part]
        parent = "/" + "/".join(parts[:-1])
        groupfiles.make_directories(self._root, parent)
        warnings = self._delegate(parts[:-1])
        groupfiles.make_directories(self._root, path)
        warnings += v2_limits.apply(self._root + path, resources)
        if devices is not None:
            from runtime.cgroups import devices_bpf

            try:
                devices_bpf.attach(self._root + path, devices)
            except SyscallError as error:
                # Without the filter the container could use any device node that it makes.
                raise SyscallError("restrict devices of", f"{path} ({error})", error.errno or 0) from error
        return warnings

    def _delegate(self, parents: list[str]) -> list[str]:
        """Hand the controllers down from the root through ``parents``. A group with processes in it cannot
        hand down ("no internal process constraint"), the machine's root group excepted."""
        directory = self._root
        warnings: list[str] = []
        for part in ["", *parents]:
            directory = f"{directory}/{part}" if part else directory
            available = set(groupfiles.read(f"{directory}/cgroup.controllers").split())
            enabled = set(groupfiles.read(f"{directory}/cgroup.subtree_control").split())
            missing = [name for name in _WANTED if name in available and name not in enabled]
            for name in missing:
                try:
                    groupfiles.write(f"{directory}/cgroup.subtree_control", f"+{name}")
                except SyscallError as error:
                    where = directory.removeprefix(self._root) or "/"
                    reason = "it has processes of its own" if error.errno == errno.EBUSY else error.strerror
                    warnings.append(
                        f"{name} limits: cgroup {where} cannot hand the controller down: {reason}"
                    )
        return warnings

    def update(self, path: str, resources: Mapping[str, object]) -> list[str]:
        """See the package."""
        self._require(path)
        return v2_limits.apply(self._root + path, resources)

    def enter(self, path: str) -> None:
        """See the package."""
        groupfiles.write(f"{self._root}{path}/cgroup.procs", "0")

    def entrances(self, path: str) -> list[int]:
        """See the package."""
        return groupfiles.open_for_writing([f"{self._root}{path}/cgroup.procs"])

    def attach(self, path: str, pid: int) -> None:
        """See the package."""
        groupfiles.write(f"{self._root}{path}/cgroup.procs", str(pid))

    def exists(self, path: str) -> bool:
        """See the package."""
        return groupfiles.exists(self._root + path)

    def _require(self, path: str) -> None:
        if not self.exists(path):
            raise SyscallError("open cgroup", path, errno.ENOENT)

    def stats(self, path: str) -> dict[str, int]:
        """See the package."""
        self._require(path)
        directory = self._root + path
        cpu = keyed(f"{directory}/cpu.stat")
        detail = keyed(f"{directory}/memory.stat")
        block_read, block_write = _block(directory)
        return {
            "cpu_usage": cpu.get("usage_usec", 0) * 1000,
            "cpu_throttled": cpu.get("throttled_usec", 0) * 1000,
            "memory_usage": max(0, number(f"{directory}/memory.current") - detail.get("inactive_file", 0)),
            "memory_limit": number(f"{directory}/memory.max"),
            "memory_cache": detail.get("file", 0),
            "pids": number(f"{directory}/pids.current"),
            "pids_limit": number(f"{directory}/pids.max"),
            "block_read": block_read,
            "block_write": block_write,
            "oom_kills": self.oom_kills(path),
        }

    def oom_kills(self, path: str) -> int:
        """Processes that a limit had killed since the group was made; 0 for a missing group."""
        return keyed(f"{self._root}{path}/memory.events").get("oom_kill", 0)

    def pids(self, path: str) -> list[int]:
        """See the package."""
        return groupfiles.pids(self._root + path)

    def children(self, path: str) -> list[str]:
        """See the package."""
        return groupfiles.children(self._root + path)

    def freeze(self, path: str) -> None:
        """See the package."""
        groupfiles.write(f"{self._root}{path}/cgroup.freeze", "1")
        if not groupfiles.wait_until(lambda: self._event(path, "frozen"), 1.0):
            groupfiles.write(f"{self._root}{path}/cgroup.freeze", "0")
            raise SyscallError("freeze", path, errno.ETIMEDOUT)

    def thaw(self, path: str) -> None:
        """See the package."""
        groupfiles.write(f"{self._root}{path}/cgroup.freeze", "0")

    def frozen(self, path: str) -> bool:
        """Frozen, or on the way to it."""
        return number(f"{self._root}{path}/cgroup.freeze") == 1

    def _event(self, path: str, name: str) -> bool:
        return keyed(f"{self._root}{path}/cgroup.events").get(name, 0) == 1

    def kill(self, path: str) -> None:
        """See the package. cgroup.kill (since Linux 5.14) reaches frozen processes and forks too."""
        directory = self._root + path

        def empty() -> bool:
            if not self._event(path, "populated"):
                return True
            try:
                groupfiles.write(f"{directory}/cgroup.kill", "1")
            except SyscallError as error:
                if error.errno != errno.ENOENT:
                    raise
                groupfiles.signal_all(directory)
            return False

        if not groupfiles.wait_until(empty, 5.0):
            raise SyscallError("kill", f"the processes of {path}", errno.ETIMEDOUT)

    def remove(self, path: str) -> None:
        """See the package."""
        groupfiles.remove_directories(self._root + path)

    def remove_made_parents(self, path: str) -> None:
        """See the package."""
        groupfiles.remove_made(self._root, path.rpartition("/")[0])

    def remove_empty_parents(self, path: str) -> None:
        """See the package."""
        groupfiles.remove_empty(self._root, path.rpartition("/")[0])


def _block(directory: str) -> tuple[int, int]:
    """Sums of io.stat's "8:0 rbytes=1 wbytes=2 ..." lines."""
    try:
        text = groupfiles.read(f"{directory}/io.stat")
    except SyscallError:
        return 0, 0
    totals = {"rbytes": 0, "wbytes": 0}
    for word in text.split():
        key, _separator, value = word.partition("=")
        if key in totals:
            totals[key] += int(value)
    return totals["rbytes"], totals["wbytes"]
