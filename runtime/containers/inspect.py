"""inspect: docker's document for a container (API 1.43, ContainerJSON)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from runtime.containers.list import get_container
from runtime.context import Context
from runtime.errors import NotFound
from runtime.model.container import Container, ContainerStatus, Mount, MountType, PortBinding

__all__ = ["inspect", "rfc3339"]


def rfc3339(nanoseconds: int) -> str:
    """docker's form, with nanoseconds; its zero time for 0."""
    if not nanoseconds:
        return "0001-01-01T00:00:00Z"
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:09d}Z"


def inspect(ctx: Context, reference: str) -> dict[str, Any]:
    """Raises NotFound, InvalidInput."""
    container = get_container(ctx, reference)
    config = container.config
    directory = ctx.paths.container(container.id)
    argv = container.argv
    return {
        "Id": container.id,
        "Created": rfc3339(container.created_at),
        "Path": argv[0] if argv else "",
        "Args": list(argv[1:]),
        "State": _state(container),
        "Image": container.image_id,
        "ResolvConfPath": str(directory / "resolv.conf"),
        "HostnamePath": str(directory / "hostname"),
        "HostsPath": str(directory / "hosts"),
        "LogPath": str(directory / "log"),
        "Name": f"/{container.name}",
        "RestartCount": container.state.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": _host_config(container),
        "GraphDriver": {"Name": "overlay2", "Data": _graph(ctx, container)},
        "Mounts": [_mount(ctx, mount) for mount in config.mounts],
        "Config": _config(container),
        "NetworkSettings": _network(container),
        "Warnings": list(container.state.warnings),
    }


def _state(container: Container) -> dict[str, Any]:
    state = container.state
    document: dict[str, Any] = {
        "Status": state.status.value,
        "Running": state.status.alive,
        "Paused": state.status is ContainerStatus.PAUSED,
        "Restarting": state.status is ContainerStatus.RESTARTING,
        "OOMKilled": state.oom_killed,
        "Dead": state.status is ContainerStatus.DEAD,
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": rfc3339(state.started_at),
        "FinishedAt": rfc3339(state.finished_at),
    }
    if state.health is not None:
        document["Health"] = {
            "Status": state.health.status,
            "FailingStreak": state.health.failing_streak,
            "Log": [{**entry, "ExitCode": int(entry.get("ExitCode", "0"))} for entry in state.health.log],
        }
    return document


