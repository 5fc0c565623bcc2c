"""From the OCI document to what the monitor carries out: plain dicts, lists, strings and ints (marshal).

The monitor stays small by finding everything decided: mount flags as numbers, capabilities as masks,
the seccomp program compiled, the user left as text since only the container's own files name it.
"""

from __future__ import annotations

from typing import Any

from runtime.errors import InvalidInput
from runtime.kernel import capabilities, syscalls

__all__ = ["mount_plan", "process_plan"]

_FLAGS = {
    "ro": syscalls.MS_RDONLY,
    "nosuid": syscalls.MS_NOSUID,
    "nodev": syscalls.MS_NODEV,
    "noexec": syscalls.MS_NOEXEC,
    "sync": syscalls.MS_SYNCHRONOUS,
    "dirsync": syscalls.MS_DIRSYNC,
    "noatime": syscalls.MS_NOATIME,
    "nodiratime": syscalls.MS_NODIRATIME,
    "relatime": syscalls.MS_RELATIME,
    "strictatime": syscalls.MS_STRICTATIME,
    "bind": syscalls.MS_BIND,
    "rbind": syscalls.MS_BIND | syscalls.MS_REC,
}
_IGNORED = {"rw", "suid", "dev", "exec", "atime", "defaults"}
_PROPAGATION = {
    "private": syscalls.MS_PRIVATE,
    "rprivate": syscalls.MS_PRIVATE | syscalls.MS_REC,
    "slave": syscalls.MS_SLAVE,
    "rslave": syscalls.MS_SLAVE | syscalls.MS_REC,
    "shared": syscalls.MS_SHARED,
    "rshared": syscalls.MS_SHARED | syscalls.MS_REC,
}


def mount_plan(mounts: list[dict[str, Any]], ids: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Each mount with ``flags`` and ``propagation`` as numbers and the rest of its options as ``data``.

    Owners among the options are the container's ids; with ``ids`` (:func:`_id_maps`) they become the host's.
    """
    out = []
    for mount in mounts:
        flags, propagation, data = 0, 0, []
        extra = dict(mount.get("extra", {}))
        for option in mount.get("options", []):
            if option in _FLAGS:
                flags |= _FLAGS[option]
            elif option in _PROPAGATION:
                propagation = _PROPAGATION[option]
            elif option == "idmap":
                extra["idmap"] = True
            elif option not in _IGNORED and not (option.startswith("lowerdir=") and "lowerdirs" in extra):
                data.append(_host_id(option, ids) if ids else option)
        out.append(
            {
                "destination": mount["destination"],
                "type": mount["type"],
                "source": mount["source"],
                "flags": flags,
                "propagation": propagation,
                "data": _for_devpts(data) if ids and mount["type"] == "devpts" else ",".join(data),
                "extra": extra,
            }
        )
    return out


def _id_maps(linux: dict[str, Any]) -> dict[str, Any] | None:
    """Of a document with a user namespace, as the monitor takes them: (inside, outside, count) each."""
    if not linux.get("uidMappings"):
        return None
    return {
        name: [(item["containerID"], item["hostID"], item["size"]) for item in linux[f"{name[:-1]}Mappings"]]
        for name in ("uids", "gids")
    } | {"directories": []}


def _for_devpts(data: list[str]) -> str:
    from runtime.kernel.idmap import owners_for_devpts

    return owners_for_devpts(",".join(data))


def _host_id(option: str, ids: dict[str, Any]) -> str:
    """ "uid=5" of a container as the host counts. Raises InvalidInput when it is not mapped."""
    name, _, value = option.partition("=")
    if name not in ("uid", "gid") or not value.isdigit():
        return option
    from runtime.kernel.idmap import to_host

    number = to_host(ids[name + "s"], int(value))
    if number < 0:
        raise InvalidInput(
            f"mount option {option}: the container's user namespace has no such id",
            hint="--userns auto:size=N makes a larger one",
            subject=option,
        )
    return f"{name}={number}"


def process_plan(spec: dict[str, Any], seccomp: bytes) -> dict[str, Any]:
    """The part of the plan that follows from the document alone."""
    process, linux = spec["process"], spec["linux"]
    caps = {kind: capabilities.mask_of(names) for kind, names in process["capabilities"].items()}
    ids = _id_maps(linux)
    resources = {key: value for key, value in linux["resources"].items() if key != "devices"}
    return {
        "argv": list(process["args"]),
        "env": list(process["env"]),
        "cwd": process["cwd"],
        "user": process["user"]["username"],
        "groups": list(process["user"]["additionalGroups"]),
        "tty": process["terminal"],
        "caps": caps,
        "no_new_privileges": process["noNewPrivileges"],
        "seccomp": seccomp,
        "apparmor": process["apparmorProfile"],
        "rlimits": [
            (_rlimit_number(item["type"]), item["soft"], item["hard"]) for item in process["rlimits"]
        ],
        "oom_score_adj": process["oomScoreAdj"],
        "namespaces": [item["type"] for item in linux["namespaces"]],
        "join": {item["type"]: item["path"] for item in linux["namespaces"] if "path" in item},
        "hostname": spec["hostname"],
        "domainname": spec["domainname"],
        "mounts": mount_plan(spec["mounts"], ids),
        "userns": ids,
        "devices": [
            (item["path"], item["type"], item["major"], item["minor"], item["fileMode"])
            for item in linux["devices"]
        ],
        "masked_paths": list(linux["maskedPaths"]),
        "readonly_paths": list(linux["readonlyPaths"]),
        "readonly_rootfs": spec["root"]["readonly"],
        "root_propagation": _PROPAGATION[linux["rootfsPropagation"]],
        "sysctls": [(f"/proc/sys/{key.replace('.', '/')}", value) for key, value in linux["sysctl"].items()],
        "cgroup": linux["cgroupsPath"],
        "resources": resources,
        "device_rules": linux["resources"]["devices"],
    }


def _rlimit_number(name: str) -> int:
    from runtime.containers.spec import RLIMITS

    return RLIMITS[name.removeprefix("RLIMIT_").lower()]
