"""docker's HostConfig: what a container may use of the machine, in the structure of its API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runtime.containers import spec
from runtime.model import devices
from runtime.model.container import Container, Mount, MountType, PortBinding
from runtime.model.mounts import CREATE

__all__ = ["bindings", "host_config"]


def bindings(ports: tuple[PortBinding, ...]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        entry = {"HostIp": port.host_ip, "HostPort": str(port.host_port) if port.host_port else ""}
        found.setdefault(f"{port.container_port}/{port.protocol}", []).append(entry)
    return found


def host_config(container: Container) -> dict[str, Any]:
    config, resources = container.config, container.config.resources
    return {
        "Binds": [_bind(mount) for mount in config.mounts if _is_bind(mount)] or None,
        "ContainerIDFile": "",
        "LogConfig": {
            "Type": config.log_options.get("driver", "json-file"),
            "Config": {key: value for key, value in config.log_options.items() if key != "driver"},
        },
        "NetworkMode": config.network_mode or "none",
        "PortBindings": bindings(config.ports),
        "RestartPolicy": {"Name": config.restart.name.value, "MaximumRetryCount": config.restart.max_retries},
        "AutoRemove": config.auto_remove,
        "VolumeDriver": "",
        "CapAdd": list(config.cap_add) or None,
        "CapDrop": list(config.cap_drop) or None,
        "Dns": list(config.dns),
        "DnsOptions": list(config.dns_options),
        "DnsSearch": list(config.dns_search),
        "ExtraHosts": list(config.extra_hosts) or None,
        "GroupAdd": list(config.group_add) or None,
        "IpcMode": config.ipc_mode or "private",
        "OomScoreAdj": config.oom_score_adj,
        "PidMode": config.pid_mode,
        "Privileged": config.privileged,
        "ReadonlyRootfs": config.read_only,
        "SecurityOpt": list(config.security_opt) or None,
        "UTSMode": config.uts_mode,
        "ShmSize": config.shm_size,
        "Sysctls": dict(config.sysctls),
        "Init": config.init,
        "CpuShares": resources.cpu_shares or 0,
        "Memory": resources.memory or 0,
        "NanoCpus": round((resources.cpus or 0) * 1_000_000_000),
        "CgroupParent": config.cgroup_parent,
        "BlkioWeight": resources.blkio_weight or 0,
        "CpuPeriod": resources.cpu_period or 0,
        "CpuQuota": resources.cpu_quota or 0,
        "CpusetCpus": resources.cpuset_cpus or "",
        "CpusetMems": resources.cpuset_mems or "",
        "BlkioWeightDevice": _throttles(resources.blkio_weight_device, devices.parse_weight, "Weight"),
        "BlkioDeviceReadBps": _throttles(resources.device_read_bps, devices.parse_rate, "Rate"),
        "BlkioDeviceWriteBps": _throttles(resources.device_write_bps, devices.parse_rate, "Rate"),
        "BlkioDeviceReadIOps": _throttles(resources.device_read_iops, devices.parse_iops, "Rate"),
        "BlkioDeviceWriteIOps": _throttles(resources.device_write_iops, devices.parse_iops, "Rate"),
        "Annotations": dict(config.annotations) or None,
        "CgroupnsMode": config.cgroupns_mode or "private",
        "DeviceCgroupRules": list(config.device_cgroup_rules) or None,
        "Links": list(config.links) or None,
        "MemorySwappiness": resources.memory_swappiness,
        "VolumesFrom": list(config.volumes_from) or None,
        "Devices": [_device(text) for text in config.devices],
        "DeviceRequests": None,
        "MemoryReservation": resources.memory_reservation or 0,
        "MemorySwap": resources.memory_swap
        if resources.memory_swap is not None
        else (resources.memory or 0) * 2,
        "OomKillDisable": resources.oom_kill_disable,
        "PidsLimit": resources.pids_limit,
        "Ulimits": [_ulimit(text) for text in config.ulimits],
        "Tmpfs": {mount.target: _tmpfs(mount) for mount in config.mounts if mount.type is MountType.TMPFS},
        "Mounts": [_mount(mount) for mount in config.mounts if not _is_bind(mount)] or None,
        "PublishAllPorts": False,
        "UsernsMode": config.userns_mode,
        "Runtime": "tuidock",
        "Isolation": "",
        "ConsoleSize": [0, 0],
        "MaskedPaths": spec.masked_paths(config),
        "ReadonlyPaths": spec.readonly_paths(config),
    }


def _is_bind(mount: Mount) -> bool:
    """Given with ``-v``, as far as that can be known: anonymous volumes and tmpfs have no source."""
    anonymous = mount.type is MountType.VOLUME and len(mount.source) == 64
    return mount.type not in (MountType.TMPFS, MountType.IMAGE) and not anonymous


def _bind(mount: Mount) -> str:
    options = [option for option in mount.options if option != CREATE]
    if mount.read_only:
        options.insert(0, "ro")
    if mount.type is MountType.BIND and mount.propagation != "rprivate":
        options.append(mount.propagation)
    if mount.no_copy:
        options.append("nocopy")
    text = f"{mount.source}:{mount.target}"
    return f"{text}:{','.join(options)}" if options else text


def _tmpfs(mount: Mount) -> str:
    options = list(mount.options)
    if mount.tmpfs_size is not None:
        options.append(f"size={mount.tmpfs_size}")
    if mount.tmpfs_mode is not None:
        options.append(f"mode={mount.tmpfs_mode:o}")
    return ",".join(["ro", *options] if mount.read_only else options)


def _mount(mount: Mount) -> dict[str, Any]:
    document: dict[str, Any] = {"Type": mount.type.value, "Target": mount.target}
    if mount.read_only:
        document["ReadOnly"] = True
    if mount.type is MountType.IMAGE:
        document["Source"] = mount.source
        document["ImageOptions"] = {"Subpath": mount.subpath} if mount.subpath else {}
    return document


def _device(text: str) -> dict[str, str]:
    source, target, access = devices.parse_device(text)
    return {"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": access}


def _throttles(
    texts: tuple[str, ...], parser: Callable[[str, str], tuple[str, int]], value: str
) -> list[dict[str, Any]] | None:
    pairs = [parser("", text) for text in texts]
    return [{"Path": path, value: number} for path, number in pairs] or None


def _ulimit(text: str) -> dict[str, Any]:
    name, _, values = text.partition("=")
    soft, _, hard = values.partition(":")
    return {"Name": name, "Hard": int(hard or soft), "Soft": int(soft)}
