"""A container's configuration as an OCI runtime-spec document: pure, no root, table-tested.

``config.json`` says what the container is; :mod:`runtime.containers.plan` turns it into what the monitor
carries out. Section names below are the specification's (config.md, config-linux.md).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

from runtime.containers import apparmor, defaults
from runtime.containers.capability_names import capability_names
from runtime.errors import InvalidInput
from runtime.model.container import ContainerConfig, Mount, MountType, Resources
from runtime.model.devices import parse_device, parse_device_rule, parse_iops, parse_rate, parse_weight
from runtime.model.mounts import IDMAP
from runtime.model.volume import Filesystem, ImageTree

__all__ = [
    "device_nodes", "make_spec", "masked_paths", "readonly_paths", "resources_document",
    "volume_mount",
]  # fmt: skip


def make_spec(
    config: ContainerConfig,
    *,
    container_id: str,
    rootfs: str,
    cgroups_path: str,
    mount_sources: Mapping[str, str | Filesystem | ImageTree],
    files: dict[str, str],
    joins: dict[str, str],
) -> dict[str, Any]:
    """The document. ``mount_sources`` maps a mount's target to its directory on the host, or to what a volume
    with driver options is made of; ``files`` maps
    /etc/hosts, /etc/hostname and /etc/resolv.conf to theirs; ``joins`` maps a namespace to the path of one
    that exists. Raises InvalidInput for contradictions."""
    names = capability_names(config)
    namespaces = [name for name in defaults.NAMESPACES if not _on_host(config, name)]
    if config.id_map is not None:
        namespaces.insert(0, "user")
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
            "apparmorProfile": apparmor.profile_of(config),
            "oomScoreAdj": config.oom_score_adj,
        },
        "root": {"path": rootfs, "readonly": config.read_only},
        "hostname": config.hostname,
        "domainname": config.domainname,
        "mounts": _mounts(config, mount_sources, files, joins.get("shm", "")),
        "annotations": dict(config.annotations),
        "linux": {
            "cgroupsPath": cgroups_path,
            "namespaces": [
                {"type": name, "path": joins[name]} if name in joins else {"type": name}
                for name in namespaces
            ],
            **_id_mappings(config),
            "resources": {
                **resources_document(config.resources),
                "devices": [{"allow": True, "access": "rwm"}]
                if config.privileged
                else [dict(rule) for rule in (*defaults.DEVICE_RULES, *_device_rules(config))],
            },
            "devices": _devices_document(config),
            "maskedPaths": masked_paths(config),
            "readonlyPaths": readonly_paths(config),
            "sysctl": dict(config.sysctls),
            "rootfsPropagation": "rslave" if _shares(config.mounts) else "rprivate",
        },
    }


def _id_mappings(config: ContainerConfig) -> dict[str, Any]:
    """config-linux.md, "User namespace mappings"."""
    if config.id_map is None:
        return {}
    return {
        key: [{"containerID": item.inside, "hostID": item.outside, "size": item.count} for item in ranges]
        for key, ranges in (("uidMappings", config.id_map.uids), ("gidMappings", config.id_map.gids))
    }


def _devices_document(config: ContainerConfig) -> list[dict[str, Any]]:
    """Of the container's own /dev; one that is mounted from elsewhere is left as it is."""
    if any(mount.target == "/dev" for mount in config.mounts):
        return []
    return [
        {"path": path, "type": kind, "major": major, "minor": minor, "fileMode": mode}
        for path, kind, major, minor, mode in (*defaults.DEVICES, *device_nodes(config))
    ]


def _on_host(config: ContainerConfig, name: str) -> bool:
    return {
        "network": config.network_mode == "host",
        "pid": config.pid_mode == "host",
        "ipc": config.ipc_mode == "host",
        "uts": config.uts_mode == "host",
        "cgroup": config.cgroupns_mode == "host",
    }.get(name, False)


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


def masked_paths(config: ContainerConfig) -> list[str]:
    """What is hidden from it."""
    return [] if config.privileged or _unmasked(config) else list(defaults.MASKED_PATHS)


def readonly_paths(config: ContainerConfig) -> list[str]:
    """What it cannot write below /proc, whatever its capabilities."""
    return [] if config.privileged or _unmasked(config) else list(defaults.READONLY_PATHS)


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
        if min(soft_value, hard_value) < -1 or (hard_value >= 0 and not 0 <= soft_value <= hard_value):
            raise ValueError(values)
    except ValueError as error:
        raise InvalidInput(
            f"--ulimit {text!r} is wrong",
            hint="write NAME=SOFT[:HARD], for example nofile=1024:2048",
            subject=text,
        ) from error
    return {"type": f"RLIMIT_{name.upper()}", "soft": soft_value, "hard": hard_value}


