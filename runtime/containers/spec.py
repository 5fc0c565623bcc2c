"""A container's configuration as an OCI runtime-spec document: pure, no root, table-tested.

``config.json`` says what the container is; :mod:`runtime.containers.plan` turns it into what the monitor
carries out. Section names below are the specification's (config.md, config-linux.md).
"""

from __future__ import annotations

from typing import Any

from runtime.containers import defaults
from runtime.errors import InvalidInput
from runtime.model.container import ContainerConfig, Mount, MountType, Resources

__all__ = ["capability_names", "make_spec", "resources_document"]


def make_spec(
    config: ContainerConfig,
    *,
    container_id: str,
    rootfs: str,
    cgroups_path: str,
    mount_sources: dict[str, str],
    files: dict[str, str],
    joins: dict[str, str],
) -> dict[str, Any]:
    """The document. ``mount_sources`` maps a mount's target to its directory on the host; ``files`` maps
    /etc/hosts, /etc/hostname and /etc/resolv.conf to theirs; ``joins`` maps a namespace to the path of one
    that exists. Raises InvalidInput for contradictions."""
    names = capability_names(config)
    namespaces = [name for name in defaults.NAMESPACES if not _on_host(config, name)]
    return {
        "ociVersion": "1.2.0",
        "process": {
            "terminal": config.tty,
            "user": {"username": config.user, "additionalGroups": list(config.group_add)},
            "args": [*config.entrypoint, *config.cmd],
            "env": _environment(config),
            "cwd": config.working_dir or "/",
            "capabilities": {
                "bounding": names,
                "effective": names,
                "permitted": names,
                "inheritable": [],
                "ambient": [],
            },
            "rlimits": [_rlimit(text) for text in config.ulimits],
            "noNewPrivileges": _flag(config, "no-new-privileges"),
            "oomScoreAdj": config.oom_score_adj,
        },
        "root": {"path": rootfs, "readonly": config.read_only},
        "hostname": config.hostname,
        "domainname": config.domainname,
        "mounts": _mounts(config, mount_sources, files),
        "annotations": {},
        "linux": {
            "cgroupsPath": cgroups_path,
            "namespaces": [
                {"type": name, "path": joins[name]} if name in joins else {"type": name}
                for name in namespaces
            ],
            "resources": {
                **resources_document(config.resources),
                "devices": [{"allow": True, "access": "rwm"}]
                if config.privileged
                else [dict(rule) for rule in (*defaults.DEVICE_RULES, *_device_rules(config))],
            },
            "devices": _device_nodes(config),
            "maskedPaths": [] if config.privileged or _unmasked(config) else list(defaults.MASKED_PATHS),
            "readonlyPaths": [] if config.privileged or _unmasked(config) else list(defaults.READONLY_PATHS),
            "sysctl": dict(config.sysctls),
            "rootfsPropagation": "rslave" if _shares(config.mounts) else "rprivate",
        },
    }


def _device_nodes(config: ContainerConfig) -> list[dict[str, Any]]:
    """Of the container's own /dev; one that is mounted from elsewhere is left as it is."""
    if any(mount.target == "/dev" for mount in config.mounts):
        return []
    return [
        {"path": path, "type": kind, "major": major, "minor": minor, "fileMode": mode}
        for path, kind, major, minor, mode in (*defaults.DEVICES, *_devices(config))
    ]


def _on_host(config: ContainerConfig, name: str) -> bool:
    return {
        "network": config.network_mode == "host",
        "pid": config.pid_mode == "host",
        "ipc": config.ipc_mode == "host",
        "uts": config.uts_mode == "host" or (config.network_mode == "host" and config.uts_mode == "host"),
    }.get(name, False)


