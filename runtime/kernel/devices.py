"""The nodes of a container's /dev (runtime-spec config-linux.md, "Default Devices")."""

from __future__ import annotations

import errno
import os
import stat

from runtime.kernel import filesystems, rootpath, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["bind_console", "create_devices"]

_LINKS = (
    ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"), ("core", "/proc/kcore"), ("ptmx", "pts/ptmx"),
)  # fmt: skip
_TYPES = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


def create_devices(root_fd: int, devices: Iterable[tuple[str, str, int, int, int]]) -> None:
    """Make (path, type, major, minor, mode) nodes and the standard links in the root's /dev.

    /dev must be the container's own (a tmpfs of the plan): with the host's bound there, do not call this.
    Where the kernel forbids nodes (EPERM), the host's node is bound over an empty file. What exists already
    as that node stays; anything else in its place is EEXIST. Raises SyscallError.
    """
    previous = os.umask(0)
    try:
        for path, kind, major, minor, mode in devices:
            parent, _separator, name = ("/" + path.strip("/")).rpartition("/")
            parent_fd = rootpath.make_in_root(root_fd, parent or "/", True, follow=False)
            try:
                _create(parent_fd, name, path, _TYPES[kind], os.makedev(major, minor), mode)
            finally:
                os.close(parent_fd)
        dev = rootpath.make_in_root(root_fd, "/dev", True, follow=False)
        try:
            for name, target in _LINKS:
                try:
                    os.symlink(target, name, dir_fd=dev)
                except FileExistsError:
                    continue
        finally:
            os.close(dev)
    finally:
        os.umask(previous)


def _create(parent_fd: int, name: str, path: str, kind: int, device: int, mode: int) -> None:
    try:
        os.mknod(name, kind | mode & 0o7777, device, dir_fd=parent_fd)
    except FileExistsError:
        info = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
        if stat.S_IFMT(info.st_mode) != kind or (kind != stat.S_IFIFO and info.st_rdev != device):
            raise syscalls.SyscallError("mknod", path, errno.EEXIST) from None
    except PermissionError:
        _bind_host_node(parent_fd, name, path, kind, device)
    except OSError as error:
        raise syscalls.SyscallError("mknod", path, error.errno or 0) from error


def _bind_host_node(parent_fd: int, name: str, path: str, kind: int, device: int) -> None:
    mount_fd = filesystems.clone_tree(syscalls.AT_FDCWD, path, recursive=False)
    try:
        info = os.fstat(mount_fd)
        if stat.S_IFMT(info.st_mode) != kind or info.st_rdev != device:
            raise syscalls.SyscallError("mknod", path, errno.EPERM)
        target = rootpath.make_in_root(parent_fd, name, False, follow=False, mode=0)
        try:
            filesystems.attach(mount_fd, target, path)
        finally:
            os.close(target)
    finally:
        os.close(mount_fd)


def bind_console(root_fd: int, slave_fd: int) -> None:
    """Bind the terminal that ``slave_fd`` is over /dev/console, which must not be a link (CVE-2025-52565).

    The descriptor is bound, not its path, and it must be a pseudo-terminal (major 136 to 143).
    """
    info = os.fstat(slave_fd)
    if not stat.S_ISCHR(info.st_mode) or not 136 <= os.major(info.st_rdev) <= 143:
        raise syscalls.SyscallError("mount", "console on /dev/console", errno.ENOTTY)
    target = rootpath.make_in_root(root_fd, "/dev/console", False, follow=False, mode=0o600)
    try:
        mount_fd = filesystems.clone_tree(slave_fd, "", recursive=False)
        try:
            filesystems.attach(mount_fd, target, "console on /dev/console")
        finally:
            os.close(mount_fd)
    finally:
        os.close(target)
