"""Content digests of directory trees, remembered by what ``stat`` tells, so a cached build reads no content.

A directory is remembered as one string of bytes: the names in it and each entry's mode, inode, owner, size
and times. As long as it is the same, what was computed from it holds (one digest for the directory's visible
entries, and which directories to go on with); when it differs, the entries that are the same keep theirs.

What changed only just before it was read is not remembered: it could change again within the clock's step and
look the same (git calls such files racy, Documentation/technical/racy-git.txt).
"""

from __future__ import annotations

import errno
import marshal
import os
import stat as stat_bits
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from runtime.model.hashing import sha256

__all__ = ["Filter", "TreeDigests"]

_SETTLED = 2_000_000_000
"""Nanoseconds; FAT, the coarsest, counts in steps of two seconds."""
_CHUNK = 1 << 20
_VERSION = 2
_VIEWS = 4
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_RECORD = struct.Struct("<IQQIIIQqq")
"""st_mode, st_ino, st_dev, st_nlink, st_uid, st_gid, st_size (the first seven of a stat_result), the times of
the last change of content and of the inode in nanoseconds."""
_TIME = (1 << 63) - 1
_DIGEST = 32
_UNKNOWN = bytes(_DIGEST)

View = tuple[bytes, tuple[tuple[str, bytes], ...], bool]
"""What a build sees of a directory: the digest of its visible entries; the directories to go on with, each
with b"" or, when it is hidden and something in it may not be, its own record; whether anything is visible."""
Remembered = tuple[bytes, bytes, dict[str, View]]
"""The directory as bytes, a digest for each entry in the same order (_UNKNOWN: none), the views by filter."""


class Filter(Protocol):
    """``name`` tells filters apart; the same name means the same answers."""

    @property
    def name(self) -> str: ...

    def hidden(self, path: str) -> bool: ...

    def descend(self, path: str) -> bool: ...


class _Changed(Exception):
    """A file is not what it was when its directory was listed."""


class TreeDigests:
    """``memo`` is a file of ours (below a directory that only root reads); a broken one is begun anew. None
    remembers nothing. ``mapped`` leaves owners out, since the copy is root's."""

    def __init__(self, memo: Path | None, *, mapped: bool) -> None:
        self._memo = memo
        self._mapped = mapped
        self._trees: dict[str, Remembered] = {}
        self._used: set[str] = set()
        self._files: dict[bytes, bytes] = {}
        self._sealed: dict[str, bytes] = {}
        self._fresh = False
        try:
            version, was_mapped, trees, files, sealed = marshal.loads(memo.read_bytes() if memo else b"")
        except (OSError, ValueError, EOFError, TypeError):
            return
        if (version, was_mapped) == (_VERSION, mapped):
            self._trees, self._files, self._sealed = trees, files, sealed

    def tree(self, root: str, place: str, filter_: Filter) -> bytes:
        """Of all that is visible below a directory; ``root`` is where it is, ``place`` its path in the tree
        that the filter knows. Mode and owner of the directory itself do not count. Raises OSError."""
        seen: list[tuple[str, bytes, View]] = []
        pending = [("", b"")]
        while pending:
            relative, record = pending.pop()
            path = f"{place}/{relative}" if place and relative else place or relative
            try:
                view = self._view(f"{root}/{relative}" if relative else root, path, filter_)
            except FileNotFoundError:
                continue
            seen.append((relative, record, view))
            prefix = f"{relative}/" if relative else ""
            pending += [(prefix + name, own) for name, own in view[1]]
        return _total(seen)

    def file(self, real: str, stat: os.stat_result) -> bytes:
        """Of one entry that is no directory: content or target, kind, mode and owner. Raises OSError, among
        them FileNotFoundError when it vanished."""
        started = time.time_ns()
        record = _record(stat)
        digest = self._files.get(record)
        if digest is None:
            try:
                digest = _content(real, stat.st_mode)
            except _Changed:
                raise FileNotFoundError(errno.ENOENT, "changed while it was read", real) from None
            if _settled(record, started):
                self._files[record] = digest
                self._fresh = True
        return self._line(b"", record, digest)

    def sealed(self, key: str, compute: Callable[[], bytes]) -> bytes:
        """Of something that never changes."""
        found = self._sealed.get(key)
        if found is None:
            found = self._sealed[key] = compute()
            self._fresh = True
        return found

    def save(self) -> None:
        """Write what is known, in one piece; two builds at once: the later one wins. Never raises: without it
        the next build only has more to read."""
        if not self._fresh or self._memo is None:
            return
        part = self._memo.with_name(f"{self._memo.name}.{os.getpid()}.{threading.get_ident()}")
        kept = self._trees
        if len(self._used) * 2 > len(kept):
            # Less is kept only then: another COPY of the same context may want the rest.
            kept = {path: kept[path] for path in self._used if path in kept}
        try:
            self._memo.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.write_bytes(marshal.dumps((_VERSION, self._mapped, kept, self._files, self._sealed)))
            part.replace(self._memo)
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        self._fresh = False

    def _view(self, real: str, path: str, filter_: Filter) -> View:
        names, records = _listing(real)
        listed = os.fsencode("\0".join(names)) + b"\0\0" + b"".join(records)
        known = self._trees.get(path)
        self._used.add(path)
        views: dict[str, View] = {}
        if known is not None and known[0] == listed:
            views = known[2]
            found = views.get(filter_.name)
            if found is not None:
                return found
        look = _Look(self, real, path, filter_)
        view, digests = look(names, records, _digests(known) if known is not None else {})
        views = {**dict(list(views.items())[1 - _VIEWS :]), filter_.name: view} if look.settled else views
        self._trees[path] = (listed, digests, views)
        self._fresh = True
        return view

    def _line(self, name: bytes, record: bytes, digest: bytes) -> bytes:
        """One entry for a digest: nothing about times and inodes."""
        mode, _, _, _, uid, gid, _, _, _ = _RECORD.unpack(record)
        owner = b"0:0" if self._mapped else b"%d:%d" % (uid, gid)
        return b"%s\0%o\0%s\0%s\n" % (name, mode, owner, digest)


