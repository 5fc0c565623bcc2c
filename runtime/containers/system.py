"""info: what this engine has and what this machine lacks."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from runtime import cgroups
from runtime.context import Context
from runtime.model.container import ContainerStatus

__all__ = ["info"]


def info(ctx: Context) -> dict[str, Any]:
    """docker's document; "Warnings" names missing kernel features."""
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
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": str(backend.version),
        "CgroupParent": ctx.cgroup_parent,
        "MemoryLimit": "memory" in controllers,
        "CpuCfsQuota": "cpu" in controllers,
        "PidsLimit": "pids" in controllers,
        "KernelVersion": platform.release(),
        "OperatingSystem": release.get("PRETTY_NAME", "Linux"),
        "OSType": "linux",
        "Architecture": platform.machine(),
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "DockerRootDir": str(ctx.paths.state),
        "RunDir": str(ctx.paths.run),
        "Name": os.uname().nodename,
        "Labels": list(ctx.config.labels),
        "SecurityOptions": [
            "name=seccomp,profile=builtin",
            "name=cgroupns",
            *(("name=userns",) if ctx.config.userns_remap else ()),
        ],
        "RegistryConfig": {
            "Mirrors": list(ctx.config.registry_mirrors),
            "InsecureRegistries": list(ctx.config.insecure_registries),
        },
        "Warnings": _warnings(controllers),
    }


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
