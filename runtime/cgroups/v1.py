"""Control groups version 1: a hierarchy per controller (Documentation/admin-guide/cgroup-v1/).

Also for hybrid machines, whose v2 hierarchy has no controllers of use. A container gets a group in every v1
hierarchy that is mounted, named ones too, so that its cgroup namespace shows nothing of the host.
"""

from __future__ import annotations

import errno

from runtime.cgroups import groupfiles, v1_limits
from runtime.cgroups.groupfiles import keyed, number
from runtime.kernel.syscalls import SyscallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.kernel.mountinfo import MountEntry

__all__ = ["LegacyBackend"]

_KNOWN = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "net_cls", "net_prio",
          "hugetlb", "perf_event", "rdma", "misc")  # fmt: skip
_NO_LIMIT = 1 << 60


class LegacyBackend:
    """Version 1."""

    version = 1

    def __init__(self, hierarchies: Sequence[MountEntry]) -> None:
        self._roots: dict[str, str] = {}
        mounted: dict[str, str] = {}
        for entry in hierarchies:
            # The same hierarchy may be mounted more than once; one is enough.
            mounted.setdefault(entry.super_options, entry.mount_point)
        for options, mount_point in mounted.items():
            for name in options.split(","):
                if name in _KNOWN:
                    self._roots[name] = mount_point
        self._hierarchies = tuple(dict.fromkeys(mounted.values()))

    def controllers(self) -> set[str]:
        """Those of this machine."""
        return set(self._roots)

    def create(
        self,
        path: str,
        resources: Mapping[str, object],
        devices: Sequence[Mapping[str, object]] | None,
    ) -> list[str]:
        """See the package."""
        for root in self._hierarchies:
            made = groupfiles.make_directories(root, path)
            if root == self._roots.get("cpuset"):
                self._inherit_cpuset(root, path)
            if made and root == self._roots.get("memory"):
                # Counted together with the children's before Linux 5.16; EBUSY or EINVAL where that is fixed.
                _try_write(f"{root}{path}/memory.use_hierarchy", "1")
        warnings = v1_limits.apply(self._directory, path, resources)
        if devices is not None:
            if "devices" in self._roots:
                self._allow_devices(self._directory("devices", path), devices)
            elif not _allows_everything(devices):
                # Without it the container could use any device node that it makes.
                reason = f"{path} (no devices cgroup controller is mounted)"
                raise SyscallError("restrict devices of", reason, errno.ENODEV)
        return warnings

    def update(self, path: str, resources: Mapping[str, object]) -> list[str]:
        """See the package."""
        self._require(path)
        return v1_limits.apply(self._directory, path, resources)

    def _directory(self, controller: str, path: str) -> str:
        """Where the controller's files of a group are; "" when the machine does not have it."""
        root = self._roots.get(controller)
        return f"{root}{path}" if root else ""

    def _inherit_cpuset(self, root: str, path: str) -> None:
        """A new cpuset is empty and takes no process until it has processors and memory nodes."""
        parts = [part for part in path.split("/") if part]
        directory = root
        for part in parts:
            parent, directory = directory, f"{directory}/{part}"
            for name in ("cpuset.cpus", "cpuset.mems"):
                if not groupfiles.read(f"{directory}/{name}").strip():
                    groupfiles.write(f"{directory}/{name}", groupfiles.read(f"{parent}/{name}").strip())

    def _allow_devices(self, directory: str, rules: Sequence[Mapping[str, object]]) -> None:
        groupfiles.write(f"{directory}/devices.deny", "a")
        for rule in rules:
            kind = rule.get("type") or "a"
            name = "devices.allow" if rule.get("allow") else "devices.deny"
            if kind == "a":
                groupfiles.write(f"{directory}/{name}", "a")
                continue
            major, minor = (_device_number(rule.get(key)) for key in ("major", "minor"))
            groupfiles.write(f"{directory}/{name}", f"{kind} {major}:{minor} {rule.get('access') or 'rwm'}")

    def enter(self, path: str) -> None:
        """See the package. "0" to ``tasks`` moves the one thread and spares the wait for an RCU grace period
        that ``cgroup.procs`` costs in each hierarchy."""
        for root in self._hierarchies:
            groupfiles.write(f"{root}{path}/tasks", "0")

    def entrances(self, path: str) -> list[int]:
        """See the package."""
        return groupfiles.open_for_writing([f"{root}{path}/tasks" for root in self._hierarchies])

    def attach(self, path: str, pid: int) -> None:
        """See the package."""
        for root in self._hierarchies:
            groupfiles.write(f"{root}{path}/cgroup.procs", str(pid))

    def exists(self, path: str) -> bool:
        """In any hierarchy."""
        return any(groupfiles.exists(f"{root}{path}") for root in self._hierarchies)

    def _require(self, path: str) -> None:
        if not self.exists(path):
            raise SyscallError("open cgroup", path, errno.ENOENT)

    def stats(self, path: str) -> dict[str, int]:
        """See the package."""
        self._require(path)
        memory, pids = self._directory("memory", path), self._directory("pids", path)
        detail = keyed(f"{memory}/memory.stat")
        usage, limit = number(f"{memory}/memory.usage_in_bytes"), number(f"{memory}/memory.limit_in_bytes")
        block_read, block_write = self._block(path)
        throttling = keyed(f"{self._directory('cpu', path)}/cpu.stat")
        return {
            "cpu_usage": number(f"{self._directory('cpuacct', path)}/cpuacct.usage"),
            "cpu_throttled": throttling.get("throttled_time", 0),
            "memory_usage": max(0, usage - detail.get("total_inactive_file", 0)),
            "memory_limit": limit if limit < _NO_LIMIT else 0,
            "memory_cache": detail.get("total_cache", 0),
            "pids": number(f"{pids}/pids.current"),
            "pids_limit": number(f"{pids}/pids.max"),
            "block_read": block_read,
            "block_write": block_write,
            "oom_kills": self.oom_kills(path),
        }

    def _block(self, path: str) -> tuple[int, int]:
        directory = self._directory("blkio", path)
        for name in ("blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"):
            try:
                text = groupfiles.read(f"{directory}/{name}")
            except SyscallError:
                continue
            totals = {"Read": 0, "Write": 0}
            for line in text.splitlines():
                fields = line.split()
                if len(fields) == 3 and fields[1] in totals:
                    totals[fields[1]] += int(fields[2])
            return totals["Read"], totals["Write"]
        return 0, 0

    def oom_kills(self, path: str) -> int:
        """Processes that the group's own limit had killed since it was made; 0 for a missing group."""
        return keyed(f"{self._directory('memory', path)}/memory.oom_control").get("oom_kill", 0)

    def _any_directory(self, path: str) -> str:
        root = self._roots.get("freezer") or (self._hierarchies[0] if self._hierarchies else "/nonexistent")
        return f"{root}{path}"

    def pids(self, path: str) -> list[int]:
        """See the package."""
        return groupfiles.pids(self._any_directory(path))

    def children(self, path: str) -> list[str]:
        """See the package; of any hierarchy, since a crash may have left them unequal."""
        names: dict[str, None] = {}
        for root in self._hierarchies:
            names.update(dict.fromkeys(groupfiles.children(f"{root}{path}")))
        return list(names)

    def freeze(self, path: str) -> None:
        """See the package. Raises SyscallError; ENODEV without a freezer."""
        directory = self._directory("freezer", path)
        if not directory:
            raise SyscallError("freeze", f"{path}: no freezer cgroup controller", errno.ENODEV)

        def stopped() -> bool:
            # A process in the middle of a fork can hold the state at FREEZING; asking again completes it.
            groupfiles.write(f"{directory}/freezer.state", "FROZEN")
            return groupfiles.read(f"{directory}/freezer.state").strip() == "FROZEN"

        if not groupfiles.wait_until(stopped, 1.0):
            groupfiles.write(f"{directory}/freezer.state", "THAWED")
            raise SyscallError("freeze", path, errno.ETIMEDOUT)

    def thaw(self, path: str) -> None:
        """See the package."""
        directory = self._directory("freezer", path)
        if directory:
            groupfiles.write(f"{directory}/freezer.state", "THAWED")

    def frozen(self, path: str) -> bool:
        """Frozen, or on the way to it."""
        directory = self._directory("freezer", path)
        try:
            return bool(directory) and groupfiles.read(f"{directory}/freezer.state").strip() != "THAWED"
        except SyscallError:
            return False

    def kill(self, path: str) -> None:
        """See the package. Frozen while the signals are sent, so that a fork bomb cannot outrun them."""
        directory = self._any_directory(path)

        def empty() -> bool:
            if not groupfiles.pids(directory):
                return True
            freezer = self._directory("freezer", path)
            _try_write(f"{freezer}/freezer.state", "FROZEN")
            groupfiles.signal_all(directory)
            _try_write(f"{freezer}/freezer.state", "THAWED")
            return False

        if self.frozen(path) and not groupfiles.pids(directory):
            self.thaw(path)
        if not groupfiles.wait_until(empty, 5.0):
            raise SyscallError("kill", f"the processes of {path}", errno.ETIMEDOUT)

    def remove(self, path: str) -> None:
        """See the package."""
        for root in self._hierarchies:
            groupfiles.remove_directories(f"{root}{path}")

    def remove_made_parents(self, path: str) -> None:
        """See the package."""
        for root in self._hierarchies:
            groupfiles.remove_made(root, path.rpartition("/")[0])

    def remove_empty_parents(self, path: str) -> None:
        """See the package."""
        for root in self._hierarchies:
            groupfiles.remove_empty(root, path.rpartition("/")[0])


def _allows_everything(rules: Sequence[Mapping[str, object]]) -> bool:
    """As for a privileged container."""
    return all(rule.get("allow") and (rule.get("type") or "a") == "a" for rule in rules)


def _device_number(value: object) -> str:
    return "*" if value is None or value == -1 else str(value)


def _try_write(path: str, text: str) -> None:
    try:
        groupfiles.write(path, text)
    except SyscallError:
        return
