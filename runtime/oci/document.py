"""``config.json`` of a bundle, read and checked: what we do not carry out is refused by name.

Source: runtime-spec config.md and config-linux.md. A field that is empty asks for nothing and is fine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runtime.errors import InvalidInput, NotFound
from runtime.kernel import apparmor

__all__ = ["Document", "check_process", "check_resources", "load", "read_object"]

Document = dict[str, Any]

_TOP = {"ociVersion", "process", "root", "hostname", "domainname", "mounts", "hooks", "annotations", "linux"}
_PROCESS = {
    "terminal", "consoleSize", "cwd", "env", "args", "user", "capabilities", "rlimits", "noNewPrivileges",
    "oomScoreAdj", "apparmorProfile",
}  # fmt: skip
_USER = {"uid", "gid", "umask", "additionalGids", "username"}
_LINUX = {
    "namespaces", "devices", "cgroupsPath", "resources", "rootfsPropagation", "seccomp", "maskedPaths",
    "readonlyPaths", "sysctl", "uidMappings", "gidMappings",
}  # fmt: skip
_RESOURCES: dict[str, set[str]] = {
    "memory": {
        "limit", "reservation", "swap", "swappiness", "disableOOMKiller", "useHierarchy", "checkBeforeUpdate",
    },
    "cpu": {"shares", "quota", "period", "cpus", "mems"},
    "pids": {"limit"},
    "blockIO": {
        "weight", "throttleReadBpsDevice", "throttleWriteBpsDevice", "throttleReadIOPSDevice",
        "throttleWriteIOPSDevice",
    },
}  # fmt: skip
_HOOKS = {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}
_NAMESPACES = {"pid", "network", "mount", "ipc", "uts", "cgroup", "user"}


def load(bundle: Path) -> Document:
    """The bundle's document. Raises NotFound, or InvalidInput that names the field."""
    document = read_object(bundle / "config.json")
    if not str(document.get("ociVersion", "")).startswith("1."):
        raise InvalidInput(
            f"config.json: ociVersion {document.get('ociVersion')!r} is not supported (1.x is)"
        )
    _refuse_unknown(document, _TOP, "")
    root = document.get("root")
    if not isinstance(root, dict) or not root.get("path"):
        raise InvalidInput("config.json: root.path is missing")
    process = document.get("process")
    if not isinstance(process, dict):
        raise InvalidInput("config.json: process is missing")
    check_process(process)
    _check_linux(_section(document, "linux"))
    _refuse_unknown(_section(document, "hooks"), _HOOKS, "hooks.")
    return document


def read_object(path: Path) -> Document:
    """A JSON object out of a file. Raises NotFound or InvalidInput."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound(f"{path}: no such file or directory", hint="a bundle has a config.json") from error
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise InvalidInput(f"{path}: not a JSON object")
    return found


def check_process(process: Document) -> None:
    """``process`` of the document, or a file of ``exec --process``. Raises InvalidInput."""
    _refuse_unknown(process, _PROCESS, "process.")
    _refuse_unknown(_section(process, "user"), _USER, "process.user.")
    arguments = process.get("args")
    if not isinstance(arguments, list) or not arguments or not all(isinstance(a, str) for a in arguments):
        raise InvalidInput("process.args must be a list of at least one string")
    profile = process.get("apparmorProfile")
    if profile and not apparmor.in_kernel():
        raise InvalidInput(f"process.apparmorProfile: this kernel has no AppArmor ({profile})")
    if not str(process.get("cwd", "")).startswith("/"):
        raise InvalidInput("process.cwd must be an absolute path")


def check_resources(resources: Document) -> None:
    """``linux.resources``. Raises InvalidInput for a limit that we cannot set."""
    _refuse_unknown(resources, {*_RESOURCES, "devices"}, "linux.resources.")
    for name, known in _RESOURCES.items():
        _refuse_unknown(_section(resources, name), known, f"linux.resources.{name}.")


def _check_linux(linux: Document) -> None:
    _refuse_unknown(linux, _LINUX, "linux.")
    check_resources(_section(linux, "resources"))
    seen: set[str] = set()
    for item in linux.get("namespaces") or []:
        kind = item.get("type")
        if kind not in _NAMESPACES:
            raise InvalidInput(f"linux.namespaces: {kind} namespaces are not supported")
        if kind in seen:
            raise InvalidInput(f"linux.namespaces: {kind} is given twice")
        seen.add(kind)
        if kind == "mount" and item.get("path"):
            raise InvalidInput("linux.namespaces: joining a mount namespace is not supported")
    if "mount" not in seen:
        raise InvalidInput("linux.namespaces: a mount namespace is needed")
    _check_mappings(linux, seen)
    seccomp = _section(linux, "seccomp")
    _refuse_unknown(
        seccomp, {"defaultAction", "defaultErrnoRet", "architectures", "syscalls"}, "linux.seccomp."
    )
    _check_sysctls(_section(linux, "sysctl"), seen)


def _check_mappings(linux: Document, seen: set[str]) -> None:
    """config-linux.md, "User namespace mappings": needed for a new user namespace, known for one that is
    joined. Root must be mapped: the container's mounts are made in its name."""
    joined = any(item.get("type") == "user" and item.get("path") for item in linux.get("namespaces") or [])
    for key in ("uidMappings", "gidMappings"):
        ranges = linux.get(key) or []
        if ranges and ("user" not in seen or joined):
            raise InvalidInput(f"linux.{key} needs a new user namespace in linux.namespaces")
        if "user" in seen and not joined and not ranges:
            raise InvalidInput(f"linux.{key} is missing, which a new user namespace needs")
        for item in ranges:
            numbers = [item.get(name) for name in ("containerID", "hostID", "size")]
            if not all(isinstance(number, int) and 0 <= number < 1 << 32 for number in numbers):
                raise InvalidInput(f"linux.{key}: {item} needs containerID, hostID and size")
        if ranges and not any(item["containerID"] == 0 and item["size"] for item in ranges):
            raise InvalidInput(f"linux.{key}: id 0 of the container is not mapped")


_IPC_SYSCTLS = {
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
    "kernel.shmmni", "kernel.shm_rmid_forced",
}  # fmt: skip


def _check_sysctls(sysctls: Document, namespaces: set[str]) -> None:
    """Only those that belong to one of the container's namespaces: any other one is the machine's."""
    for key in sysctls:
        if key in _IPC_SYSCTLS or key.startswith("fs.mqueue."):
            needed = "ipc"
        elif key.startswith("net."):
            needed = "network"
        elif key in ("kernel.domainname", "kernel.hostname"):
            needed = "uts"
        else:
            raise InvalidInput(f"linux.sysctl: {key} is not in a separate kernel namespace")
        if needed not in namespaces or "/" in key or ".." in key:
            raise InvalidInput(f"linux.sysctl: {key} needs a {needed} namespace")


def _section(holder: Document, key: str) -> Document:
    found = holder.get(key) or {}
    if not isinstance(found, dict):
        raise InvalidInput(f"{key} must be an object")
    return found


def _refuse_unknown(holder: Document, known: set[str], where: str) -> None:
    for key, value in holder.items():
        if key not in known and value not in (None, "", [], {}, False, 0):
            raise InvalidInput(f"{where}{key} is not supported", subject=key)
