"""What lies in a container's upper directory without its doing: the places that we mount on.

docker keeps them in a layer of their own; here a start makes them where the image lacks them, so diff and
commit look through them.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from runtime.containers.defaults import MOUNTS
from runtime.context import Context
from runtime.model.container import Container

__all__ = ["is_mount_point", "open_upper"]

_DIRECTORIES = frozenset((*(mount["destination"] for mount in MOUNTS), "/dev/shm"))
_FILES = frozenset(("/etc/hosts", "/etc/hostname", "/etc/resolv.conf"))


def open_upper(ctx: Context, container: Container) -> int:
    """A descriptor of the directory."""
    path: Path = ctx.paths.container(container.id) / "upper"
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def is_mount_point(path: str, info: os.stat_result, empty: bool) -> bool:
    """Whether ``path`` (from the container's root) is such a place that the image does not have: an empty
    directory or file. ``empty`` is about a directory."""
    if path in _FILES:
        return stat.S_ISREG(info.st_mode) and info.st_size == 0
    return path in _DIRECTORIES and stat.S_ISDIR(info.st_mode) and empty