def capability_names(config: ContainerConfig) -> list[str]:
    """docker's rule: ALL first, then names; add wins over the default set, drop over add of ALL."""
    from runtime.kernel import capabilities

    def names(wanted: tuple[str, ...], option: str) -> list[str]:
        out = []
        for name in wanted:
            upper = name.upper()
            full = upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}"
            if full not in ("ALL", "CAP_ALL"):
                try:
                    capabilities.mask_of([full])
                except ValueError as error:
                    raise InvalidInput(f"{option}: unknown capability {name!r}", subject=name) from error
            out.append("ALL" if full == "CAP_ALL" else full)
        return out

    everything = capabilities.names_of((1 << (capabilities.last_cap() + 1)) - 1)
    if config.privileged:
        return everything
    add, drop = names(config.cap_add, "--cap-add"), names(config.cap_drop, "--cap-drop")
    if "ALL" in add:
        return [name for name in everything if name not in drop]
    base = [] if "ALL" in drop else [name for name in defaults.CAPABILITIES if name not in drop]
    return base + [name for name in add if name not in base]


def _environment(config: ContainerConfig) -> list[str]:
    given = {item.partition("=")[0] for item in config.env}
    out = [] if "PATH" in given else [defaults.ENVIRONMENT_PATH]
    if config.hostname and "HOSTNAME" not in given:
        out.append(f"HOSTNAME={config.hostname}")
    if config.tty and "TERM" not in given:
        out.append("TERM=xterm")
    return out + list(config.env)


def _flag(config: ContainerConfig, name: str) -> bool:
    for item in config.security_opt:
        key, _, value = item.replace("=", ":", 1).partition(":")
        if key == name:
            return value in ("", "true")
    return False


def _unmasked(config: ContainerConfig) -> bool:
    return any(item in ("systempaths=unconfined", "systempaths:unconfined") for item in config.security_opt)


def _shares(mounts: tuple[Mount, ...]) -> bool:
    return any(mount.propagation.lstrip("r") in ("shared", "slave") for mount in mounts)


RLIMITS = {
    "core": 4,
    "cpu": 0,
    "data": 2,
    "fsize": 1,
    "locks": 10,
    "memlock": 8,
    "msgqueue": 12,
    "nice": 13,
    "nofile": 7,
    "nproc": 6,
    "rss": 5,
    "rtprio": 14,
    "rttime": 15,
    "sigpending": 11,
    "stack": 3,
}


def _rlimit(text: str) -> dict[str, Any]:
    name, _, values = text.partition("=")
    soft, _, hard = values.partition(":")
    try:
        if name not in RLIMITS:
            raise ValueError(name)
        soft_value = int(soft)
        hard_value = int(hard) if hard else soft_value
        if soft_value > hard_value >= 0:
            raise ValueError(values)
    except ValueError as error:
        raise InvalidInput(
            f"--ulimit {text!r} is wrong",
            hint="write NAME=SOFT[:HARD], for example nofile=1024:2048",
            subject=text,
        ) from error
    return {"type": f"RLIMIT_{name.upper()}", "soft": soft_value, "hard": hard_value}


def _parse_device(text: str) -> tuple[str, str, str]:
    source, _, rest = text.partition(":")
    target, _, access = rest.partition(":")
    if target and set(target) <= set("rwm"):
        target, access = "", target
    return source, target or source, access or "rwm"


def _devices(config: ContainerConfig) -> list[tuple[str, str, int, int, int]]:
    import os
    import stat

    out = []
    for text in config.devices:
        source, target, _access = _parse_device(text)
        try:
            info = os.stat(source)  # noqa: PTH116 - a string from the command line
        except OSError as error:
            raise InvalidInput(f"--device {text}: {error.strerror}", subject=text) from error
        if not (stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode)):
            raise InvalidInput(f"--device {text}: {source} is not a device node", subject=text)
        kind = "c" if stat.S_ISCHR(info.st_mode) else "b"
        out.append((target, kind, os.major(info.st_rdev), os.minor(info.st_rdev), stat.S_IMODE(info.st_mode)))
    return out


def _device_rules(config: ContainerConfig) -> list[dict[str, Any]]:
    nodes = _devices(config)
    return [
        {"allow": True, "type": node[1], "major": node[2], "minor": node[3], "access": _parse_device(text)[2]}
        for node, text in zip(nodes, config.devices, strict=True)
    ]


