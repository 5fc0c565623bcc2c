"""Mount options of the runtime-spec (config.md, "Linux mount options") as the kernel's flags.

``ro`` and its like hold for the mount itself; ``rro`` and its like for everything mounted below it too, which
is done to the attached mount (:mod:`runtime.oci.rootfs`), as is taking a flag away that the source has.
"""

from __future__ import annotations

import os
from typing import Any

from runtime.errors import InvalidInput
from runtime.kernel import syscalls

__all__ = ["OPTIONS", "PROPAGATION", "plan_mount"]

_SET = {
    "ro": syscalls.MS_RDONLY, "nosuid": syscalls.MS_NOSUID, "nodev": syscalls.MS_NODEV,
    "noexec": syscalls.MS_NOEXEC, "sync": syscalls.MS_SYNCHRONOUS, "dirsync": syscalls.MS_DIRSYNC,
    "mand": syscalls.MS_MANDLOCK, "lazytime": syscalls.MS_LAZYTIME, "noatime": syscalls.MS_NOATIME,
    "nodiratime": syscalls.MS_NODIRATIME, "relatime": syscalls.MS_RELATIME,
    "strictatime": syscalls.MS_STRICTATIME, "nosymfollow": syscalls.MS_NOSYMFOLLOW,
    "bind": syscalls.MS_BIND, "rbind": syscalls.MS_BIND | syscalls.MS_REC,
}  # fmt: skip
_CLEAR = {
    "rw": "ro", "suid": "nosuid", "dev": "nodev", "exec": "noexec", "async": "sync", "nomand": "mand",
    "nolazytime": "lazytime", "atime": "noatime", "diratime": "nodiratime", "norelatime": "relatime",
    "nostrictatime": "strictatime", "symfollow": "nosymfollow",
}  # fmt: skip
_NOTHING = {"defaults", "silent", "loud"}
PROPAGATION = {
    deep + name: flag | (syscalls.MS_REC if deep else 0)
    for name, flag in (
        ("private", syscalls.MS_PRIVATE), ("slave", syscalls.MS_SLAVE), ("shared", syscalls.MS_SHARED),
        ("unbindable", syscalls.MS_UNBINDABLE),
    )
    for deep in ("", "r")
}  # fmt: skip
_ATTRIBUTES = {
    "ro": syscalls.MOUNT_ATTR_RDONLY, "nosuid": syscalls.MOUNT_ATTR_NOSUID,
    "nodev": syscalls.MOUNT_ATTR_NODEV, "noexec": syscalls.MOUNT_ATTR_NOEXEC,
    "nodiratime": syscalls.MOUNT_ATTR_NODIRATIME, "nosymfollow": syscalls.MOUNT_ATTR_NOSYMFOLLOW,
    "noatime": syscalls.MOUNT_ATTR_NOATIME, "relatime": syscalls.MOUNT_ATTR_RELATIME,
    "strictatime": syscalls.MOUNT_ATTR_STRICTATIME,
}  # fmt: skip
_ATIMES = {"noatime", "relatime", "strictatime"}
OPTIONS = sorted(
    {*_SET, *_CLEAR, *PROPAGATION, "tmpcopyup", "idmap"}
    | {f"r{name}" for name in (*_ATTRIBUTES, "rw", "suid", "dev", "exec", "diratime", "symfollow")}
)


def plan_mount(mount: dict[str, Any], bundle: str) -> dict[str, Any]:
    """As :mod:`runtime.kernel.mounts` wants it, with ``extra``: ``set``, ``clear`` (MOUNT_ATTR_*) for the
    whole tree, ``clear_top`` for the mount, ``copy_up``. Raises InvalidInput."""
    destination = mount.get("destination")
    if not isinstance(destination, str) or not destination:
        raise InvalidInput("mounts: a destination is missing")
    flags, propagation, data = 0, 0, []
    extra: dict[str, Any] = {
        "top_readonly_only": True,
        "set": 0,
        "clear": 0,
        "clear_top": 0,
        "copy_up": False,
    }
    for option in mount.get("options") or []:
        if option in _SET:
            flags |= _SET[option]
        elif option in _CLEAR:
            positive = _CLEAR[option]
            flags &= ~_SET[positive]
            extra["clear_top"] |= _ATTRIBUTES.get(positive, 0) if positive not in _ATIMES else 0
        elif option in PROPAGATION:
            propagation = PROPAGATION[option]
        elif option == "tmpcopyup":
            extra["copy_up"] = True
        elif option[:1] == "r" and (option[1:] in _ATTRIBUTES or _CLEAR.get(option[1:]) in _ATTRIBUTES):
            _whole_tree(extra, option[1:])
        elif option == "idmap" and not (mount.get("uidMappings") or mount.get("gidMappings")):
            extra["idmap"] = True
        elif option in ("remount", "idmap", "ridmap"):
            raise InvalidInput(f"mounts: option {option} on {destination} is not supported")
        elif option not in _NOTHING:
            data.append(option)
    kind = "bind" if flags & syscalls.MS_BIND else mount.get("type") or "none"
    source = str(mount.get("source") or "")
    if kind == "bind":
        if data:
            raise InvalidInput(f"mounts: {destination}: unknown option {data[0]} of a bind mount")
        source = os.path.join(bundle, source)
    if extra.get("idmap") and kind != "bind":
        raise InvalidInput(f"mounts: {destination}: idmap is for bind mounts only")
    if extra["copy_up"] and kind != "tmpfs":
        raise InvalidInput(f"mounts: {destination}: tmpcopyup is for tmpfs only")
    return {
        "destination": destination,
        "type": "cgroup" if kind == "cgroup2" else kind,
        "source": source,
        "flags": flags & ~syscalls.MS_BIND,
        "propagation": propagation,
        "data": ",".join(data),
        "extra": extra,
    }


def _whole_tree(extra: dict[str, Any], option: str) -> None:
    if option in _ATIMES:
        extra["clear"] |= syscalls.MOUNT_ATTR__ATIME
        extra["set"] |= _ATTRIBUTES[option]
    elif option in _ATTRIBUTES:
        extra["set"] |= _ATTRIBUTES[option]
    else:
        extra["clear"] |= _ATTRIBUTES[_CLEAR[option]]