def _found(path: str, text: str) -> list[tuple[str, os.stat_result]]:
    """A node, or every node below a directory, as docker takes /dev/snd."""
    at = os.stat(path)  # noqa: PTH116 - a string from the command line
    if not stat.S_ISDIR(at.st_mode):
        return [(path, at)]
    found = []
    for directory, _names, files in os.walk(path):
        for name in sorted(files):
            info = os.lstat(f"{directory}/{name}")
            if stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
                found.append((f"{directory}/{name}", info))
    if not found:
        raise InvalidInput(f"--device {text}: no device nodes below {path}", subject=text)
    return found


def _devices(config: ContainerConfig) -> list[tuple[str, str, int, int, int, str]]:
    """(path inside, type, major, minor, mode, access) of ``--device``."""
    out = []
    for text in config.devices:
        source, target, access = parse_device(text)
        try:
            nodes = _found(source, text)
        except OSError as error:
            raise InvalidInput(
                f'error gathering device information while adding custom device "{source}": {error.strerror}',
                subject=text,
            ) from error
        for path, info in nodes:
            if not (stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode)):
                raise InvalidInput(f"--device {text}: {source} is not a device node", subject=text)
            kind = "c" if stat.S_ISCHR(info.st_mode) else "b"
            major, minor = os.major(info.st_rdev), os.minor(info.st_rdev)
            inside = target + path[len(source) :]
            out.append((inside, kind, major, minor, stat.S_IMODE(info.st_mode), access))
    return out


_NOT_OF_THE_HOST = frozenset(
    f"/dev/{name}" for name in ("pts", "shm", "mqueue", "fd", "console", "ptmx", "hugepages")
)


def device_nodes(config: ContainerConfig) -> list[tuple[str, str, int, int, int]]:
    """(path, type, major, minor, mode) beside the standard ones; all of the host's with ``--privileged``.
    Raises InvalidInput."""
    nodes = {node[0]: node[:5] for node in _devices(config)}
    if config.privileged:
        for directory, names, files in os.walk("/dev"):
            names[:] = [name for name in names if f"{directory}/{name}" not in _NOT_OF_THE_HOST]
            for name in files:
                path = f"{directory}/{name}"
                try:
                    info = os.lstat(path)
                except FileNotFoundError:  # the host's /dev changes as it likes
                    continue
                if path in _NOT_OF_THE_HOST or not (stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode)):
                    continue
                kind = "c" if stat.S_ISCHR(info.st_mode) else "b"
                mode = stat.S_IMODE(info.st_mode)
                nodes.setdefault(path, (path, kind, os.major(info.st_rdev), os.minor(info.st_rdev), mode))
    standard = {entry[0] for entry in defaults.DEVICES}
    return [node for path, node in nodes.items() if path not in standard]


def _device_rules(config: ContainerConfig) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = [
        {"allow": True, "type": kind, "major": major, "minor": minor, "access": access}
        for _path, kind, major, minor, _mode, access in _devices(config)
    ]
    for text in config.device_cgroup_rules:
        rule = parse_device_rule(text)
        entry: dict[str, Any] = {"allow": True, "type": rule.kind, "access": rule.access}
        entry |= {k: v for k, v in (("major", rule.major), ("minor", rule.minor)) if v is not None}
        rules.append(entry)
    return rules


def _mounts(
    config: ContainerConfig,
    sources: Mapping[str, str | Filesystem | ImageTree],
    files: dict[str, str],
    shm_of: str,
) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    targets = {mount.target for mount in config.mounts}

    def mapped(wanted: bool) -> list[str]:
        """The container's own ids on what is mounted; its own directory is mapped as a whole."""
        return ["idmap"] if wanted and config.id_map is not None else []

    for default in defaults.MOUNTS:
        if default["destination"] in targets:
            continue
        entry = {**default, "options": list(default["options"])}
        if config.privileged and default["destination"] in ("/sys", "/sys/fs/cgroup"):
            entry["options"] = [option for option in entry["options"] if option != "ro"]
        if default["type"] == "sysfs" and config.network_mode == "host":
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
    elif shm_of:  # the other container's, which lies in its mount namespace
        out.append(
            {
                "destination": "/dev/shm",
                "type": "bind",
                "source": "/dev/shm",
                "options": ["bind", "rprivate"],
                "extra": {"namespace": shm_of},
            }
        )
    elif "/dev/shm" not in targets and config.ipc_mode != "none":
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
                    "options": ["rbind", "rprivate", *mapped(config.network_mode.startswith("container:"))],
                }
            )
    for mount in sorted(config.mounts, key=lambda m: m.target.count("/")):
        document = _user_mount(mount, sources)
        if mount.type is MountType.VOLUME or IDMAP in mount.options or config.internal:
            document["options"] += mapped(document["type"] == "bind")
        out.append(document)
    return out


