"""From a directory in overlayfs form to a layer's tar stream: the same directory gives the same bytes.

Entries are sorted, the root itself is left out, times are whole seconds, owners are numbers; 0/0 devices
become ``.wh.`` files, opaque directories get ``.wh..wh..opq``. Sockets cannot be archived and are left out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from runtime.errors import Failed
from runtime.images import tar_reader
from runtime.images.tar_writer import END, header, padding
from runtime.images.trees import OPAQUE, is_whiteout

__all__ = ["LayerTar", "TarStream"]

_CHUNK = 1 << 18
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_OVERLAY = "trusted.overlay."
_INCOMPLETE = ("trusted.overlay.redirect", "trusted.overlay.metacopy")


class LayerTar:
    """Iterate (once) for the archive in pieces; ``size`` is then the bytes of the regular files in it.

    ``check`` is called once a directory and may raise, to cancel. Raises Failed for what overlayfs
    wrote with redirects or metadata-only copies: its contents are then not all in it.
    """

    def __init__(self, directory: Path, check: Callable[[], None] | None = None) -> None:
        self._directory = directory
        self._packer = _Packer(check)

    @property
    def size(self) -> int:
        return self._packer.size

    def __iter__(self) -> Iterator[bytes]:
        root = os.open(self._directory, _DIRECTORY)
        pending: list[bytes] = []
        size = 0
        for piece in self._packer.directory(root, b""):
            pending.append(piece)
            size += len(piece)
            if size >= _CHUNK:
                yield b"".join(pending)
                pending, size = [], 0
        pending.append(END)
        yield b"".join(pending)


class TarStream:
    """The archive as something to read from."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, n: int = -1, /) -> bytes:
        if n < 0:
            data, self._rest = self._rest + b"".join(self._chunks), b""
            return data
        if not self._rest:
            self._rest = next(self._chunks, b"")
        data, self._rest = self._rest[:n], self._rest[n:]
        return data

    def close(self) -> None:
        self._chunks = iter(())
        self._rest = b""


class _Packer:
    def __init__(self, check: Callable[[], None] | None) -> None:
        self._check = check
        self._linked: dict[tuple[int, int], bytes] = {}
        self.size = 0

    def directory(self, fd: int, prefix: bytes) -> Iterator[bytes]:
        """Everything in the directory ``fd``, which is closed at the end; depth by an own stack."""
        stack: list[tuple[int, bytes, list[bytes]]] = [(fd, prefix, self._listing(fd))]
        try:
            xattrs = _xattrs(fd)
            if xattrs.pop(OPAQUE.encode(), None) == b"y":
                yield header(prefix + b".wh..wh..opq", tar_reader.REGULAR, mode=0)
            while stack:
                fd, prefix, names = stack[-1]
                if not names:
                    os.close(fd)
                    stack.pop()
                    continue
                name = names.pop()
                info = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if not stat.S_ISDIR(info.st_mode):
                    yield from self._file(fd, name, prefix + name, info)
                    continue
                path = prefix + name + b"/"
                _refuse_mark(name, prefix + name)
                below = os.open(name, _DIRECTORY, dir_fd=fd)
                stack.append((below, path, []))
                xattrs = _xattrs(below)
                opaque = xattrs.pop(OPAQUE.encode(), None) == b"y"
                yield _header(path, tar_reader.DIRECTORY, info, xattrs=xattrs)
                if opaque:
                    yield header(path + b".wh..wh..opq", tar_reader.REGULAR, mode=0)
                stack[-1][2].extend(self._listing(below))
        finally:
            for fd, _, _ in stack:
                os.close(fd)

    def _listing(self, fd: int) -> list[bytes]:
        """Last name first, to be popped."""
        if self._check is not None:
            self._check()
        return sorted(map(os.fsencode, os.listdir(fd)), reverse=True)

    def _file(self, fd: int, name: bytes, path: bytes, info: os.stat_result) -> Iterator[bytes]:
        _refuse_mark(name, path)
        if is_whiteout(info):
            parent, _, last = path.rpartition(b"/")
            mark = (parent + b"/" if parent else b"") + b".wh." + last
            yield header(mark, tar_reader.REGULAR, mode=0)
            return
        if info.st_nlink > 1:
            first = self._linked.setdefault((info.st_dev, info.st_ino), path)
            if first != path:
                yield _header(path, tar_reader.HARD_LINK, info, linkname=first)
                return
        kind = stat.S_IFMT(info.st_mode)
        if kind == stat.S_IFREG:
            self.size += info.st_size
            yield from _regular(fd, name, path, info)
        elif kind == stat.S_IFLNK:
            xattrs = _xattrs(f"/proc/self/fd/{fd}/".encode() + name)
            target = os.readlink(name, dir_fd=fd)
            yield _header(path, tar_reader.SYMLINK, info, linkname=target, xattrs=xattrs)
        elif kind in _NODES:
            xattrs = _xattrs(f"/proc/self/fd/{fd}/".encode() + name)
            yield _header(path, _NODES[kind], info, xattrs=xattrs)


def _refuse_mark(name: bytes, path: bytes) -> None:
    """image-spec layer.md: such names are reserved; whoever unpacks the layer would remove something."""
    if name.startswith(b".wh."):
        raise Failed(f"/{os.fsdecode(path)} cannot be in a layer: names with .wh. mark what was removed")


_NODES = {
    stat.S_IFCHR: tar_reader.CHARACTER_DEVICE,
    stat.S_IFBLK: tar_reader.BLOCK_DEVICE,
    stat.S_IFIFO: tar_reader.FIFO,
}


def _regular(parent: int, name: bytes, path: bytes, info: os.stat_result) -> Iterator[bytes]:
    file = os.open(name, _FILE, dir_fd=parent)
    try:
        yield _header(path, tar_reader.REGULAR, info, size=info.st_size, xattrs=_xattrs(file))
        remaining = info.st_size
        while remaining:
            piece = os.read(file, min(remaining, _CHUNK))
            if not piece:
                raise Failed(f"{os.fsdecode(path)} became shorter while it was read")
            remaining -= len(piece)
            yield piece
        yield padding(info.st_size)
    finally:
        os.close(file)


def _header(
    path: bytes,
    kind: int,
    info: os.stat_result,
    *,
    size: int = 0,
    linkname: bytes = b"",
    xattrs: dict[bytes, bytes] | None = None,
) -> bytes:
    device = kind in (tar_reader.CHARACTER_DEVICE, tar_reader.BLOCK_DEVICE)
    return header(
        path,
        kind,
        mode=stat.S_IMODE(info.st_mode),
        uid=info.st_uid,
        gid=info.st_gid,
        size=size,
        mtime=info.st_mtime_ns // 1_000_000_000,
        linkname=linkname,
        major=os.major(info.st_rdev) if device else 0,
        minor=os.minor(info.st_rdev) if device else 0,
        xattrs=xattrs,
    )


def _xattrs(target: int | bytes) -> dict[bytes, bytes]:
    """All but overlayfs's own; "opaque" is passed on, the caller takes it out."""
    try:
        names = (
            os.listxattr(target) if isinstance(target, int) else os.listxattr(target, follow_symlinks=False)
        )
    except OSError:
        return {}
    found: dict[bytes, bytes] = {}
    for name in names:
        if name.startswith(_OVERLAY):
            if name in _INCOMPLETE:
                raise Failed(f"an overlay directory with {name} cannot become a layer")
            if name != OPAQUE:
                continue
        if isinstance(target, int):
            found[os.fsencode(name)] = os.getxattr(target, name)
        else:
            found[os.fsencode(name)] = os.getxattr(target, name, follow_symlinks=False)
    return found
