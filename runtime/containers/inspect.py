"""inspect: docker's document for a container (API 1.43, ContainerJSON)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from runtime.containers import apparmor
from runtime.containers.inspect_host_config import bindings, host_config
from runtime.containers.list import get_container
from runtime.context import Context
from runtime.errors import NotFound
from runtime.model.container import (
    Container,
    ContainerConfig,
    ContainerStatus,
    Endpoint,
    Mount,
    MountType,
    NetworkAttachment,
)

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
        "AppArmorProfile": apparmor.profile_of(config),
        "ExecIDs": None,
        "HostConfig": host_config(container),
        "GraphDriver": {"Name": "overlay2", "Data": _graph(ctx, container)},
        "Mounts": [_mount(ctx, mount) for mount in config.mounts],
        "Config": _config(container),
        "NetworkSettings": _network(ctx, container),
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
    if mount.type is MountType.IMAGE:
        document["Name"] = mount.image_id
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
        "OnBuild": None,
        "StopSignal": config.stop_signal,
    }
    if config.stop_timeout != ContainerConfig(image="").stop_timeout:
        document["StopTimeout"] = config.stop_timeout
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


def _network(ctx: Context, container: Container) -> dict[str, Any]:
    networks: dict[str, dict[str, Any]] = {}
    present = {endpoint.network_name: endpoint for endpoint in container.endpoints}
    for attachment in container.config.networks:
        networks[attachment.network] = _endpoint(
            present.get(attachment.network) or _for_later(ctx, attachment), attachment
        )
    mode = container.config.network_mode
    if mode in ("none", "host"):
        from runtime.network.list import get_network

        nowhere = Endpoint(get_network(ctx, mode).id, mode, "", 0, "", "")
        networks[mode] = _endpoint(nowhere, NetworkAttachment(mode))
    first = next((item for item in container.endpoints if item.network_name == "bridge"), None)
    return {
        "Bridge": "",
        "SandboxID": container.id if container.state.pid else "",
        "SandboxKey": f"/proc/{container.state.pid}/ns/net" if container.state.pid else "",
        "Ports": bindings(container.ports),
        "EndpointID": first.host_interface if first else "",
        "Gateway": first.gateway if first else "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": first.ipv4_address if first else "",
        "IPPrefixLen": first.prefix_length if first else 0,
        "IPv6Gateway": "",
        "MacAddress": first.mac_address if first else "",
        "Networks": networks,
    }


def _for_later(ctx: Context, attachment: NetworkAttachment) -> Endpoint:
    """The place on a network of a container that does not run."""
    from runtime.network.list import get_network

    try:
        network_id = get_network(ctx, attachment.network).id
    except NotFound:
        network_id = ""
    return Endpoint(network_id, attachment.network, "", 0, "", "", aliases=attachment.aliases)


def _endpoint(endpoint: Endpoint, attachment: NetworkAttachment) -> dict[str, Any]:
    asked = {"IPv4Address": attachment.ipv4_address} if attachment.ipv4_address else None
    return {
        "IPAMConfig": asked,
        "Links": list(attachment.links) or None,
        "Aliases": list(endpoint.aliases) or None,
        "MacAddress": endpoint.mac_address,
        "DriverOpts": None,
        "GwPriority": attachment.gw_priority,
        "NetworkID": endpoint.network_id,
        "EndpointID": endpoint.host_interface,
        "Gateway": endpoint.gateway,
        "IPAddress": endpoint.ipv4_address,
        "IPPrefixLen": endpoint.prefix_length,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": list(endpoint.aliases) or None,
    }
