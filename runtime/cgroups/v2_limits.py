"""The OCI's ``linux.resources`` in version 2's files, converted as runc does."""

from __future__ import annotations

import errno

from runtime.cgroups import groupfiles
from runtime.cgroups.resources import integer, section, throttles, weights
from runtime.kernel.syscalls import SyscallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["apply", "cpu_weight", "io_weight"]

_THROTTLES = (
    ("throttleReadBpsDevice", "rbps"),
    ("throttleWriteBpsDevice", "wbps"),
    ("throttleReadIOPSDevice", "riops"),
    ("throttleWriteIOPSDevice", "wiops"),
)


def cpu_weight(shares: int) -> int:
    """v1's 2 to 262144 on v2's 1 to 10000."""
    return 1 + (max(2, min(shares, 262144)) - 2) * 9999 // 262142


def io_weight(weight: int) -> int:
    """v1's 10 to 1000 on v2's 1 to 10000."""
    return 1 + (max(10, min(weight, 1000)) - 10) * 9999 // 990


def apply(directory: str, resources: Mapping[str, object]) -> list[str]:
    """Write what is asked for. Returns what this machine cannot do, in words. Raises SyscallError for a value
    that the kernel refuses."""
    warnings: list[str] = []

    def put(name: str, value: str, what: str) -> None:
        try:
            groupfiles.write(f"{directory}/{name}", value)
        except SyscallError as error:
            if error.errno == errno.EOPNOTSUPP:
                warnings.append(f"{what}: this machine's devices or schedulers have none")
                return
            # The file is missing when the controller is not handed down to this group.
            if error.errno not in (errno.ENOENT, errno.EACCES):
                raise
            controller = name.partition(".")[0]
            warnings.append(f"{what}: no {controller} cgroup controller here")

    cpu = section(resources, "cpu")
    shares, quota, period = integer(cpu, "shares"), integer(cpu, "quota"), integer(cpu, "period")
    if shares:
        put("cpu.weight", str(cpu_weight(shares)), "cpu shares")
    if quota is not None or period:
        amount = str(quota) if quota is not None and quota > 0 else "max"
        put("cpu.max", f"{amount} {period or 100_000}", "cpu limit")
    for key in ("cpus", "mems"):
        if cpu.get(key):
            put(f"cpuset.{key}", str(cpu[key]), "cpuset")
    _memory(section(resources, "memory"), put, warnings)
    pids = section(resources, "pids")
    if pids:
        limit = integer(pids, "limit") or 0
        put("pids.max", str(limit) if limit > 0 else "max", "pids limit")
    _block(directory, section(resources, "blockIO"), put)
    return warnings


if TYPE_CHECKING:
    from collections.abc import Callable

    Put = Callable[[str, str, str], None]


def _memory(memory: Mapping[str, object], put: Put, warnings: list[str]) -> None:
    limit, swap = integer(memory, "limit"), integer(memory, "swap")
    if limit is not None:
        put("memory.max", str(limit) if limit > 0 else "max", "memory limit")
    if swap is not None or limit is not None:
        # The OCI counts memory and swap together, v2 counts swap alone.
        if swap == -1 or limit == -1:
            alone = "max"
        elif swap is None:
            alone = str(limit)
        else:
            alone = str(max(0, swap - (limit or 0)))
        put("memory.swap.max", alone, "swap limit")
    reservation = integer(memory, "reservation")
    if reservation is not None:
        put("memory.low", str(reservation), "memory reservation")
    if memory.get("disableOOMKiller"):
        warnings.append("oom-kill-disable: cgroup v2 does not have it")
    if memory.get("swappiness") is not None:
        warnings.append("memory swappiness: cgroup v2 does not have it")


def _block(directory: str, block: Mapping[str, object], put: Put) -> None:
    weight = integer(block, "weight")
    if weight:
        _weigh(directory, "default", weight, put, "block I/O weight")
    for device, share in weights(block):
        _weigh(directory, device, share, put, "block I/O weight of a device")
    for key, name in _THROTTLES:
        for device, rate in throttles(block, key):
            put("io.max", f"{device} {name}={rate}", "block I/O limit")


def _weigh(directory: str, device: str, weight: int, put: Put, what: str) -> None:
    """With the BFQ scheduler, else by io.cost, whose scale is another (kernel: admin-guide/cgroup-v2)."""
    try:
        groupfiles.write(f"{directory}/io.bfq.weight", f"{device} {weight}")
    except SyscallError:
        put("io.weight", f"{device} {io_weight(weight)}", what)
