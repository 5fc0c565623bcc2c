"""top: the container's processes, read from the host's /proc (never by a program out of the container)."""

from __future__ import annotations

import os
import time
from pathlib import Path

from runtime import cgroups
from runtime.containers.start import check_running
from runtime.context import Context
from runtime.model.container import ContainerStatus
from runtime.store import containers as store

__all__ = ["top"]


def top(ctx: Context, reference: str) -> list[dict[str, str]]:
    """UID PID PPID C STIME TTY TIME CMD of each, as ``ps -ef`` shows them; pids are the host's."""
    container = store.find(ctx.db, reference)
    if container.state.status is not ContainerStatus.PAUSED:
        check_running(container)
    rows = []
    boot = _boot_time()
    for pid in sorted(cgroups.detect().pids(f"{ctx.cgroup_parent}/{container.id}")):
        row = _process(pid, boot)
        if row is not None:
            rows.append(row)
    return rows


def _boot_time() -> float:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0


def _process(pid: int, boot: float) -> dict[str, str] | None:
    base = Path(f"/proc/{pid}")
    try:
        owner = base.stat().st_uid
        stat = (base / "stat").read_bytes().decode("utf-8", "replace")
        command = (base / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return None
    name = stat[stat.index("(") + 1 : stat.rindex(")")]
    fields = stat[stat.rindex(")") + 2 :].split()
    ticks = os.sysconf("SC_CLK_TCK")
    used = (int(fields[11]) + int(fields[12])) / ticks
    began = boot + int(fields[19]) / ticks
    alive = max(time.time() - began, 0.01)
    tty = int(fields[4])
    device = f"pts/{(tty & 0xFF) | ((tty >> 12) & 0xFFF00)}" if os.major(tty) >= 136 else "?"
    return {
        "UID": _user_name(owner),
        "PID": str(pid),
        "PPID": fields[1],
        "C": str(int(100 * used / alive)),
        "STIME": time.strftime("%H:%M", time.localtime(began)),
        "TTY": device,
        "TIME": time.strftime("%H:%M:%S", time.gmtime(used)),
        "CMD": _printable(command or f"[{name}]"),
    }


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