class _Look:
    """One directory whose view is not known. ``settled`` is whether it may be remembered."""

    def __init__(self, digests: TreeDigests, real: str, path: str, filter_: Filter) -> None:
        self._line = digests._line
        self._real = real
        self._prefix = f"{path}/" if path else ""
        self._filter = filter_
        self._started = time.time_ns()
        self.settled = True

    def __call__(
        self, names: list[str], records: list[bytes], known: dict[tuple[bytes, bytes], bytes]
    ) -> tuple[View, bytes]:
        lines: list[tuple[bytes, bytes]] = []
        below: list[tuple[str, bytes]] = []
        digests: list[bytes] = []
        for name, record in zip(names, records, strict=True):
            path = self._prefix + name
            mode = int.from_bytes(record[:4], "little")
            hidden = self._filter.hidden(path)
            directory = stat_bits.S_ISDIR(mode)
            if stat_bits.S_ISSOCK(mode) or (hidden and not (directory and self._filter.descend(path))):
                digests.append(known.get((os.fsencode(name), record), _UNKNOWN))
                continue
            encoded = os.fsencode(name)
            digest = known.get((encoded, record)) or self._digest(name, mode)
            kept = digest is not None and _settled(record, self._started)
            self.settled = self.settled and kept
            digests.append(digest if digest is not None and kept else _UNKNOWN)
            if digest is None:
                continue
            line = self._line(encoded, record, digest)
            if directory:
                below.append((name, line if hidden else b""))
            if not hidden:
                lines.append((encoded, line))
        own = sha256(b"".join(line for _, line in sorted(lines)))
        return (own, tuple(below), bool(lines)), b"".join(digests)

    def _digest(self, name: str, mode: int) -> bytes | None:
        """None when it is gone, or something else by now."""
        try:
            return _content(f"{self._real}/{name}", mode)
        except (FileNotFoundError, _Changed):
            return None


