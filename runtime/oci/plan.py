"""From a bundle's document to what the container's process carries out (:mod:`runtime.oci.process`)."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

from runtime.containers import defaults
from runtime.errors import InvalidInput
from runtime.kernel import capabilities
from runtime.oci.mount_options import PROPAGATION, plan_mount

__all__ = ["cgroup_path", "id_maps", "make_plan", "process_part", "seccomp_program"]

Plan = dict[str, Any]
_SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")


def make_plan(document: dict[str, Any], bundle: Path, container_id: str) -> Plan:
    """Raises InvalidInput that names the field."""
    linux = document.get("linux") or {}
    namespaces = linux.get("namespaces") or []
    rootfs = bundle / document["root"]["path"]
    if not rootfs.is_dir():
        raise InvalidInput(f"root.path: {rootfs} is not a directory")
    propagation = linux.get("rootfsPropagation") or "rslave"
    if propagation not in PROPAGATION:
        raise InvalidInput(f"linux.rootfsPropagation: {propagation!r} is unknown")
    resources = linux.get("resources") or {}
    return {
        **process_part(document["process"]),
        "seccomp": seccomp_program(linux, document["process"]),
        "rootfs": os.path.realpath(rootfs),
        "readonly_rootfs": bool(document["root"].get("readonly")),
        "root_propagation": PROPAGATION[propagation],
        "namespaces": [item["type"] for item in namespaces],
        "join": {item["type"]: item["path"] for item in namespaces if item.get("path")},
        "hostname": document.get("hostname") or "",
        "domainname": document.get("domainname") or "",
        "mounts": [plan_mount(item, str(bundle)) for item in document.get("mounts") or []],
        "devices": list(defaults.DEVICES) + [_device(item) for item in linux.get("devices") or []],
        "device_owners": [
            (item["path"], item.get("uid") or 0, item.get("gid") or 0) for item in linux.get("devices") or []
        ],
        "masked_paths": linux.get("maskedPaths") or [],
        "readonly_paths": linux.get("readonlyPaths") or [],
        "sysctls": [(f"/proc/sys/{k.replace('.', '/')}", v) for k, v in (linux.get("sysctl") or {}).items()],
        "cgroup": cgroup_path(linux.get("cgroupsPath") or "", container_id),
        "resources": {key: value for key, value in resources.items() if key != "devices" and value},
        "device_rules": _device_rules(resources.get("devices") or []),
        "hooks": document.get("hooks") or {},
        "userns": id_maps(linux),
    }


def id_maps(linux: dict[str, Any]) -> Plan | None:
    """(inside, outside, count) of the user namespace; empty for one that is joined, None without one."""
    if not any(item["type"] == "user" for item in linux.get("namespaces") or []):
        return None
    return {
        name: [
            (item["containerID"], item["hostID"], item["size"])
            for item in linux.get(f"{name[:-1]}Mappings") or []
        ]
        for name in ("uids", "gids")
    }


def process_part(process: dict[str, Any]) -> Plan:
    """What ``process`` says, which exec has of its own. Raises InvalidInput."""
    user = process.get("user") or {}
    ids = [user.get("uid") or 0, user.get("gid") or 0, *(user.get("additionalGids") or [])]
    for number in ids:
        if not isinstance(number, int) or not 0 <= number <= 0xFFFFFFFE:
            raise InvalidInput(f"process.user: {number} is no user or group id")
    size = process.get("consoleSize") or {}
    sets = process.get("capabilities") or {}
    try:
        caps = {name: capabilities.mask_of(sets.get(name) or []) for name in _SETS}
    except ValueError as error:
        raise InvalidInput(f"process.capabilities: {error}") from error
    return {
        "argv": process["args"],
        "env": process.get("env") or [],
        "cwd": process["cwd"],
        "tty": bool(process.get("terminal")),
        "window": (size.get("height") or 0, size.get("width") or 0),
        "uid": ids[0],
        "gid": ids[1],
        "groups": ids[2:],
        "umask": user["umask"] if user.get("umask") is not None else 0o022,
        "caps": caps,
        "no_new_privileges": bool(process.get("noNewPrivileges")),
        "apparmor": process.get("apparmorProfile") or "",
        "rlimits": [_rlimit(item) for item in process.get("rlimits") or []],
        "oom_score_adj": process.get("oomScoreAdj"),
    }


def seccomp_program(linux: dict[str, Any], process: dict[str, Any]) -> bytes:
    """The compiled filter of ``linux.seccomp``, b"" without one. Raises InvalidInput."""
    profile = linux.get("seccomp")
    if not profile:
        return b""
    from runtime.kernel.seccomp_compile import compile_profile

    held = (process.get("capabilities") or {}).get("bounding") or []
    try:
        return compile_profile(profile, held)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"linux.seccomp: {error}") from error


def cgroup_path(wanted: str, container_id: str) -> str:
    """The group below every hierarchy's root. A relative path goes below a group of ours, as the spec lets a
    runtime choose. Raises InvalidInput."""
    if ":" in wanted:
        raise InvalidInput(
            f"linux.cgroupsPath: {wanted} is a systemd path", hint="systemd's cgroup driver is not supported"
        )
    parts = [part for part in wanted.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise InvalidInput(f"linux.cgroupsPath: {wanted} leads upwards")
    if not parts:
        return f"/tuidock/oci/{container_id}"
    return ("/" if wanted.startswith("/") else "/tuidock/oci/") + "/".join(parts)


def _rlimit(item: dict[str, Any]) -> tuple[int, int, int]:
    number = getattr(resource, str(item.get("type")), None)
    if not str(item.get("type")).startswith("RLIMIT_") or not isinstance(number, int):
        raise InvalidInput(f"process.rlimits: {item.get('type')!r} is unknown")
    # An unlimited one is 2**64-1 in the document and -1 in Python's module.
    soft, hard = (
        value if value < 1 << 63 else resource.RLIM_INFINITY for value in (item["soft"], item["hard"])
    )
    return number, soft, hard


def _device(item: dict[str, Any]) -> tuple[str, str, int, int, int]:
    kind, path = item.get("type"), str(item.get("path") or "")
    if kind not in ("c", "u", "b", "p") or not path.startswith("/"):
        raise InvalidInput(f"linux.devices: {path or item}: type must be c, u, b or p and the path absolute")
    mode = item["fileMode"] if item.get("fileMode") is not None else 0o666
    return path, kind, item.get("major") or 0, item.get("minor") or 0, mode & 0o7777


def _device_rules(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The document's own, then those that every container has (config-linux.md, "Default Devices"). The
    backends start with everything denied, so only what follows the last deny-all counts."""
    start = 0
    for index, rule in enumerate(rules):
        if not rule.get("allow") and _any(rule):
            start = index + 1
    wanted = rules[start:]
    if any(rule.get("allow") and _any(rule) for rule in wanted):
        return wanted
    always = [rule for rule in defaults.DEVICE_RULES if rule["allow"]]
    # 5:1 is the machine's console; a container's is a pseudo-terminal.
    return wanted + [rule for rule in always if (rule.get("major"), rule.get("minor")) != (5, 1)]


def _any(rule: dict[str, Any]) -> bool:
    return (rule.get("type") or "a") == "a" and all(rule.get(key) in (None, -1) for key in ("major", "minor"))
