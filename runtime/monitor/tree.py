"""Removing a directory tree that a container wrote: by descriptors, following no link."""

from __future__ import annotations

import os

__all__ = ["remove_tree"]


def remove_tree(path: str, dir_fd: int | None = None) -> None:
    """Everything below ``path`` and itself; missing is fine. Raises OSError for what cannot be removed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        os.unlink(path, dir_fd=dir_fd)
        return
    try:
        with os.scandir(fd) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_directory in found:
            if is_directory:
                remove_tree(name, fd)
            else:
                try:
                    os.unlink(name, dir_fd=fd)
                except FileNotFoundError:
                    pass
    finally:
        os.close(fd)
    try:
        os.rmdir(path, dir_fd=dir_fd)
    except FileNotFoundError:
        pass
