"""Hiding and write-protecting paths of a container (runtime-spec config-linux.md, "Masked paths").

Runs after the pivot, where every path is the container's: no link is followed, sources are proven to be what
they should be, and mounts go onto descriptors (CVE-2025-31133).
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.kernel import filesystems, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["mask_paths", "readonly_paths", "set_rootfs_readonly"]

_PLAIN = syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_MAGICLINKS


def _open_plain(path: str) -> int:
    """O_PATH, following no link; -1 when there is no such thing."""
    try:
        return syscalls.openat2(syscalls.AT_FDCWD, path, os.O_PATH, 0, _PLAIN)
    except syscalls.SyscallError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return -1
        raise


def _null() -> int:
    """/dev/null, proven to be the null device and not something the image put there."""
    fd = syscalls.openat2(syscalls.AT_FDCWD, "/dev/null", os.O_PATH, 0, _PLAIN)
    info = os.fstat(fd)
    if not stat.S_ISCHR(info.st_mode) or info.st_rdev != os.makedev(1, 3):
        os.close(fd)
        raise syscalls.SyscallError("mask", "with /dev/null, which is not the null device", errno.ENODEV)
    return fd


def mask_paths(paths: Iterable[str]) -> None:
    """Cover files with /dev/null and directories with an empty read-only tmpfs; missing ones are ignored.

    Raises SyscallError when a path leads over a link.
    """
    null = -1
    empty = -1
    try:
        for path in paths:
            target = _open_plain(path)
            if target < 0:
                continue
            try:
                if stat.S_ISDIR(os.fstat(target).st_mode):
                    cover = (
                        _empty_directory()
                        if empty < 0
                        else filesystems.clone_tree(empty, "", recursive=False)
                    )
                else:
                    null = _null() if null < 0 else null
                    cover = filesystems.clone_tree(null, "", recursive=False)
                try:
                    filesystems.attach(cover, target, f"mask on {path}")
                except BaseException:
                    os.close(cover)
                    raise
                if empty < 0 and stat.S_ISDIR(os.fstat(cover).st_mode):
                    empty = cover  # attached now, so that it can be copied for the next directory
                else:
                    os.close(cover)
            finally:
                os.close(target)
    finally:
        for fd in (null, empty):
            if fd >= 0:
                os.close(fd)


def _empty_directory() -> int:
    flags = syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    return filesystems.new_filesystem("tmpfs", "tmpfs", flags, "nr_blocks=1,nr_inodes=1")


def readonly_paths(paths: Iterable[str]) -> None:
    """Bind each path over itself, read-only with what is mounted below it; missing ones are ignored."""
    for path in paths:
        target = _open_plain(path)
        if target < 0:
            continue
        try:
            mount_fd = filesystems.clone_tree(target, "", recursive=True)
            try:
                done = filesystems.set_attributes(mount_fd, syscalls.MS_RDONLY, recursive=True)
                filesystems.attach(mount_fd, target, f"read-only on {path}")
                if not done:
                    filesystems.set_attributes_attached(mount_fd, syscalls.MS_RDONLY)
            finally:
                os.close(mount_fd)
        finally:
            os.close(target)


def set_rootfs_readonly() -> None:
    """The root mount alone: what is mounted below it keeps its own mode."""
    fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not filesystems.set_attributes(fd, syscalls.MS_RDONLY, recursive=False):
            filesystems.set_attributes_attached(fd, syscalls.MS_RDONLY)
    finally:
        os.close(fd)