def _total(seen: list[tuple[str, bytes, View]]) -> bytes:
    """A hidden directory counts when something in it, however deep, is visible."""
    shown: set[str] = set()
    if any(record for _, record, _ in seen):
        for relative, _, view in seen:
            path = relative if view[2] else ""
            while path and path not in shown:
                shown.add(path)
                path = path.rpartition("/")[0]
    return sha256(
        b"".join(
            b"%s\0%s\0%s" % (os.fsencode(relative), record, view[0])
            for relative, record, view in sorted(seen)
            if not record or relative in shown
        )
    )


def _listing(directory: str) -> tuple[list[str], list[bytes]]:
    """Names and records, in the directory's own order; what vanishes meanwhile is not there."""
    names: list[str] = []
    records: list[bytes] = []
    pack = _RECORD.pack
    descriptor = os.open(directory, _OPEN_DIRECTORY)
    try:
        # By descriptor: each stat(2) then looks up one name and not the whole path.
        with os.scandir(descriptor) as entries:
            for entry in entries:
                try:
                    stat = entry.stat(follow_symlinks=False)
                    record = pack(*stat[:7], stat.st_mtime_ns, stat.st_ctime_ns)
                except FileNotFoundError:
                    continue
                except struct.error:
                    record = _record(stat)
                names.append(entry.name)
                records.append(record)
    finally:
        os.close(descriptor)
    return names, records


def _record(stat: os.stat_result) -> bytes:
    """Times after the year 2262 do not fit."""
    return _RECORD.pack(*stat[:7], stat.st_mtime_ns & _TIME, stat.st_ctime_ns & _TIME)


def _settled(record: bytes, now: int) -> bool:
    """Whether a later change would show. The modification time may be set to anything, the other not."""
    modified: int
    changed: int
    *_, modified, changed = _RECORD.unpack(record)
    return now - max(changed, modified if modified <= now else 0) > _SETTLED


def _digests(known: Remembered) -> dict[tuple[bytes, bytes], bytes]:
    return {(name, record): digest for name, record, digest in _entries(known) if digest != _UNKNOWN}


def _entries(known: Remembered) -> Iterator[tuple[bytes, bytes, bytes]]:
    listed, digests, _ = known
    end = len(listed) - len(digests) // _DIGEST * _RECORD.size
    for number, name in enumerate(listed[: end - 2].split(b"\0") if digests else ()):
        at = end + number * _RECORD.size
        yield name, listed[at : at + _RECORD.size], digests[number * _DIGEST : (number + 1) * _DIGEST]


def _content(real: str, mode: int) -> bytes:
    """Of bytes, link target or device number, and of the extended attributes that count."""
    if stat_bits.S_ISREG(mode):
        what = _hash(real)
    elif stat_bits.S_ISLNK(mode):
        try:
            what = os.readlink(os.fsencode(real))  # noqa: PTH115 - paths are bytes here
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise _Changed from None
            raise
    elif stat_bits.S_ISDIR(mode):
        what = b""
    else:
        what = b"%d" % os.lstat(real).st_rdev
    total = bytearray(what)
    for name in sorted(_attributes(real)):
        try:
            value = os.getxattr(real, name, follow_symlinks=False)
        except OSError as error:
            if error.errno == errno.ENODATA:
                raise _Changed from None
            raise
        total += b"\0%s\0%d\0%s" % (os.fsencode(name), len(value), value)
    return sha256(total)


def _attributes(real: str) -> list[str]:
    """BuildKit's choice (cache/contenthash): all but those of the system, and of those capabilities."""
    try:
        names = os.listxattr(real, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EPERM, errno.EACCES):
            return []
        raise
    left_out = ("security.", "system.", "trusted.overlay.")
    return [name for name in names if name == "security.capability" or not name.startswith(left_out)]


def _hash(path: str) -> bytes:
    import hashlib

    try:
        descriptor = os.open(path, _OPEN_FILE)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENODEV):
            raise _Changed from None
        raise
    try:
        stat = os.fstat(descriptor)
        if not stat_bits.S_ISREG(stat.st_mode):
            raise _Changed
        digest = hashlib.sha256()
        while chunk := os.read(descriptor, min(stat.st_size + 1, _CHUNK)):
            digest.update(chunk)
        return digest.digest()
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(descriptor)