def _bindings(ports: tuple[PortBinding, ...]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        entry = {"HostIp": port.host_ip, "HostPort": str(port.host_port) if port.host_port else ""}
        found.setdefault(f"{port.container_port}/{port.protocol}", []).append(entry)
    return found


def _host_config(container: Container) -> dict[str, Any]:
    from runtime.containers import spec

    config, resources = container.config, container.config.resources
    return {
        "Binds": [
            f"{mount.source}:{mount.target}{':ro' if mount.read_only else ''}"
            for mount in config.mounts
            if mount.type is not MountType.TMPFS
        ],
        "LogConfig": {
            "Type": config.log_options.get("driver", "json-file"),
            "Config": {key: value for key, value in config.log_options.items() if key != "driver"},
        },
        "NetworkMode": config.network_mode or "bridge",
        "PortBindings": _bindings(config.ports),
        "RestartPolicy": {"Name": config.restart.name.value, "MaximumRetryCount": config.restart.max_retries},
        "AutoRemove": config.auto_remove,
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
        "MaskedPaths": spec.masked_paths(config),
        "ReadonlyPaths": spec.readonly_paths(config),
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
        "BlkioWeightDevice": list(resources.blkio_weight_device) or None,
        "BlkioDeviceReadBps": list(resources.device_read_bps) or None,
        "BlkioDeviceWriteBps": list(resources.device_write_bps) or None,
        "BlkioDeviceReadIOps": list(resources.device_read_iops) or None,
        "BlkioDeviceWriteIOps": list(resources.device_write_iops) or None,
        "Annotations": dict(config.annotations) or None,
        "CgroupnsMode": config.cgroupns_mode or "private",
        "DeviceCgroupRules": list(config.device_cgroup_rules) or None,
        "Links": list(config.links) or None,
        "MemorySwappiness": resources.memory_swappiness,
        "VolumesFrom": list(config.volumes_from) or None,
        "Devices": list(config.devices),
        "MemoryReservation": resources.memory_reservation or 0,
        "MemorySwap": resources.memory_swap
        if resources.memory_swap is not None
        else (resources.memory or 0) * 2,
        "OomKillDisable": resources.oom_kill_disable,
        "PidsLimit": resources.pids_limit,
        "Ulimits": list(config.ulimits),
    }


def _graph(ctx: Context, container: Container) -> dict[str, str]:
    from runtime.images.layer_index import layer_path

    lower = []
    for diff_id in reversed(container.layers):
        try:
            lower.append(str(layer_path(ctx, diff_id)))
        except NotFound:
            lower.append(f"missing:{diff_id}")
    directory = ctx.paths.container(container.id)
    return {
        "LowerDir": ":".join(lower),
        "MergedDir": str(directory / "rootfs"),
        "UpperDir": str(directory / "upper"),
        "WorkDir": str(directory / "work"),
    }


def _mount(ctx: Context, mount: Mount) -> dict[str, Any]:
    document: dict[str, Any] = {"Type": mount.type.value}
    if mount.type is MountType.VOLUME:
        document["Name"] = mount.source
        document["Source"] = str(ctx.paths.volume(mount.source))
        document["Driver"] = "local"
    else:
        document["Source"] = mount.source
    document.update(
        {
            "Destination": mount.target,
            "Mode": "ro" if mount.read_only else "",
            "RW": not mount.read_only,
            "Propagation": mount.propagation if mount.type is MountType.BIND else "",
        }
    )
    return document


def _config(container: Container) -> dict[str, Any]:
    config = container.config
    exposed: dict[str, dict[str, str]] = {
        text if "/" in text else f"{text}/tcp": {} for text in config.exposed_ports
    }
    exposed.update({f"{port.container_port}/{port.protocol}": {} for port in config.ports})
    document: dict[str, Any] = {
        "Hostname": config.hostname,
        "Domainname": config.domainname,
        "User": config.user,
        "AttachStdin": config.stdin_once,
        "AttachStdout": config.stdin_once,
        "AttachStderr": config.stdin_once,
        "ExposedPorts": exposed,
        "Tty": config.tty,
        "OpenStdin": config.open_stdin,
        "StdinOnce": config.stdin_once,
        "Env": list(config.env),
        "Cmd": list(config.cmd) or None,
        "Image": config.image,
        "Volumes": {mount.target: {} for mount in config.mounts if mount.type is MountType.VOLUME} or None,
        "WorkingDir": config.working_dir,
        "Entrypoint": list(config.entrypoint) or None,
        "Labels": dict(config.labels),
        "StopSignal": config.stop_signal,
        "StopTimeout": config.stop_timeout,
    }
    if config.healthcheck is not None:
        check = config.healthcheck
        document["Healthcheck"] = {
            "Test": list(check.test),
            "Interval": check.interval,
            "Timeout": check.timeout,
            "StartPeriod": check.start_period,
            "StartInterval": check.start_interval,
            "Retries": check.retries,
        }
    return document


def _network(container: Container) -> dict[str, Any]:
    networks = {
        endpoint.network_name: {
            "Aliases": list(endpoint.aliases) or None,
            "NetworkID": endpoint.network_id,
            "EndpointID": endpoint.host_interface,
            "Gateway": endpoint.gateway,
            "IPAddress": endpoint.ipv4_address,
            "IPPrefixLen": endpoint.prefix_length,
            "IPv6Gateway": "",
            "GlobalIPv6Address": "",
            "GlobalIPv6PrefixLen": 0,
            "MacAddress": endpoint.mac_address,
        }
        for endpoint in container.endpoints
    }
    first = next((item for item in container.endpoints if item.network_name == "bridge"), None)
    return {
        "Bridge": "",
        "SandboxKey": f"/proc/{container.state.pid}/ns/net" if container.state.pid else "",
        "Ports": _bindings(container.ports),
        "Gateway": first.gateway if first else "",
        "IPAddress": first.ipv4_address if first else "",
        "IPPrefixLen": first.prefix_length if first else 0,
        "MacAddress": first.mac_address if first else "",
        "Networks": networks,
    }
