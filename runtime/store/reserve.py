"""Some space that is kept for the database, so that a full disk can be mended with our own commands.

Even a reader of a WAL database needs space (32 KiB of shared index), and ``rm`` needs some more before it
frees any. So a file of :data:`SIZE` bytes lies beside the database; a command that finds the disk full takes
it away first, and one that finds space again puts it back.
"""

from __future__ import annotations

import os
from contextlib import suppress

__all__ = ["SIZE", "adjust"]

SIZE = 1 << 20
_PLENTY = 32 << 20
"""Free bytes below which the reserve is not made: it would be among what fills the disk."""


def adjust(directory: str) -> None:
    """Give the reserve up when the disk of ``directory`` is full, make it when there is plenty. Never raises:
    without it a full disk is only harder to mend."""
    path = f"{directory}/reserve"
    with suppress(OSError):
        info = os.statvfs(directory)
        free = info.f_bfree * info.f_frsize
        if free < SIZE:
            os.unlink(path)  # noqa: PTH108 - pathlib costs this path more than it says
        elif free > _PLENTY and not os.access(path, os.F_OK):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, SIZE)
            finally:
                os.close(fd)
