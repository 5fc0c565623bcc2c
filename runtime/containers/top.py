"""top: the container's processes, read from the host's /proc (never by a program out of the container)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from runtime import cgroups
from runtime.containers.cgroup_path import cgroup_path
from runtime.containers.start import check_running
from runtime.context import Context
from runtime.model.container import ContainerStatus
from runtime.store import containers as store

if TYPE_CHECKING:
    from psutil import Process

__all__ = ["top"]


def top(ctx: Context, reference: str) -> list[dict[str, str]]:
    """UID PID PPID C STIME TTY TIME CMD of each, as ``ps -ef`` shows them; pids are the host's."""
    import psutil

    container = store.find(ctx.db, reference)
    if container.state.status is not ContainerStatus.PAUSED:
        check_running(container)
    rows = []
    for pid in sorted(cgroups.detect().pids(cgroup_path(ctx, container.id, container.config))):
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                rows.append(_row(process))
        except psutil.NoSuchProcess:  # it ended meanwhile
            continue
    return rows


def _row(process: Process) -> dict[str, str]:
    began = process.create_time()
    times = process.cpu_times()
    used = times.user + times.system
    command = " ".join(process.cmdline()) or f"[{process.name()}]"
    terminal = process.terminal()
    return {
        "UID": process.username(),
        "PID": str(process.pid),
        "PPID": str(process.ppid()),
        "C": str(int(100 * used / max(time.time() - began, 0.01))),
        "STIME": time.strftime("%H:%M", time.localtime(began)),
        "TTY": terminal.removeprefix("/dev/") if terminal else "?",
        "TIME": time.strftime("%H:%M:%S", time.gmtime(used)),
        "CMD": "".join(char if char.isprintable() else "?" for char in command),
    }
