"""Content digests of files, remembered by what ``stat`` tells of them, so a cached build reads no content.

A digest is remembered only when the file's change time lies some time back: a file that is still being
written could change again within the clock's step and look the same.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import time
from contextlib import suppress
from pathlib import Path

from runtime.images.layer_view import Node

__all__ = ["FileDigests"]

_SETTLED = 2_000_000_000
_CHUNK = 1 << 20
_VERSION = 1

Key = tuple[int, int, int, int, int]


class FileDigests:
    """``memo`` is a file of ours (below a directory that only root reads); a broken one is begun anew."""

    def __init__(self, memo: Path) -> None:
        self._memo = memo
        self._known: dict[Key, bytes] = {}
        self._used: dict[Key, bytes] = {}
        self._fresh = False
        try:
            version, known = marshal.loads(memo.read_bytes())
        except (OSError, ValueError, EOFError, TypeError):
            return
        if version == _VERSION:
            self._known = known

    def digest(self, node: Node) -> bytes:
        """SHA-256 of a regular file's bytes. Raises OSError when it vanished or cannot be read."""
        stat = node.stat
        key = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        found = self._known.get(key) or self._used.get(key)
        if found is None:
            found = _hash(node.real)
            if time.time_ns() - max(stat.st_ctime_ns, stat.st_mtime_ns) < _SETTLED:
                return found
            self._fresh = True
        self._used[key] = found
        return found

    def save(self) -> None:
        """Write what was used, in one piece; two builds at once: the later one wins. Never raises: without it
        the next build only has more to read."""
        if not self._fresh:
            return
        part = self._memo.with_name(f"{self._memo.name}.{os.getpid()}")
        kept = {**self._known, **self._used} if self._partial else self._used
        try:
            self._memo.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.write_bytes(marshal.dumps((_VERSION, kept)))
            part.replace(self._memo)
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        self._fresh = False

    @property
    def _partial(self) -> bool:
        """Less than half of what is known was used: another COPY of the same context may want the rest."""
        return len(self._used) * 2 < len(self._known)


def _hash(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        digest = hashlib.sha256()
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        return digest.digest()
