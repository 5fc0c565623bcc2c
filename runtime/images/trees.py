"""Directory trees, handled through descriptors: nothing is ever followed out of them."""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from pathlib import Path

from runtime.errors import InvalidInput

__all__ = ["OPAQUE", "RootWalker", "is_whiteout", "split_name"]

OPAQUE = "trusted.overlay.opaque"
"""The xattr that makes overlayfs hide a directory's lower contents (kernel.org, overlayfs.rst)."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_LINKS = 40
_MAX_OPEN = 256
_MAX_DEPTH = 256


def split_name(name: bytes) -> list[bytes]:
    """The components of an archive's name, cleaned: "/a/./b//c/../d" gives a, b, d.

    Raises InvalidInput when it leads out ("../x"), is not a possible name or is absurdly deep.
    """
    if b"\0" in name:
        raise InvalidInput(f"a name with a zero byte in the archive: {os.fsdecode(name)!r}")
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise InvalidInput(f"a path that leads out of the archive: {os.fsdecode(name)!r}")
            parts.pop()
        elif part and part != b".":
            parts.append(part)
    if len(parts) > _MAX_DEPTH or len(name) > 4096:
        raise InvalidInput(f"a path that is too deep in the archive: {os.fsdecode(name[:60])!r}...")
    return parts


def is_whiteout(info: os.stat_result) -> bool:
    """overlayfs marks a removed name with a 0/0 character device."""
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


class RootWalker:
    """Finds directories below a root as a process confined to it would: symlinks, absolute ones included,
    are resolved within. Every step opens one component with O_NOFOLLOW relative to its parent's descriptor.

    Nobody else may change the tree meanwhile; whoever replaces a directory or a symlink calls ``forget``.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._open: dict[bytes, int] = {b"": self._root}
        self._resolved: dict[bytes, bytes] = {b"": b""}
        self.made: list[bytes] = []
        """Real paths of directories that were missing on a way and were made (0755, root's)."""

    def close(self) -> None:
        self.forget()
        os.close(self._root)

    def forget(self) -> None:
        """Drop what was remembered of the way to directories."""
        for path, fd in self._open.items():
            if path:
                os.close(fd)
        self._open = {b"": self._root}
        self._resolved = {b"": b""}

    def directory(self, parts: list[bytes], *, create: bool = True) -> tuple[int, bytes]:
        """(descriptor, real path from the root) of a directory; the descriptor is borrowed.

        Raises FileNotFoundError without ``create``, InvalidInput when something else is in the way.
        """
        wanted = b"/".join(parts)
        real = self._resolved.get(wanted)
        if real is not None:
            return self._open[real], real
        if len(self._open) >= _MAX_OPEN:
            self.forget()
        real = self._resolve(parts, create)
        self._resolved[wanted] = real
        return self._open[real], real

    def _resolve(self, parts: list[bytes], create: bool) -> bytes:
        todo = deque(parts)
        done: list[bytes] = []
        fd, real, links = self._root, b"", 0
        while todo:
            part = todo.popleft()
            if part in (b"", b"."):
                continue
            if part == b"..":
                if done:
                    done.pop()
                real = b"/".join(done)
                fd = self._open[real]
                continue
            path = real + b"/" + part if real else part
            known = self._open.get(path)
            if known is None:
                try:
                    known = self._step(fd, part, path, create)
                except _Link as link:
                    links += 1
                    if links > _MAX_LINKS:
                        raise InvalidInput(
                            f"too many symbolic links in the archive: {os.fsdecode(b'/'.join(parts))!r}"
                        ) from None
                    todo.extendleft(reversed(link.target.split(b"/")))
                    if link.target.startswith(b"/"):
                        done, fd, real = [], self._root, b""
                    continue
                self._open[path] = known
            done.append(part)
            fd, real = known, path
        return real

    def _step(self, fd: int, part: bytes, path: bytes, create: bool) -> int:
        try:
            return os.open(part, _DIRECTORY, dir_fd=fd)
        except FileNotFoundError:
            if not create:
                raise
            os.mkdir(part, 0o755, dir_fd=fd)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            info = os.stat(part, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISLNK(info.st_mode):
                raise _Link(os.readlink(part, dir_fd=fd)) from None
            if not is_whiteout(info) or not create:
                raise InvalidInput(f"not a directory in the archive: {os.fsdecode(path)!r}") from None
            os.unlink(part, dir_fd=fd)
            os.mkdir(part, 0o755, dir_fd=fd)
            opened = os.open(part, _DIRECTORY, dir_fd=fd)
            os.setxattr(opened, OPAQUE, b"y")
            os.fchmod(opened, 0o755)
            self.made.append(path)
            return opened
        opened = os.open(part, _DIRECTORY, dir_fd=fd)
        os.fchmod(opened, 0o755)
        self.made.append(path)
        return opened


class _Link(Exception):
    def __init__(self, target: bytes) -> None:
        self.target = target