def _mounts(config: ContainerConfig, sources: dict[str, str], files: dict[str, str]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    targets = {mount.target for mount in config.mounts}
    for mount in defaults.MOUNTS:
        if mount["destination"] in targets:
            continue
        entry = {**mount, "options": list(mount["options"])}
        if config.privileged and mount["destination"] in ("/sys", "/sys/fs/cgroup"):
            entry["options"] = [option for option in entry["options"] if option != "ro"]
        if mount["type"] == "sysfs" and config.network_mode == "host":
            # Without an own network namespace sysfs cannot be mounted anew for it, only shown.
            entry["options"] = list(entry["options"])
        out.append(entry)
    if config.ipc_mode == "host":
        out.append(
            {
                "destination": "/dev/shm",
                "type": "bind",
                "source": "/dev/shm",
                "options": ["rbind", "rprivate"],
            }
        )
    elif "/dev/shm" not in targets:
        out.append(
            {
                "destination": "/dev/shm",
                "type": "tmpfs",
                "source": "shm",
                "options": ["nosuid", "noexec", "nodev", "mode=1777", f"size={config.shm_size}"],
            }
        )
    for destination, source in files.items():
        if destination not in targets:
            out.append(
                {
                    "destination": destination,
                    "type": "bind",
                    "source": source,
                    "options": ["rbind", "rprivate"],
                }
            )
    out.extend(
        _user_mount(mount, sources) for mount in sorted(config.mounts, key=lambda m: m.target.count("/"))
    )
    return out


def _user_mount(mount: Mount, sources: dict[str, str]) -> dict[str, Any]:
    if mount.type is MountType.TMPFS:
        options = ["nosuid", "nodev", "noexec", *mount.options]
        if mount.tmpfs_size is not None:
            options.append(f"size={mount.tmpfs_size}")
        if mount.tmpfs_mode is not None:
            options.append(f"mode={mount.tmpfs_mode:o}")
        if mount.read_only:
            options.append("ro")
        return {"destination": mount.target, "type": "tmpfs", "source": "tmpfs", "options": options}
    options = ["rbind", mount.propagation, "ro" if mount.read_only else "rw"]
    return {"destination": mount.target, "type": "bind", "source": sources[mount.target], "options": options}


def resources_document(resources: Resources) -> dict[str, Any]:
    """config-linux.md, "Control groups"; absent limits are absent keys. Raises InvalidInput."""
    cpu: dict[str, Any] = {}
    if resources.cpus is not None:
        if resources.cpu_quota is not None or resources.cpu_period is not None:
            raise InvalidInput(
                "conflicting options: --cpus and --cpu-period or --cpu-quota cannot both be set"
            )
        cpu["period"] = 100_000
        cpu["quota"] = round(resources.cpus * 100_000)
    for key, value in (
        ("period", resources.cpu_period),
        ("quota", resources.cpu_quota),
        ("shares", resources.cpu_shares),
        ("cpus", resources.cpuset_cpus),
        ("mems", resources.cpuset_mems),
    ):
        if value is not None:
            cpu[key] = value
    memory: dict[str, Any] = {}
    if resources.memory is not None:
        if resources.memory < 6 << 20:
            raise InvalidInput("the minimum memory limit is 6MB", hint="give --memory 6m or more")
        memory["limit"] = resources.memory
        swap = resources.memory_swap
        if swap is not None and swap != -1 and swap < resources.memory:
            raise InvalidInput("--memory-swap must not be smaller than --memory: it is the sum of both")
        memory["swap"] = resources.memory * 2 if swap in (None, 0) else swap
    elif resources.memory_swap not in (None, -1, 0):
        raise InvalidInput("--memory-swap needs --memory", hint="set --memory at the same time")
    if resources.memory_reservation is not None:
        if resources.memory is not None and resources.memory_reservation > resources.memory:
            raise InvalidInput("--memory-reservation must not be larger than --memory")
        memory["reservation"] = resources.memory_reservation
    if resources.oom_kill_disable:
        memory["disableOOMKiller"] = True
    document: dict[str, Any] = {}
    if cpu:
        document["cpu"] = cpu
    if memory:
        document["memory"] = memory
    if resources.pids_limit is not None and resources.pids_limit > 0:
        document["pids"] = {"limit": resources.pids_limit}
    if resources.blkio_weight is not None:
        document["blockIO"] = {"weight": resources.blkio_weight}
    return document
