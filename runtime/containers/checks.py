"""What ``create`` refuses, in docker's words: values that are wrong wherever the configuration comes from.

Each function raises InvalidInput (NotFound, Conflict for other containers that are named) and makes nothing.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

from runtime.containers import apparmor
from runtime.context import Context
from runtime.errors import Conflict, InvalidInput, NotFound
from runtime.model.container import Container, ContainerConfig, Mount, MountType, Resources
from runtime.model.devices import parse_device_rule
from runtime.model.log_options import check_log_options
from runtime.model.parse import parse_link
from runtime.store import containers as store

__all__ = ["check", "inherit_volumes", "resolve_references"]

_KERNEL_SYSCTLS = frozenset(
    "kernel." + name for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni",
                                  "shm_rmid_forced")
)  # fmt: skip
_SYSCTL_NAME = r"(?a)[A-Za-z0-9_-]+(\.[A-Za-z0-9_:-]+)+"
_CPU_LIST = r"(?a)[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*"
_MAC = r"(?a)[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}"
_TMPFS_FLAGS = frozenset(
    ("ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "sync", "async", "dirsync", "atime",
     "noatime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime")
)  # fmt: skip
_TMPFS_VALUES = frozenset(("size", "mode", "uid", "gid", "nr_blocks", "nr_inodes", "mpol"))


def check(config: ContainerConfig) -> ContainerConfig:
    """Everything that needs no other container; seccomp profiles are read into the configuration."""
    _check_resources(config.resources)
    _check_sysctls(config)
    for text in config.device_cgroup_rules:
        parse_device_rule(text)
    for mount in config.mounts:
        if mount.type is MountType.TMPFS:
            _check_tmpfs(mount)
    if config.cgroupns_mode not in ("", "host", "private"):
        raise InvalidInput(
            f"invalid cgroup namespace mode for --cgroupns: {config.cgroupns_mode!r}",
            hint="host or private",
            subject=config.cgroupns_mode,
        )
    for attachment in config.networks:
        mac = attachment.mac_address
        if mac and (not re.fullmatch(_MAC, mac) or int(mac[:2], 16) & 1 or set(mac) <= set("0:")):
            raise InvalidInput(
                f"{mac!r} is not a valid mac address for --mac-address",
                hint="six pairs of hex digits of one machine, for example 02:42:ac:11:00:02",
                subject=mac,
            )
    if config.uts_mode == "host" and (config.hostname or config.domainname):
        raise InvalidInput(
            "conflicting options: hostname and the UTS mode", hint="--uts host shares the machine's names"
        )
    if config.network_mode == "none" and any(h.endswith("host-gateway") for h in config.extra_hosts):
        raise InvalidInput(
            "--add-host: there is no host-gateway with --network none", hint="give an address instead"
        )
    _check_cgroup_parent(config.cgroup_parent)
    check_log_options(config.log_options)
    return replace(config, security_opt=tuple(_security_option(text) for text in config.security_opt))


def _check_cgroup_parent(parent: str) -> None:
    if parent and (".." in parent.split("/") or not re.fullmatch(r"[A-Za-z0-9_./@:-]+", parent, re.ASCII)):
        raise InvalidInput(
            f"invalid value for --cgroup-parent: {parent!r}",
            hint="a path below the cgroup root such as /batch, without '..'",
            subject=parent,
        )
    if parent.endswith(".slice"):
        raise InvalidInput(
            f"--cgroup-parent {parent}: slices belong to systemd, which is not asked here",
            hint="give a path such as /batch",
            subject=parent,
        )


def _check_resources(resources: Resources) -> None:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = max(count, os.cpu_count() or 1)
    if resources.cpus is not None and not 0.01 <= resources.cpus <= count:
        raise InvalidInput(
            f"range of CPUs for --cpus is from 0.01 to {count}.00, as there are only {count} CPUs available",
            subject=str(resources.cpus),
        )
    if resources.cpu_quota is not None and 0 < resources.cpu_quota < 1000:
        raise InvalidInput("--cpu-quota: CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if resources.cpu_shares is not None and not 2 <= resources.cpu_shares <= 262_144:
        raise InvalidInput(f"--cpu-shares must be between 2 and 262144, not {resources.cpu_shares}")
    if resources.memory_reservation is not None and resources.memory_reservation < 6 << 20:
        raise InvalidInput("--memory-reservation: minimum memory reservation allowed is 6MB")
    if resources.memory_swappiness is not None and not 0 <= resources.memory_swappiness <= 100:
        raise InvalidInput(
            f"invalid value for --memory-swappiness: {resources.memory_swappiness},"
            " valid memory swappiness range is 0-100"
        )
    _check_set("--cpuset-cpus", "CPUs", resources.cpuset_cpus, "/sys/devices/system/cpu/online")
    _check_set("--cpuset-mems", "memory nodes", resources.cpuset_mems, "/sys/devices/system/node/online")


def _check_set(option: str, what: str, text: str | None, available: str) -> None:
    """Syntax, and that the machine has them (runc finds out only when the container is half made)."""
    if not text:
        return
    if not re.fullmatch(_CPU_LIST, text):
        raise InvalidInput(
            f"invalid value {text!r} for {option}", hint="a list such as 0-3 or 0,2", subject=text
        )
    try:
        online = Path(available).read_text(encoding="ascii").strip()
    except OSError:
        online = "0"
    if not _members(text) <= _members(online):
        raise InvalidInput(
            f"{option}: requested {what} are not available - requested {text}, available: {online}",
            subject=text,
        )


def _members(text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first:
            found.update(range(int(first), int(last or first) + 1))
    return found


def _check_sysctls(config: ContainerConfig) -> None:
    """Only what a namespace of the container's own holds; anything else would change the machine."""
    for name, value in config.sysctls.items():
        if not re.fullmatch(_SYSCTL_NAME, name) or "\0" in value or "\n" in value:
            raise InvalidInput(
                f"invalid sysctl for --sysctl: {name!r}", hint="write NAME=VALUE", subject=name
            )
        if name.startswith("net."):
            if config.network_mode == "host" or config.network_mode.startswith("container:"):
                raise InvalidInput(
                    f"sysctl {name!r} is not allowed: the network namespace is not the container's own",
                    subject=name,
                )
        elif name in _KERNEL_SYSCTLS or name.startswith("fs.mqueue."):
            if config.ipc_mode == "host" or config.ipc_mode.startswith("container:"):
                raise InvalidInput(
                    f"sysctl {name!r} is not allowed: the IPC namespace is not the container's own",
                    subject=name,
                )
        else:
            raise InvalidInput(
                f"sysctl {name!r} is not allowed: it is not in a separate kernel namespace",
                hint="--sysctl takes net.*, fs.mqueue.* and the kernel.msg*, kernel.sem and kernel.shm* ones",
                subject=name,
            )


