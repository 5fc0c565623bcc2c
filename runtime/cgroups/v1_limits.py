"""The OCI's ``linux.resources`` in version 1's files."""

from __future__ import annotations

import errno

from runtime.cgroups import groupfiles
from runtime.cgroups.resources import integer, section, throttles, weights
from runtime.kernel.syscalls import SyscallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["apply"]

_THROTTLES = (
    ("throttleReadBpsDevice", "blkio.throttle.read_bps_device"),
    ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device"),
    ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device"),
    ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device"),
)


def apply(directory: Callable[[str, str], str], path: str, resources: Mapping[str, object]) -> list[str]:
    """Write what is asked for; ``directory(controller, path)`` is "" without the controller.

    Returns what this machine cannot do, in words. Raises SyscallError for a value that the kernel refuses.
    """
    warnings: list[str] = []

    def group(controller: str, wanted: Mapping[str, object], what: str) -> str:
        found = directory(controller, path)
        if wanted and not found:
            warnings.append(f"{what}: no {controller} cgroup controller")
        return found if wanted else ""

    cpu = section(resources, "cpu")
    quotas = {key: value for key, value in cpu.items() if key in ("shares", "quota", "period")}
    if where := group("cpu", quotas, "cpu limit"):
        _cpu(where, cpu)
    sets = {key: value for key, value in cpu.items() if key in ("cpus", "mems") and value}
    if where := group("cpuset", sets, "cpuset"):
        for key, value in sets.items():
            groupfiles.write(f"{where}/cpuset.{key}", str(value))
    memory = section(resources, "memory")
    if where := group("memory", memory, "memory limit"):
        _memory(where, memory, warnings)
    pids = section(resources, "pids")
    if where := group("pids", pids, "pids limit"):
        limit = integer(pids, "limit") or 0
        groupfiles.write(f"{where}/pids.max", str(limit) if limit > 0 else "max")
    block = section(resources, "blockIO")
    if where := group("blkio", block, "block I/O limit"):
        _block(where, block, warnings)
    return warnings


def _cpu(where: str, cpu: Mapping[str, object]) -> None:
    shares, quota, period = integer(cpu, "shares"), integer(cpu, "quota"), integer(cpu, "period")
    if shares:
        groupfiles.write(f"{where}/cpu.shares", str(shares))
    if quota is not None and period:
        # A new period is checked against the old quota; without a quota any period is fine.
        groupfiles.write(f"{where}/cpu.cfs_quota_us", "-1")
    if period:
        groupfiles.write(f"{where}/cpu.cfs_period_us", str(period))
    if quota is not None:
        groupfiles.write(f"{where}/cpu.cfs_quota_us", str(quota) if quota > 0 else "-1")


def _memory(where: str, memory: Mapping[str, object], warnings: list[str]) -> None:
    limit, swap = integer(memory, "limit"), integer(memory, "swap")
    if limit is not None:
        # Memory and swap together: twice the memory unless said otherwise, as docker does.
        together = swap if swap is not None else (limit * 2 if limit > 0 else -1)
        _memory_and_swap(where, limit, together, warnings)
    elif swap is not None:
        _swap(where, swap, warnings)
    reservation = integer(memory, "reservation")
    if reservation is not None:
        groupfiles.write(f"{where}/memory.soft_limit_in_bytes", str(reservation))
    swappiness = integer(memory, "swappiness")
    if swappiness is not None:
        groupfiles.write(f"{where}/memory.swappiness", str(swappiness))
    if memory.get("disableOOMKiller") is not None:
        groupfiles.write(f"{where}/memory.oom_control", "1" if memory["disableOOMKiller"] else "0")


def _memory_and_swap(where: str, limit: int, together: int, warnings: list[str]) -> None:
    """The kernel keeps memory <= memory + swap at every moment, so growing and shrinking differ in order."""
    try:
        groupfiles.write(f"{where}/memory.limit_in_bytes", str(limit))
    except SyscallError as error:
        if error.errno != errno.EINVAL:
            raise
        _swap(where, together, warnings)
        groupfiles.write(f"{where}/memory.limit_in_bytes", str(limit))
        return
    _swap(where, together, warnings)


def _swap(where: str, together: int, warnings: list[str]) -> None:
    try:
        groupfiles.write(f"{where}/memory.memsw.limit_in_bytes", str(together))
    except SyscallError as error:
        if error.errno != errno.ENOENT:
            raise
        warnings.append("swap limit: the kernel does not count swap")


def _block(where: str, block: Mapping[str, object], warnings: list[str]) -> None:
    weight = integer(block, "weight")
    if weight:
        for name in ("blkio.bfq.weight", "blkio.weight"):
            try:
                groupfiles.write(f"{where}/{name}", str(weight))
                break
            except SyscallError as error:
                if error.errno != errno.ENOENT:
                    raise
        else:
            warnings.append("block I/O weight: the kernel has no I/O scheduler for it")
    for device, share in weights(block):
        for name in ("blkio.bfq.weight_device", "blkio.weight_device"):
            try:
                groupfiles.write(f"{where}/{name}", f"{device} {share}")
                break
            except SyscallError as error:
                if error.errno not in (errno.ENOENT, errno.EOPNOTSUPP):
                    raise
        else:
            warnings.append("block I/O weight of a device: the kernel has no I/O scheduler for it")
    for key, name in _THROTTLES:
        for device, rate in throttles(block, key):
            groupfiles.write(f"{where}/{name}", f"{device} {rate}")
