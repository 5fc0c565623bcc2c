"""Locks of open files (flock(2)): the kernel drops them with the last descriptor, whoever dies."""

from __future__ import annotations

import fcntl
import os

__all__ = ["Exclusive"]


class Exclusive:
    """``with Exclusive(fd) as ours``: True while the lock is ours alone; False, at once, when another has it,
    unless we are to wait. ``fd`` is closed at the end."""

    def __init__(self, fd: int, *, wait: bool = False) -> None:
        self._fd = fd
        self._wait = wait

    def __enter__(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | (0 if self._wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except BaseException:
            os.close(self._fd)
            raise
        return True

    def __exit__(self, *error: object) -> None:
        os.close(self._fd)
