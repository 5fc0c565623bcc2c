"""info: what this engine has and what this machine lacks."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runtime import cgroups
from runtime.containers.reconcile import repair
from runtime.context import Context
from runtime.kernel import apparmor
from runtime.model.container import ContainerStatus

__all__ = ["info"]


def info(ctx: Context) -> dict[str, Any]:
    """docker's document; "Warnings" names missing kernel features."""
    repair(ctx)
    counts: dict[str, int] = dict(
        ctx.db.rows("SELECT status, count(*) FROM container WHERE internal = 0 GROUP BY status")
    )
    images = ctx.db.row("SELECT count(*) FROM image")
    backend = cgroups.detect()
    controllers = backend.controllers()
    running = counts.get(ContainerStatus.RUNNING.value, 0) + counts.get(ContainerStatus.RESTARTING.value, 0)
    release = _os_release()
    return {
        "ID": ctx.root_id,
        "Containers": sum(counts.values()),
        "ContainersRunning": running,
        "ContainersPaused": counts.get(ContainerStatus.PAUSED.value, 0),
        "ContainersStopped": sum(counts.values()) - running - counts.get(ContainerStatus.PAUSED.value, 0),
        "Images": images[0] if images else 0,
        "Driver": "overlay2",
        "DriverStatus": [["Backing Filesystem", _disk_format(ctx)]],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "null"],
            "Authorization": None,
            "Log": ["json-file", "local", "none"],
        },
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": str(backend.version),
        "CgroupParent": ctx.cgroup_parent,
        "MemoryLimit": "memory" in controllers,
        "CpuCfsQuota": "cpu" in controllers,
        "CpuCfsPeriod": "cpu" in controllers,
        "CPUShares": "cpu" in controllers,
        "CPUSet": "cpuset" in controllers,
        "PidsLimit": "pids" in controllers,
        "IPv4Forwarding": _setting("net/ipv4/ip_forward") == "1",
        "SystemTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "KernelVersion": platform.release(),
        "OperatingSystem": release.get("PRETTY_NAME", "Linux"),
        "OSVersion": release.get("VERSION_ID", ""),
        "OSType": "linux",
        "Architecture": platform.machine(),
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "DockerRootDir": str(ctx.paths.state),
        "RunDir": str(ctx.paths.run),
        "Name": os.uname().nodename,
        "Labels": list(ctx.config.labels),
        "SecurityOptions": [
            *(("name=apparmor",) if apparmor.in_kernel() else ()),
            "name=seccomp,profile=builtin",
            "name=cgroupns",
            *(("name=userns",) if ctx.config.userns_remap else ()),
        ],
        "RegistryConfig": {
            "IndexConfigs": {
                "docker.io": {
                    "Name": "docker.io",
                    "Mirrors": list(ctx.config.registry_mirrors),
                    "Secure": True,
                    "Official": True,
                }
            },
            "Mirrors": list(ctx.config.registry_mirrors),
            "InsecureRegistries": list(ctx.config.insecure_registries),
        },
        "Warnings": [*_warnings(controllers), *_firewall_warnings()],
    }


def _disk_format(ctx: Context) -> str:
    """Of the file system that our root is on, from mountinfo (proc(5)); docker calls ext4 extfs."""
    device = ctx.paths.state.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if words[2] == number:
            kind = words[words.index("-") + 1]
            return "extfs" if kind.startswith("ext") else kind
    return "unknown"


def _firewall_warnings() -> list[str]:
    """Somebody else's firewall that forwards nothing by default: the verdict of every table counts."""
    from runtime.network import nftables

    try:
        with nftables.open_nftables() as netlink:
            chains = nftables.forwarding_dropped(netlink)
    except OSError:
        return []  # without the privilege, or without nf_tables, there is nothing to be seen
    return [
        f"WARNING: the firewall chain '{chain}' drops forwarded traffic: containers may reach nobody outside"
        for chain in chains
    ]


def _setting(name: str) -> str:
    try:
        return Path(f"/proc/sys/{name}").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _os_release() -> dict[str, str]:
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key: value.strip('"') for key, _, value in pairs}


def _warnings(controllers: set[str]) -> list[str]:
    warnings = [
        f"WARNING: no {name} cgroup controller: {what} cannot be limited"
        for name, what in (
            ("cpu", "processor time"),
            ("memory", "memory"),
            ("pids", "the number of processes"),
        )
        if name not in controllers
    ]
    try:
        filesystems = Path("/proc/filesystems").read_text(encoding="utf-8")
    except OSError:
        filesystems = "overlay"
    if "overlay" not in filesystems:
        warnings.append("WARNING: no overlay file system: containers cannot be started")
    return warnings
