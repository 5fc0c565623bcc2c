"""docker's local volume driver: what ``type``, ``device`` and ``o`` of a volume mean.

docker mounts such a volume on the host while somebody uses it. Here it is mounted in each container's own
mount namespace, as everything is, so that a crash leaves no mount behind. A bind and a block device's file
system are shared by all who mount the volume; a tmpfs is each container's own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from runtime.errors import InvalidInput
from runtime.model.volume import Filesystem

__all__ = ["filesystem_of"]

_KNOWN = ("type", "device", "o", "size")
_NETWORKED = ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs")
_UNKEPT = ("overlay", "proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue")


def filesystem_of(options: Mapping[str, str]) -> Filesystem | None:
    """None for a plain volume, a directory of ours. Raises InvalidInput."""
    for name in options:
        if name not in _KNOWN:
            raise InvalidInput(
                f'invalid option: "{name}"',
                hint="the local driver knows type, device and o",
                subject=name,
            )
    if not options:
        return None
    kind, device = options.get("type", ""), options.get("device", "")
    flags = tuple(item for item in options.get("o", "").split(",") if item)
    if "size" in options:
        raise InvalidInput(
            "the volume option 'size' needs quotas of xfs, which are not used here",
            hint="for a tmpfs the size is an option of its own: o=size=100m",
        )
    for name in ("device", "type"):
        if not options.get(name):
            raise InvalidInput(f'missing required option: "{name}"', hint="give both type= and device=")
    if kind in _NETWORKED:
        raise InvalidInput(
            f"volumes of type {kind} are not supported: the mount would hang with its server",
            hint="mount it on the host and use a bind: type=none,o=bind,device=/mnt/...",
            subject=kind,
        )
    if kind in _UNKEPT:
        raise InvalidInput(f"a volume cannot be of type {kind}", hint="none, tmpfs, ext4, ...", subject=kind)
    if kind in ("none", "bind") or "bind" in flags or "rbind" in flags:
        return _bind(device, flags)
    if kind != "tmpfs" and not device.startswith("/"):
        raise InvalidInput(f"volume device {device!r} is not an absolute path", subject=device)
    return Filesystem(kind, device, flags)


def _bind(device: str, flags: tuple[str, ...]) -> Filesystem:
    if not {"bind", "rbind"} & set(flags):
        raise InvalidInput("a volume of type none needs o=bind", hint="add --opt o=bind")
    if not device.startswith("/"):
        raise InvalidInput(f"volume device {device!r} is not an absolute path", subject=device)
    return Filesystem("bind", os.path.normpath(device), flags)
