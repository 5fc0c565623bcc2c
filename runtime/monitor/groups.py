"""Making a container's control groups, and the one of the monitors."""

from __future__ import annotations

from runtime import cgroups
from runtime.monitor import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.monitor.shapes import Plan

__all__ = ["make"]


def make(plan: Plan) -> tuple[list[str], list[int]]:
    """(warnings, the monitor's ways into its own group). The container must outlive whatever limits or ends
    the caller, and so must its monitor. Room for the exit file is made first."""
    record.reserve_exit(plan["dir"])
    backend = cgroups.detect()
    backend.create(plan["monitor_cgroup"], {}, None)
    entrances = backend.entrances(plan["monitor_cgroup"])
    return backend.create(plan["cgroup"], plan["resources"], plan["device_rules"]), entrances
