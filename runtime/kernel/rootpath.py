"""Paths inside a root file system, through one door.

What lies below a container's root is written by the image and by the container: any component may be a
symbolic link, and may become one while we look. So a path is resolved by the kernel, with the root as its
"/" (openat2(2), RESOLVE_IN_ROOT), never through magic links, and what comes back is a descriptor: to be
used as such, not resolved again.
"""

from __future__ import annotations

import errno
import os

from runtime.kernel import syscalls

__all__ = ["make_in_root", "open_in_root"]

_MAX_LINKS = 40


def open_in_root(root_fd: int, path: str, flags: int, *, follow: bool = True, mode: int = 0) -> int:
    """``path`` (absolute or relative, both from the root) as a close-on-exec descriptor.

    ``follow`` False refuses any symbolic link on the way (ELOOP). Raises SyscallError.
    """
    resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
    if not follow:
        resolve |= syscalls.RESOLVE_NO_SYMLINKS
    while True:
        try:
            return syscalls.openat2(root_fd, path or "/", flags, mode, resolve)
        except syscalls.SyscallError as error:
            # EAGAIN: a rename elsewhere raced with "..", and the kernel cannot tell that we stayed inside.
            if error.errno != errno.EAGAIN:
                raise


def make_in_root(root_fd: int, path: str, directory: bool, *, follow: bool = True, mode: int = 0o755) -> int:
    """An O_PATH descriptor of ``path``, which is made when missing: a directory, or an empty file.

    Missing parents are made as directories (0755). Every step goes from a descriptor, so a component that is
    exchanged meanwhile is either refused or still inside the root. Links that dangle are followed, in the
    root, as they would be by a program inside. Raises SyscallError.
    """
    final = os.O_PATH | (os.O_DIRECTORY if directory else 0)
    for _attempt in range(_MAX_LINKS):
        try:
            return open_in_root(root_fd, path, final, follow=follow)
        except syscalls.SyscallError as error:
            if error.errno != errno.ENOENT:
                raise
        path = _make_missing(root_fd, path, directory, follow, mode)
    raise syscalls.SyscallError("open", path, errno.ELOOP)


def _make_missing(root_fd: int, path: str, directory: bool, follow: bool, mode: int) -> str:
    """Make what is missing until a dangling link turns up; returns the path to go on with."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    parent = open_in_root(root_fd, "/", os.O_PATH | os.O_DIRECTORY)
    try:
        for index, name in enumerate(parts):
            last = index == len(parts) - 1
            prefix = "/".join(parts[: index + 1])
            try:
                child = open_in_root(
                    root_fd, prefix, os.O_PATH | (0 if last else os.O_DIRECTORY), follow=follow
                )
            except syscalls.SyscallError as error:
                if error.errno != errno.ENOENT:
                    raise
                target = _make(parent, name, directory or not last, mode if last else 0o755)
                if target is not None:
                    if not follow:
                        raise syscalls.SyscallError("open", path, errno.ELOOP) from error
                    base = "" if target.startswith("/") else "/".join(parts[:index]) + "/"
                    return "/".join([base + target, *parts[index + 1 :]])
                child = open_in_root(root_fd, prefix, os.O_PATH, follow=follow)
            os.close(parent)
            parent = child
    finally:
        os.close(parent)
    return path


def _make(parent: int, name: str, directory: bool, mode: int) -> str | None:
    """Make one entry; None when it is there now, or the target when a symbolic link is in its place."""
    try:
        if directory:
            os.mkdir(name, mode, dir_fd=parent)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(name, flags, mode, dir_fd=parent))
    except FileExistsError:
        try:
            return os.readlink(name, dir_fd=parent)
        except OSError:
            return None
    except OSError as error:
        raise syscalls.SyscallError("mkdir" if directory else "create", name, error.errno or 0) from error
    return None
