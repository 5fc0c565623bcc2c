"""Removing a directory tree that strangers wrote: by descriptors, following no link, however deep it is."""

from __future__ import annotations

import errno
import os

__all__ = ["remove_entry", "remove_tree"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEEPEST = 100
"""Levels held open at once. What lies deeper is first moved up, so that a tree of any depth needs few
descriptors: a container may nest more directories than a process may open files."""


def remove_tree(path: str | os.PathLike[str]) -> None:
    """Everything below ``path`` and itself; a missing one is fine. Raises OSError."""
    text = os.path.abspath(path)
    try:
        parent = os.open(os.path.dirname(text), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        remove_entry(parent, os.fsencode(os.path.basename(text)))
    finally:
        os.close(parent)


def remove_entry(parent: int, name: bytes) -> None:
    """``name`` in the directory ``parent`` (a descriptor), whatever it is; a missing one is fine."""
    try:
        os.unlink(name, dir_fd=parent)
        return
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.EISDIR, errno.EPERM):
            raise
    levels: list[tuple[int, bytes, list[bytes]]] = []
    try:
        try:
            fd = os.open(name, _DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            return
        levels.append((fd, name, _names(fd)))
        while levels:
            fd, own, names = levels[-1]
            if not names:
                os.close(fd)
                levels.pop()
                try:
                    os.rmdir(own, dir_fd=levels[-1][0] if levels else parent)
                except FileNotFoundError:  # another process removes the same tree
                    pass
                continue
            child = names.pop()
            try:
                os.unlink(child, dir_fd=fd)
            except FileNotFoundError:
                continue
            except IsADirectoryError:
                if len(levels) >= _DEEPEST:
                    levels[0][2].append(_move_up(fd, child, levels[0][0]))
                    continue
                try:
                    below = os.open(child, _DIRECTORY, dir_fd=fd)
                except FileNotFoundError:
                    continue
                levels.append((below, child, _names(below)))
    finally:
        for fd, _, _ in levels:
            os.close(fd)


def _names(fd: int) -> list[bytes]:
    with os.scandir(fd) as entries:
        return [os.fsencode(entry.name) for entry in entries]


def _move_up(fd: int, child: bytes, top: int) -> bytes:
    """Give the directory ``child`` of ``fd`` a free name in ``top``."""
    number = 0
    while True:
        name = b".deep-%d" % number
        try:
            os.rename(child, name, src_dir_fd=fd, dst_dir_fd=top)
            return name
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
        number += 1