_NEUTRAL = frozenset(("async", "diratime", "norelatime", "nostrictatime", "suid", "dev", "exec"))
"""What a tmpfs has anyway, and what takes a default back."""


def _user_mount(mount: Mount, sources: Mapping[str, str | Filesystem | ImageTree]) -> dict[str, Any]:
    source = sources.get(mount.target)
    if isinstance(source, Filesystem):
        return volume_mount(mount, source)
    if isinstance(source, ImageTree):
        return image_mount(mount, source)
    if mount.type is MountType.TMPFS:
        undone = {"suid": "nosuid", "dev": "nodev", "exec": "noexec"}
        taken = {undone[option] for option in mount.options if option in undone}
        options = [option for option in ("nosuid", "nodev", "noexec") if option not in taken]
        options += [option for option in mount.options if option not in _NEUTRAL]
        if mount.tmpfs_size is not None:
            options.append(f"size={mount.tmpfs_size}")
        if mount.tmpfs_mode is not None:
            options.append(f"mode={mount.tmpfs_mode:o}")
        if mount.read_only:
            options.append("ro")
        return {"destination": mount.target, "type": "tmpfs", "source": "tmpfs", "options": options}
    bind = "bind" if mount.recursive == "disabled" else "rbind"
    options = [bind, mount.propagation, "ro" if mount.read_only else "rw"]
    document = {
        "destination": mount.target,
        "type": "bind",
        "source": sources[mount.target],
        "options": options,
    }
    extra: dict[str, Any] = {}
    if mount.recursive == "writable":
        extra["top_readonly_only"] = True
    if mount.subpath:
        extra["subpath"] = mount.subpath
    return {**document, "extra": extra} if extra else document


def image_mount(mount: Mount, tree: ImageTree) -> dict[str, Any]:
    """An image's layers, read-only; the options are those of a runtime that does not know ``extra``."""
    return {
        "destination": mount.target,
        "type": "overlay",
        "source": "overlay",
        "options": ["ro", f"lowerdir={':'.join(tree.lowerdirs)}"],
        "extra": {"lowerdirs": list(tree.lowerdirs), "subpath": mount.subpath},
    }


def volume_mount(mount: Mount, source: Filesystem) -> dict[str, Any]:
    """A volume with driver options, as part of the container's own mounts."""
    options = [option for option in source.options if option != "rw"]
    if mount.read_only and "ro" not in options:
        options.append("ro")
    if source.type == "bind":
        options = [*(option for option in options if option not in ("bind", "rbind")), "rbind", "rprivate"]
    return {
        "destination": mount.target,
        "type": source.type,
        "source": source.device,
        "options": options,
        **({"extra": {"subpath": mount.subpath}} if mount.subpath else {}),
    }


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
    if resources.memory_swappiness is not None:
        memory["swappiness"] = resources.memory_swappiness
    if resources.oom_kill_disable:
        memory["disableOOMKiller"] = True
    document: dict[str, Any] = {}
    if cpu:
        document["cpu"] = cpu
    if memory:
        document["memory"] = memory
    if resources.pids_limit is not None and resources.pids_limit > 0:
        document["pids"] = {"limit": resources.pids_limit}
    block = _block(resources)
    if block:
        document["blockIO"] = block
    return document


def _block(resources: Resources) -> dict[str, Any]:
    block: dict[str, Any] = {}
    if resources.blkio_weight is not None:
        block["weight"] = resources.blkio_weight
    for key, option, parse, items in (
        ("weightDevice", "--blkio-weight-device", parse_weight, resources.blkio_weight_device),
        ("throttleReadBpsDevice", "--device-read-bps", parse_rate, resources.device_read_bps),
        ("throttleWriteBpsDevice", "--device-write-bps", parse_rate, resources.device_write_bps),
        ("throttleReadIOPSDevice", "--device-read-iops", parse_iops, resources.device_read_iops),
        ("throttleWriteIOPSDevice", "--device-write-iops", parse_iops, resources.device_write_iops),
    ):
        for text in items:
            path, value = parse(option, text)
            major, minor = _block_device(option, path)
            entry = {"major": major, "minor": minor, "weight" if parse is parse_weight else "rate": value}
            block.setdefault(key, []).append(entry)
    return block


def _block_device(option: str, path: str) -> tuple[int, int]:
    try:
        info = os.stat(path)  # noqa: PTH116 - a string from the command line
    except OSError as error:
        raise InvalidInput(f"{option}: {path}: {error.strerror}", subject=path) from error
    if not stat.S_ISBLK(info.st_mode):
        raise InvalidInput(f"{option}: {path} is not a block device", subject=path)
    return os.major(info.st_rdev), os.minor(info.st_rdev)
