"""A bundle's root file system inside the new mount namespace: mounts, devices, then the pivot.

The mounts themselves are :mod:`runtime.kernel.mounts`'; here is what only a bundle asks for: flags for or
taken from a whole tree, tmpfs that starts with a copy of what it covers, control groups without a namespace.
"""

from __future__ import annotations

import os
import stat
from typing import Any

from runtime.kernel import idmap, mountinfo, mounts, rootpath, syscalls
from runtime.kernel.masks import mask_paths, readonly_paths, set_rootfs_readonly
from runtime.monitor import userns

__all__ = ["enter", "prepare"]

Plan = dict[str, Any]


def prepare(plan: Plan) -> None:
    """Everything below the root, which becomes a mount; other namespaces see nothing of it."""
    mounts.prepare_root(plan["rootfs"], plan["root_propagation"] | syscalls.MS_REC)
    root = os.open(plan["rootfs"], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for item in plan["mounts"]:
            if item["type"] == "cgroup" and "cgroup" not in plan["namespaces"]:
                _own_groups(root, item, plan["cgroup"])
            elif item["type"] == "tmpfs":
                _tmpfs(root, item)
            else:
                mounts.mount_all(root, [item])
            _attributes(root, item)
        # A /dev that is the host's is left as it is.
        if not any(item["destination"] == "/dev" and item["type"] == "bind" for item in plan["mounts"]):
            mounts.create_devices(root, plan["devices"])
            for path, uid, gid in plan["device_owners"]:
                parent, name = os.path.split(path)
                directory = rootpath.open_in_root(root, parent, os.O_PATH | os.O_DIRECTORY, follow=False)
                os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=False)
                os.close(directory)
    finally:
        os.close(root)


def _attributes(root: int, item: dict[str, Any]) -> None:
    extra = item["extra"]
    if not (extra["set"] or extra["clear"] or extra["clear_top"]) or item["type"] == "cgroup":
        return
    fd = rootpath.open_in_root(root, item["destination"], os.O_PATH)
    try:
        if extra["clear_top"] and item["type"] == "bind":
            syscalls.mount_setattr(fd, "", syscalls.AT_EMPTY_PATH, attr_clr=extra["clear_top"])
        if extra["set"] or extra["clear"]:
            deep = syscalls.AT_EMPTY_PATH | syscalls.AT_RECURSIVE
            syscalls.mount_setattr(fd, "", deep, attr_set=extra["set"], attr_clr=extra["clear"])
    finally:
        os.close(fd)


def _tmpfs(root: int, item: dict[str, Any]) -> None:
    """With the mode, and for tmpcopyup the content, of the directory that it covers (as runc has it). It is
    read-only only when it is complete."""
    below = -1
    try:
        below = rootpath.open_in_root(root, item["destination"], os.O_RDONLY | os.O_DIRECTORY)
    except syscalls.SyscallError as error:
        if error.errno != 2:  # ENOENT: the mount makes it
            raise
    data = item["data"]
    if below >= 0 and not any(option.startswith("mode=") for option in data.split(",")):
        data = ",".join(filter(None, [data, f"mode={os.fstat(below).st_mode & 0o7777:o}"]))
    copying = below >= 0 and item["extra"]["copy_up"]
    flags = item["flags"] & ~syscalls.MS_RDONLY if copying else item["flags"]
    mounts.mount_all(root, [{**item, "data": data, "flags": flags}])  # type: ignore[typeddict-item]
    if copying:
        top = rootpath.open_in_root(root, item["destination"], os.O_RDONLY | os.O_DIRECTORY)
        _copy(below, top)
        if item["flags"] & syscalls.MS_RDONLY:
            syscalls.mount_setattr(top, "", syscalls.AT_EMPTY_PATH, attr_set=syscalls.MOUNT_ATTR_RDONLY)
        os.close(top)
    if below >= 0:
        os.close(below)


