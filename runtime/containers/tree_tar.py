"""A directory tree that somebody may be changing, as a tar stream.

Every step opens one name, without following it, from its parent's descriptor, and looks at what it got
before it reads it. So a component that is exchanged meanwhile gives another file of the same tree or nothing,
never a file outside of it, and a device or FIFO is never opened.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runtime.errors import Failed
from runtime.images import tar_reader
from runtime.images.tar_writer import END, header, padding
from runtime.kernel import file_capabilities, syscalls
from runtime.model.ids import IdMap, IdRange, to_container

__all__ = ["KERNEL_FILESYSTEMS", "Packing", "is_kernel_file", "tree_tar"]

_CHUNK = 1 << 18
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_DEPTH = 250
_OVERLAY = "trusted.overlay."
_OPAQUE = "trusted.overlay.opaque"

KERNEL_FILESYSTEMS = frozenset(
    (
        syscalls.PROC_SUPER_MAGIC, syscalls.SYSFS_MAGIC, syscalls.CGROUP_SUPER_MAGIC,
        syscalls.CGROUP2_SUPER_MAGIC, syscalls.DEVPTS_SUPER_MAGIC, syscalls.MQUEUE_MAGIC,
        syscalls.BINFMTFS_MAGIC,
    )
)  # fmt: skip
"""What the kernel answers itself: no files to be copied (docker's cp does not show them either)."""

_CAPABILITY = b"security.capability"
_OVERFLOW = 65534
"""Whom a container sees as the owner of what belongs to nobody in it (/proc/sys/kernel/overflowuid)."""

_NODES = {
    stat.S_IFCHR: tar_reader.CHARACTER_DEVICE,
    stat.S_IFBLK: tar_reader.BLOCK_DEVICE,
    stat.S_IFIFO: tar_reader.FIFO,
}


def is_kernel_file(fd: int) -> bool:
    """On /proc, /sys and their like."""
    return syscalls.fstatfs_type(fd) in KERNEL_FILESYSTEMS


@dataclass(frozen=True)
class Packing:
    """How to pack. ``layer``: the tree is an upper directory of overlayfs; whiteouts become ``.wh.`` files
    and all attributes are kept. ``hidden``: (device, inode) of directories shown empty. ``check`` is called
    now and then and may raise, to cancel. ``ids``: owners are written as the container with these has them.
    """

    layer: bool = False
    hidden: frozenset[tuple[int, int]] = frozenset()
    check: Callable[[], None] | None = None
    ids: IdMap | None = None


def tree_tar(top: int, name: bytes, packing: Packing = Packing()) -> Iterator[bytes]:
    """The archive in pieces: what ``top`` (O_PATH, stays open) is under ``name``, and all below it. With an
    empty ``name`` the directory's entries without itself. Sockets are left out, as tar does.

    Raises Failed for what cannot be read, also for a file that shrinks meanwhile.
    """
    pieces = _Packer(packing).pack(top, name)
    pending: list[bytes] = []
    size = 0
    while True:
        try:
            piece = next(pieces, None)
        except OSError as error:
            shown = os.fsdecode(name) or "the tree"
            raise Failed(f"cannot read {shown}: {error.strerror}", subject=shown) from error
        if piece is None:
            break
        pending.append(piece)
        size += len(piece)
        if size >= _CHUNK:
            yield b"".join(pending)
            pending, size = [], 0
    pending.append(END)
    yield b"".join(pending)


class _Packer:
    def __init__(self, packing: Packing) -> None:
        self._packing = packing
        self._linked: dict[tuple[int, int], bytes] = {}

    def pack(self, top: int, name: bytes) -> Iterator[bytes]:
        info = os.fstat(top)
        if not stat.S_ISDIR(info.st_mode):
            yield from self._file(top, name, info)
            return
        stack: list[tuple[int, bytes, int, list[bytes]]] = []
        try:
            yield from self._enter(stack, top, name + b"/" if name else b"", info, info.st_dev)
            while stack:
                fd, prefix, device, names = stack[-1]
                if not names:
                    os.close(fd)
                    stack.pop()
                    continue
                entry = names.pop()
                try:
                    child = os.open(entry, _LOOK, dir_fd=fd)
                except FileNotFoundError:
                    continue  # it went away since the directory was listed
                try:
                    info = os.fstat(child)
                    if stat.S_ISDIR(info.st_mode):
                        yield from self._enter(stack, child, prefix + entry + b"/", info, device)
                    else:
                        yield from self._file(child, prefix + entry, info)
                finally:
                    os.close(child)
        finally:
            for fd, _, _, _ in stack:
                os.close(fd)

    def _enter(
        self,
        stack: list[tuple[int, bytes, int, list[bytes]]],
        looked: int,
        prefix: bytes,
        info: os.stat_result,
        device: int,
    ) -> Iterator[bytes]:
        """The directory's own header; then it is on the stack, unless its contents are not to be shown."""
        if self._packing.check is not None:
            self._packing.check()
        if len(stack) > _MAX_DEPTH:
            raise Failed(f"directories are nested more than {_MAX_DEPTH} deep", subject=os.fsdecode(prefix))
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=looked)
        stack.append((fd, prefix, info.st_dev, []))
        xattrs = _xattrs(fd, self._packing.layer)
        opaque = xattrs.pop(_OPAQUE.encode(), None) == b"y"
        if prefix:
            yield self._header(prefix, tar_reader.DIRECTORY, info, xattrs=xattrs)
        if opaque:
            yield header(prefix + b".wh..wh..opq", tar_reader.REGULAR, mode=0)
        hidden = (info.st_dev, info.st_ino) in self._packing.hidden
        if hidden or (info.st_dev != device and is_kernel_file(fd)):
            return
        names = os.listdir(fd)  # noqa: PTH208 - of a descriptor
        stack[-1][3].extend(sorted(map(os.fsencode, names), reverse=True))

    def _file(self, fd: int, path: bytes, info: os.stat_result) -> Iterator[bytes]:
        if self._packing.layer:
            parent, slash, last = path.rpartition(b"/")
            if last.startswith(b".wh."):
                shown = os.fsdecode(path)
                raise Failed(f"/{shown} cannot be in a layer: names with .wh. mark what was removed")
            if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
                yield header(parent + slash + b".wh." + last, tar_reader.REGULAR, mode=0)
                return
        if info.st_nlink > 1:
            first = self._linked.setdefault((info.st_dev, info.st_ino), path)
            if first != path:
                yield self._header(path, tar_reader.HARD_LINK, info, linkname=first)
                return
        kind = stat.S_IFMT(info.st_mode)
        if kind == stat.S_IFREG:
            yield from self._regular(fd, path, info)
        elif kind == stat.S_IFLNK:
            yield self._header(path, tar_reader.SYMLINK, info, linkname=os.readlink(b"", dir_fd=fd))
        elif kind in _NODES:
            yield self._header(path, _NODES[kind], info, xattrs=_xattrs(fd, self._packing.layer))

    def _regular(self, looked: int, path: bytes, info: os.stat_result) -> Iterator[bytes]:
        # Through our own descriptor: the very file that was looked at, whatever its name is now.
        file = os.open(f"/proc/self/fd/{looked}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            xattrs = _xattrs(file, self._packing.layer)
            yield self._header(path, tar_reader.REGULAR, info, size=info.st_size, xattrs=xattrs)
            remaining = info.st_size
            while remaining:
                piece = os.read(file, min(remaining, _CHUNK))
                if not piece:
                    raise Failed(f"/{os.fsdecode(path)} became shorter while it was read")
                remaining -= len(piece)
                yield piece
                if remaining and self._packing.check is not None:
                    self._packing.check()
            yield padding(info.st_size)
        finally:
            os.close(file)

    def _header(
        self,
        path: bytes,
        kind: int,
        info: os.stat_result,
        *,
        size: int = 0,
        linkname: bytes = b"",
        xattrs: dict[bytes, bytes] | None = None,
    ) -> bytes:
        """Of what ``info`` is about, with the owners that the container sees."""
        device = kind in (tar_reader.CHARACTER_DEVICE, tar_reader.BLOCK_DEVICE)
        uid, gid = info.st_uid, info.st_gid
        if self._packing.ids is not None:
            uid, gid = _inside(self._packing.ids.uids, uid), _inside(self._packing.ids.gids, gid)
            if xattrs and _CAPABILITY in xattrs:
                plain = file_capabilities.of_root(xattrs[_CAPABILITY], self._packing.ids.root[0])
                xattrs = {**xattrs, _CAPABILITY: plain}
        return header(
            path,
            kind,
            mode=stat.S_IMODE(info.st_mode),
            uid=uid,
            gid=gid,
            size=size,
            mtime=info.st_mtime_ns // 1_000_000_000,
            linkname=linkname,
            major=os.major(info.st_rdev) if device else 0,
            minor=os.minor(info.st_rdev) if device else 0,
            xattrs=xattrs,
        )


def _inside(ranges: tuple[IdRange, ...], number: int) -> int:
    found = to_container(ranges, number)
    return found if found >= 0 else _OVERFLOW


def _xattrs(fd: int, everything: bool) -> dict[bytes, bytes]:
    """User attributes and file capabilities; all but overlayfs's own (save "opaque") with ``everything``."""
    target = f"/proc/self/fd/{fd}"
    try:
        names = os.listxattr(target)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM, errno.EACCES):
            return {}
        raise
    found: dict[bytes, bytes] = {}
    for name in names:
        if name.startswith(_OVERLAY):
            if not everything or name != _OPAQUE:
                continue
        elif not everything and not name.startswith("user.") and name != "security.capability":
            continue
        try:
            found[os.fsencode(name)] = os.getxattr(target, name)
        except OSError as error:
            if error.errno != errno.ENODATA:  # removed since it was listed
                raise
    return found
