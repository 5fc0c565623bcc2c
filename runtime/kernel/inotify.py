"""Being woken when something in a directory changes: inotify(7)."""

from __future__ import annotations

import os
import select
import struct
import time

from runtime.kernel import libc

__all__ = ["DirectoryWatch"]

IN_MODIFY = 0x00000002
IN_MOVED_TO = 0x00000080
IN_CREATE = 0x00000100
IN_DELETE_SELF = 0x00000400
IN_ONLYDIR = 0x01000000
_MASK = IN_MODIFY | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_ONLYDIR
_EVENT = struct.Struct("iIII")
"""struct inotify_event: the watch, the mask, a cookie, the length of the name that follows."""


class DirectoryWatch:
    """Any number of directories under one descriptor; files below sub-directories do not count."""

    def __init__(self) -> None:
        """Raises SyscallError: EMFILE when the user has too many (fs.inotify.max_user_instances)."""
        self._fd = libc.check(libc.call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init1")

    def add(self, directory: str) -> None:
        """Raises SyscallError: ENOENT, or ENOSPC (fs.inotify.max_user_watches)."""
        path = libc.encoded(directory)
        libc.check(libc.call("inotify_add_watch", self._fd, path, _MASK), "inotify_add_watch", directory)

    def wait(self, seconds: float, *, ignore: bytes = b"") -> set[bytes]:
        """The names of what changed, as soon as there is one beside ``ignore``; empty after ``seconds``."""
        deadline = time.monotonic() + seconds
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        while True:
            left = deadline - time.monotonic()
            if left < 0 or not poller.poll(left * 1000):
                return set()
            names = self._names() - {ignore}
            if names:
                return names

    def _names(self) -> set[bytes]:
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return set()
        names = set()
        place = 0
        while place < len(data):
            *_, length = _EVENT.unpack_from(data, place)
            place += _EVENT.size + length
            names.add(data[place - length : place].rstrip(b"\0"))
        return names

    def close(self) -> None:
        os.close(self._fd)