def _copy(source: int, target: int) -> None:
    """A directory's content by descriptors, following no link; special files are left out."""
    for entry in os.listdir(source):
        info = os.stat(entry, dir_fd=source, follow_symlinks=False)
        if stat.S_ISLNK(info.st_mode):
            os.symlink(os.readlink(entry, dir_fd=source), entry, dir_fd=target)
        elif stat.S_ISDIR(info.st_mode):
            os.mkdir(entry, 0o700, dir_fd=target)
            below = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=source)
            copy = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=target)
            _copy(below, copy)
            os.close(below)
            os.close(copy)
        elif stat.S_ISREG(info.st_mode):
            _copy_file(source, target, entry)
        else:
            continue
        os.chown(entry, info.st_uid, info.st_gid, dir_fd=target, follow_symlinks=False)
        if not stat.S_ISLNK(info.st_mode):
            os.chmod(entry, stat.S_IMODE(info.st_mode), dir_fd=target)
        os.utime(entry, ns=(info.st_atime_ns, info.st_mtime_ns), dir_fd=target, follow_symlinks=False)


def _copy_file(source: int, target: int, entry: str) -> None:
    reader = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=source)
    writer = os.open(entry, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=target)
    while piece := os.read(reader, 1 << 20):
        while piece:
            piece = piece[os.write(writer, piece) :]
    os.close(reader)
    os.close(writer)


def _own_groups(root: int, item: dict[str, Any], cgroup: str) -> None:
    """Without a cgroup namespace a new mount would show the machine's groups (CVE-2022-0492); bind the
    container's own alone."""
    extra = {**item["extra"], "set": 0, "clear": 0, "clear_top": 0}
    entries = [entry for entry in mountinfo.read(contains=" - cgroup") if entry.fstype.startswith("cgroup")]
    legacy = {entry.super_options: entry for entry in entries if entry.fstype == "cgroup"}
    bind = {**item, "type": "bind", "data": "", "extra": extra}
    if not legacy:
        mounts.mount_all(root, [{**bind, "source": entries[0].mount_point + cgroup}])  # type: ignore[typeddict-item]
        return
    destination = item["destination"]
    top = {**item, "type": "tmpfs", "source": "cgroup", "flags": item["flags"] & ~syscalls.MS_RDONLY}
    mounts.mount_all(root, [{**top, "data": "mode=755,size=64k"}])  # type: ignore[typeddict-item]
    directory = rootpath.open_in_root(root, destination, os.O_RDONLY | os.O_DIRECTORY, follow=False)
    try:
        for entry in legacy.values():
            name = os.path.basename(entry.mount_point)
            place = {"destination": f"{destination}/{name}", "source": entry.mount_point + cgroup}
            mounts.mount_all(root, [{**bind, **place}])  # type: ignore[typeddict-item]
            for alias in name.split(",") if "," in name else ():
                os.symlink(name, alias, dir_fd=directory)
        if item["flags"] & syscalls.MS_RDONLY:
            syscalls.mount_setattr(directory, "", syscalls.AT_EMPTY_PATH, attr_set=syscalls.MOUNT_ATTR_RDONLY)
    finally:
        os.close(directory)


def enter(plan: Plan) -> None:
    """Names, the pivot, and what is hidden or read-only from then on. Raises SyscallError."""
    if "uts" in plan["namespaces"]:
        if plan["hostname"]:
            syscalls.sethostname(plan["hostname"])
        if plan["domainname"]:
            syscalls.setdomainname(plan["domainname"])
    mounts.pivot(plan["rootfs"])
    shown = plan["root_propagation"] & (syscalls.MS_SHARED | syscalls.MS_UNBINDABLE)
    if shown:
        syscalls.mount(None, "/", None, shown | plan["root_propagation"] & syscalls.MS_REC)
    if plan["userns"] and plan["sysctls"]:
        idmap.owner_of_namespaces(userns.root_of(plan)[0])
    for path, value in plan["sysctls"]:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, str(value).encode())
        except OSError as error:
            raise syscalls.SyscallError("write", f"{value} to {path}", error.errno or 0) from error
        finally:
            os.close(fd)
    if plan["userns"]:
        idmap.act_as(*userns.root_of(plan))
    readonly_paths(plan["readonly_paths"])
    mask_paths(plan["masked_paths"])
    if plan["readonly_rootfs"]:
        set_rootfs_readonly()
