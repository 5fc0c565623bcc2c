"""Mounts as descriptors: a new file system or a copy of a tree, detached, configured, then attached.

A detached mount is known for what it is before anybody can reach it, and it is attached to a descriptor
rather than to a path, so nothing that an image or another process puts at a path can redirect it.
"""

from __future__ import annotations

import errno
import os

from runtime.kernel import syscalls

__all__ = ["attach", "attributes", "clone_tree", "new_filesystem", "set_attributes"]

_PROPAGATION = syscalls.MS_PRIVATE | syscalls.MS_SLAVE | syscalls.MS_SHARED | syscalls.MS_UNBINDABLE
_ATIME = syscalls.MS_NOATIME | syscalls.MS_STRICTATIME | syscalls.MS_RELATIME
_SUPERBLOCK = {
    syscalls.MS_SYNCHRONOUS: "sync",
    syscalls.MS_DIRSYNC: "dirsync",
    syscalls.MS_LAZYTIME: "lazytime",
    syscalls.MS_MANDLOCK: "mand",
}


def attributes(flags: int) -> int:
    """The MOUNT_ATTR_* equivalent of MS_* flags; those of the superblock are left out."""
    out = flags & (syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    if flags & syscalls.MS_NOATIME:
        out |= syscalls.MOUNT_ATTR_NOATIME
    elif flags & syscalls.MS_STRICTATIME:
        out |= syscalls.MOUNT_ATTR_STRICTATIME
    if flags & syscalls.MS_NODIRATIME:
        out |= syscalls.MOUNT_ATTR_NODIRATIME
    if flags & syscalls.MS_NOSYMFOLLOW:
        out |= syscalls.MOUNT_ATTR_NOSYMFOLLOW
    return out


def new_filesystem(fstype: str, source: str, flags: int, data: str) -> int:
    """A new file system, detached: a descriptor of its root. ``data`` is mount(8)'s "key=value,key".

    Read-only and the like apply to the mount, not to a superblock that others may share.
    Raises SyscallError; ENODEV for an unknown type.
    """
    context = syscalls.fsopen(fstype)
    try:
        if source:
            syscalls.fsconfig_set_string(context, "source", source)
        for flag, name in _SUPERBLOCK.items():
            if flags & flag:
                syscalls.fsconfig_set_flag(context, name)
        for option in data.split(",") if data else []:
            key, separator, value = option.partition("=")
            if separator:
                syscalls.fsconfig_set_string(context, key, value)
            elif key:
                syscalls.fsconfig_set_flag(context, key)
        syscalls.fsconfig_create(context, fstype)
        return syscalls.fsmount(context, attributes(flags), fstype)
    finally:
        os.close(context)


def clone_tree(dirfd: int, path: str, recursive: bool) -> int:
    """A detached copy of what is mounted at ``path`` ("" is ``dirfd`` itself): what a bind mount attaches."""
    flags = syscalls.OPEN_TREE_CLONE
    if recursive:
        flags |= syscalls.AT_RECURSIVE
    if not path:
        flags |= syscalls.AT_EMPTY_PATH
    return syscalls.open_tree(dirfd, path, flags)


def set_attributes(mount_fd: int, flags: int, *, recursive: bool, propagation: int = 0) -> bool:
    """Add the MS_* ``flags`` to a mount (others stay) and change its propagation.

    False when the kernel (before 5.12) cannot do it to a detached mount: attach it, then use
    :func:`set_attributes_attached`.
    """
    wanted = attributes(flags)
    kind = propagation & _PROPAGATION
    try:
        if wanted or flags & _ATIME:
            syscalls.mount_setattr(
                mount_fd,
                "",
                syscalls.AT_EMPTY_PATH | (syscalls.AT_RECURSIVE if recursive else 0),
                attr_set=wanted,
                attr_clr=syscalls.MOUNT_ATTR__ATIME if flags & _ATIME else 0,
            )
        if kind:
            deep = syscalls.AT_RECURSIVE if propagation & syscalls.MS_REC else 0
            syscalls.mount_setattr(mount_fd, "", syscalls.AT_EMPTY_PATH | deep, propagation=kind)
    except syscalls.SyscallError as error:
        if error.errno != errno.ENOSYS:
            raise
        return False
    return True


_ST_FLAGS = (
    (os.ST_RDONLY, syscalls.MS_RDONLY), (os.ST_NOSUID, syscalls.MS_NOSUID), (os.ST_NODEV, syscalls.MS_NODEV),
    (os.ST_NOEXEC, syscalls.MS_NOEXEC), (os.ST_NOATIME, syscalls.MS_NOATIME),
    (os.ST_NODIRATIME, syscalls.MS_NODIRATIME), (os.ST_RELATIME, syscalls.MS_RELATIME),
)  # fmt: skip


def set_attributes_attached(mount_fd: int, flags: int, propagation: int = 0) -> None:
    """The same for an attached mount on an old kernel: mount(2), MS_REMOUNT | MS_BIND, which replaces the
    flags, so those in force are given again. The host's /proc must be visible."""
    path = f"/proc/self/fd/{mount_fd}"
    kept = 0
    in_force = os.fstatvfs(mount_fd).f_flag
    for st_flag, ms_flag in _ST_FLAGS:
        if in_force & st_flag and not (ms_flag & _ATIME and flags & _ATIME):
            kept |= ms_flag
    wanted = flags & ~(syscalls.MS_BIND | syscalls.MS_REC | _PROPAGATION)
    if wanted:
        syscalls.mount(None, path, None, syscalls.MS_REMOUNT | syscalls.MS_BIND | wanted | kept)
    if propagation & _PROPAGATION:
        syscalls.mount(None, path, None, propagation & (_PROPAGATION | syscalls.MS_REC))


def attach(mount_fd: int, target_fd: int, what: str) -> None:
    """Make a detached mount visible on ``target_fd`` (O_PATH). ``what`` is for the error: "proc on /proc"."""
    syscalls.move_mount(mount_fd, target_fd, what)