def _check_tmpfs(mount: Mount) -> None:
    for option in mount.options:
        name, equals, value = option.partition("=")
        if (equals and name in _TMPFS_VALUES and value) or (not equals and name in _TMPFS_FLAGS):
            continue
        raise InvalidInput(
            f"invalid tmpfs option {option!r} for --tmpfs {mount.target}",
            hint="size=, mode=, uid=, gid=, nr_inodes=, nr_blocks=, ro, exec, suid, dev, noatime ...",
            subject=option,
        )


def _security_option(text: str) -> str:
    """Checked; a seccomp profile's file becomes its content, as docker's client does it, so that the
    container depends on no file of the host."""
    name, separator, value = text.partition("=")
    if not separator:
        name, separator, value = text.partition(":")
    if name == "no-new-privileges" and value in ("", "true", "false"):
        return text
    if name == "seccomp" and separator:
        return f"seccomp={_profile(value)}"
    if (name, value) in (("label", "disable"), ("systempaths", "unconfined")):
        return text
    if name == "apparmor" and separator:
        apparmor.check(value)
        return text
    if name == "label":
        raise InvalidInput(
            f"--security-opt {text}: SELinux labels are not applied", hint="label=disable is accepted"
        )
    raise InvalidInput(
        f"invalid --security-opt: {text!r}",
        hint="no-new-privileges, seccomp=unconfined|builtin|FILE, apparmor=PROFILE, systempaths=unconfined",
        subject=text,
    )


def _profile(value: str) -> str:
    if value in ("unconfined", "builtin") or value.startswith("{"):
        return value
    try:
        profile = json.loads(Path(value).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidInput(
            f"opening seccomp profile ({value}) failed: {reason}",
            hint="--security-opt seccomp= takes unconfined, builtin or the file of a JSON profile",
            subject=value,
        ) from error
    if not isinstance(profile, dict):
        raise InvalidInput(f"seccomp profile ({value}) is not a JSON object", subject=value)
    return json.dumps(profile, separators=(",", ":"))


def resolve_references(ctx: Context, config: ContainerConfig) -> ContainerConfig:
    """Other containers that are named become ids, so that a rename changes nothing. Raises NotFound."""
    changes: dict[str, str] = {}
    for field in ("network_mode", "pid_mode", "ipc_mode"):
        mode = str(getattr(config, field))
        if mode.startswith("container:"):
            other = store.find(ctx.db, mode.removeprefix("container:"))
            changes[field] = f"container:{other.id}"
            if field == "ipc_mode" and other.config.ipc_mode not in ("shareable", "host"):
                raise Conflict(
                    f"cannot join IPC of container {other.name}: non-shareable IPC",
                    hint="run that one with --ipc shareable",
                    subject=other.name,
                )
    links = tuple(_link(ctx, text) for text in config.links)
    return replace(config, links=links, **changes)  # type: ignore[arg-type]  # the three modes are str


def _link(ctx: Context, text: str) -> str:
    name, _, alias = parse_link(text).partition(":")
    return f"{store.find(ctx.db, name).id}:{alias}"


def inherit_volumes(ctx: Context, config: ContainerConfig) -> ContainerConfig:
    """``--volumes-from NAME[:ro|rw]``: the other containers' mounts, under what is asked for itself."""
    own = {mount.target for mount in config.mounts}
    found: dict[str, Mount] = {}
    names: list[str] = []
    for text in config.volumes_from:
        name, colon, mode = text.partition(":")
        if not name or (colon and mode not in ("ro", "rw", "z", "Z")):
            raise InvalidInput(
                f"invalid value for --volumes-from: {text!r}", hint="give CONTAINER[:ro|:rw]", subject=text
            )
        other = _container(ctx, name)
        names.append(f"{other.id}:{mode}" if colon else other.id)
        for mount in other.config.mounts:
            if mount.target not in own and mount.type is not MountType.TMPFS:
                read_only = mount.read_only or mode == "ro"
                found[mount.target] = replace(mount, read_only=read_only, no_copy=True, inherited=True)
    return replace(config, mounts=config.mounts + tuple(found.values()), volumes_from=tuple(names))


def _container(ctx: Context, name: str) -> Container:
    try:
        return store.find(ctx.db, name)
    except NotFound as error:
        raise NotFound(f"--volumes-from: {error.message}", hint=error.hint, subject=name) from None
