"""From a layer's tar stream to a directory in overlayfs form, safely.

Whatever the archive says, nothing is touched outside the given directory: names are cleaned, every path is
walked by :class:`runtime.images.trees.RootWalker`, the last component is never followed. Whiteouts
(image-spec layer.md) become 0/0 devices and opaque directories an xattr; both speak of lower layers only, in
whatever order they come.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import EngineError, Failed, InvalidInput
from runtime.images import tar_reader
from runtime.images.tar_reader import Entry, TarReader
from runtime.images.trees import OPAQUE, RootWalker, is_whiteout, split_name
from runtime.kernel.tree import remove_entry
from runtime.model.record import record

if TYPE_CHECKING:
    from runtime.images.recipe import RecipeWriter

__all__ = ["Limits", "Unpacked", "unpack"]

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WHITEOUT = b".wh."
_OPAQUE_MARK = b".wh..wh..opq"
_MAX_ID = (1 << 32) - 2
_MAX_TIME = (1 << 33) * 1_000_000_000
_DROPPED_XATTRS = (b"trusted.overlay.", b"user.overlay.")
_ACL = b"system.posix_acl"
_RESERVE = 64 << 20


@record
class Limits:
    """How much a layer may bring. Free space is what the file system has left, less a reserve."""

    entries: int
    bytes: int

    @classmethod
    def of(cls, directory: Path, entries: int = 5_000_000) -> Limits:
        found = os.statvfs(directory)
        free = max(0, found.f_bavail * found.f_frsize - _RESERVE)
        return cls(min(entries, found.f_favail) if found.f_files else entries, free)


@record
class Unpacked:
    """``size`` is the bytes of the regular files."""

    size: int
    entries: int


def unpack(
    reader: TarReader,
    root: Path,
    *,
    limits: Limits | None = None,
    check: Callable[[], None] | None = None,
    plain: bool = False,
    recipe: RecipeWriter | None = None,
    unmasked: bool = False,
) -> Unpacked:
    """Unpack every entry below ``root``. ``check`` is called now and then and may raise, to cancel. A
    ``plain`` archive is no layer: ``.wh.`` names are names like any other. ``recipe`` hears where each file's
    data went, and when some of it is gone again. ``unmasked``: the process has umask 0.

    Raises InvalidInput for a hostile or damaged archive, Failed when the disk is full.
    """
    unpacker = _Unpacker(
        root, limits or Limits.of(root), check, plain, recipe, exact=unmasked and _ours(root)
    )
    try:
        for entry in reader:
            unpacker.add(entry, reader)
        unpacker.finish()
    finally:
        unpacker.walker.close()
    return Unpacked(unpacker.size, unpacker.entries)


class _Unpacker:
    def __init__(
        self,
        root: Path,
        limits: Limits,
        check: Callable[[], None] | None,
        plain: bool,
        recipe: RecipeWriter | None,
        *,
        exact: bool,
    ) -> None:
        self._plain = plain
        self._recipe = recipe
        self._exact = exact
        self.walker = RootWalker(root)
        self.size = 0
        self.entries = 0
        self._limits = limits
        self._check = check
        self._directory_times: dict[bytes, int] = {}
        self._makers: dict[int, Callable[[int, bytes, bytes, Entry, TarReader], None]] = {
            tar_reader.REGULAR: self._regular,
            tar_reader.DIRECTORY: self._directory,
            tar_reader.SYMLINK: self._symlink,
            tar_reader.HARD_LINK: self._hard_link,
            tar_reader.CHARACTER_DEVICE: self._node,
            tar_reader.BLOCK_DEVICE: self._node,
            tar_reader.FIFO: self._node,
        }

    def add(self, entry: Entry, reader: TarReader) -> None:
        self.entries += 1
        self.size += entry.size
        if self.entries > self._limits.entries:
            raise InvalidInput(f"the archive has more than {self._limits.entries} entries")
        if self.size > self._limits.bytes:
            raise Failed(
                f"no space left for the layer: it has more than the {self._limits.bytes >> 20} MB free",
                hint="free some disk space, for example with: tuidock image prune",
            )
        if self._check is not None and not self.entries & 0xFF:
            self._check()
        maker = self._makers.get(entry.type)
        if maker is None:
            raise InvalidInput(f"unknown type {chr(entry.type)!r} of {_shown(entry.name)} in the archive")
        if not (0 <= entry.uid <= _MAX_ID and 0 <= entry.gid <= _MAX_ID):
            raise InvalidInput(
                f"impossible owner {entry.uid}:{entry.gid} of {_shown(entry.name)} in the archive"
            )
        if self._exact and entry.xattrs and any(key.startswith(_ACL) for key in entry.xattrs):
            self._exact = False
        entry.mtime = max(-_MAX_TIME, min(_MAX_TIME, entry.mtime))
        try:
            self._place(entry, reader, maker)
        except OSError as error:
            raise _translated(entry, error) from error

    def _place(
        self, entry: Entry, reader: TarReader, maker: Callable[[int, bytes, bytes, Entry, TarReader], None]
    ) -> None:
        parts = split_name(entry.name)
        if not parts:
            if entry.type != tar_reader.DIRECTORY:
                raise InvalidInput(f"the archive's root {_shown(entry.name)} is not a directory")
            fd, _ = self.walker.directory([])
            _own(fd, entry)
            self._inherited(entry)
            self._directory_times[b""] = entry.mtime
            return
        name = parts.pop()
        fd, parent = self.walker.directory(parts)
        if name.startswith(_WHITEOUT) and not self._plain:
            self._whiteout(fd, name, entry)
            return
        maker(fd, name, parent + b"/" + name if parent else name, entry, reader)

    def _whiteout(self, fd: int, mark: bytes, entry: Entry) -> None:
        if mark == _OPAQUE_MARK:
            os.setxattr(fd, OPAQUE, b"y")
            return
        if mark.startswith(b".wh..wh."):
            return  # aufs's own bookkeeping
        name = mark[len(_WHITEOUT) :]
        if name in (b"", b".", b".."):
            raise InvalidInput(f"a whiteout that names nothing in the archive: {_shown(entry.name)}")
        try:
            os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=fd)
        except FileExistsError:
            info = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISDIR(info.st_mode):
                os.setxattr(f"/proc/self/fd/{fd}/".encode() + name, OPAQUE, b"y", follow_symlinks=False)

    def _clear(self, fd: int, name: bytes, path: bytes) -> bool:
        """Make way for something new; True when what was there hid a lower name."""
        info = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if self._recipe is not None and (stat.S_ISDIR(info.st_mode) or stat.S_ISREG(info.st_mode)):
            self._recipe.spoil()
        if stat.S_ISDIR(info.st_mode):
            self.walker.forget()
            fd = self.walker.directory(path.split(b"/")[:-1])[0]
            remove_entry(fd, name)
            below = path + b"/"
            for known in [item for item in self._directory_times if item == path or item.startswith(below)]:
                del self._directory_times[known]
            return False
        os.unlink(name, dir_fd=fd)
        if stat.S_ISLNK(info.st_mode):
            self.walker.forget()
        return is_whiteout(info)

    def _parent(self, path: bytes) -> int:
        """The parent's descriptor once more, after ``_clear`` may have closed it."""
        return self.walker.directory(path.split(b"/")[:-1])[0]

    def _regular(self, fd: int, name: bytes, path: bytes, entry: Entry, reader: TarReader) -> None:
        made = self._exact and _is_made_so(entry)
        mode = entry.mode & 0o777 if made else 0o600
        try:
            file = os.open(name, _NEW_FILE, mode, dir_fd=fd)
        except FileExistsError:
            self._clear(fd, name, path)
            file = os.open(name, _NEW_FILE, mode, dir_fd=self._parent(path))
        try:
            if entry.size or entry.pieces is not None:
                reader.copy_to(file, self._check)
                if self._recipe is not None:
                    self._recipe.file(path, [(0, entry.size)] if entry.pieces is None else entry.pieces)
            if not made:
                _own(file, entry)
            os.utime(file, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(file)

    def _directory(self, fd: int, name: bytes, path: bytes, entry: Entry, reader: TarReader) -> None:
        opaque = False
        made_so = self._exact and _is_made_so(entry)
        try:
            os.mkdir(name, entry.mode & 0o777 if made_so else 0o700, dir_fd=fd)
            if made_so:
                self._directory_times[path] = entry.mtime
                return
        except FileExistsError:
            info = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if not stat.S_ISDIR(info.st_mode):
                opaque = self._clear(fd, name, path)
                fd = self._parent(path)
                os.mkdir(name, 0o700, dir_fd=fd)
        made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        try:
            _own(made, entry)
            self._inherited(entry)
            if opaque:
                os.setxattr(made, OPAQUE, b"y")
        finally:
            os.close(made)
        self._directory_times[path] = entry.mtime

    def _inherited(self, directory: Entry) -> None:
        """What is made in another group's directory may get that group: set-group-ID (inode(7)), "grpid"."""
        if directory.gid or directory.mode & stat.S_ISGID:
            self._exact = False

    def _symlink(self, fd: int, name: bytes, path: bytes, entry: Entry, reader: TarReader) -> None:
        try:
            os.symlink(entry.linkname, name, dir_fd=fd)
        except FileExistsError:
            self._clear(fd, name, path)
            fd = self._parent(path)
            os.symlink(entry.linkname, name, dir_fd=fd)
        self._own_by_name(fd, name, entry)

    def _hard_link(self, fd: int, name: bytes, path: bytes, entry: Entry, reader: TarReader) -> None:
        parts = split_name(entry.linkname)
        try:
            if not parts:
                raise FileNotFoundError
            borrowed, parent = self.walker.directory(parts[:-1], create=False)
            source = os.stat(parts[-1], dir_fd=borrowed, follow_symlinks=False)
        except FileNotFoundError:
            raise InvalidInput(
                f"the hard link {_shown(entry.name)} names {_shown(entry.linkname)}, not in the archive"
            ) from None
        if (parent + b"/" + parts[-1] if parent else parts[-1]) == path:
            return
        if stat.S_ISDIR(source.st_mode) or is_whiteout(source):
            raise InvalidInput(f"the hard link {_shown(entry.name)} names a directory or a removed file")
        source_fd = os.dup(borrowed)
        try:
            target_fd = self._parent(path)
            try:
                os.link(parts[-1], name, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)
            except FileExistsError:
                self._clear(target_fd, name, path)
                target_fd = self._parent(path)
                os.link(parts[-1], name, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)
        finally:
            os.close(source_fd)

    def _node(self, fd: int, name: bytes, path: bytes, entry: Entry, reader: TarReader) -> None:
        if not (0 <= entry.major < 1 << 12 and 0 <= entry.minor < 1 << 20):
            raise InvalidInput(
                f"impossible device {entry.major}:{entry.minor} {_shown(entry.name)} in the archive"
            )
        kind = {tar_reader.CHARACTER_DEVICE: stat.S_IFCHR, tar_reader.BLOCK_DEVICE: stat.S_IFBLK}.get(
            entry.type, stat.S_IFIFO
        )
        device = os.makedev(entry.major, entry.minor) if kind != stat.S_IFIFO else 0
        try:
            os.mknod(name, kind | 0o600, device, dir_fd=fd)
        except FileExistsError:
            self._clear(fd, name, path)
            fd = self._parent(path)
            os.mknod(name, kind | 0o600, device, dir_fd=fd)
        self._own_by_name(fd, name, entry)

    def _own_by_name(self, fd: int, name: bytes, entry: Entry) -> None:
        """Owner, mode, xattrs and time of what cannot be opened (symlinks, devices, FIFOs)."""
        os.chown(name, entry.uid, entry.gid, dir_fd=fd, follow_symlinks=False)
        if entry.type != tar_reader.SYMLINK:
            # Just made by us, so not a symlink: chmod may follow.
            os.chmod(name, entry.mode & 0o7777, dir_fd=fd)
        if entry.xattrs:
            _set_xattrs(f"/proc/self/fd/{fd}/".encode() + name, entry.xattrs)
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=fd, follow_symlinks=False)

    def finish(self) -> None:
        """Directories' times last: everything made in them changed those."""
        times = dict.fromkeys(self.walker.made, 0)
        times.update(self._directory_times)
        for path, time in times.items():
            parent, _, name = path.rpartition(b"/")
            try:
                if not path:
                    os.utime(self.walker.directory([])[0], ns=(time, time))
                    continue
                fd, _ = self.walker.directory(parent.split(b"/") if parent else [], create=False)
                os.utime(name, ns=(time, time), dir_fd=fd, follow_symlinks=False)
            except (FileNotFoundError, InvalidInput):
                continue  # made on the way and replaced later


def _ours(root: Path) -> bool:
    """Is what we make below ``root`` root's, with the very mode that open(2) and mkdir(2) are given? Not in a
    directory that hands down its group or a default ACL (acl(5))."""
    info = root.stat()
    try:
        acl = "system.posix_acl_default" in os.listxattr(root)
    except OSError:  # a file system without extended attributes has no ACLs
        acl = False
    return os.geteuid() == os.getegid() == info.st_gid == 0 and not info.st_mode & stat.S_ISGID and not acl


def _is_made_so(entry: Entry) -> bool:
    """Needs neither chown nor chmod after it was made as ours."""
    return not (entry.uid or entry.gid or entry.xattrs or entry.mode & 0o7000)


def _own(fd: int, entry: Entry) -> None:
    """Owner first: a change of owner clears set-uid bits and capabilities (chown(2))."""
    os.fchown(fd, entry.uid, entry.gid)
    os.fchmod(fd, entry.mode & 0o7777)
    if entry.xattrs:
        _set_xattrs(fd, entry.xattrs)


def _set_xattrs(target: int | bytes, xattrs: dict[bytes, bytes]) -> None:
    for name, value in xattrs.items():
        if name.startswith(_DROPPED_XATTRS) or b"\0" in name:
            continue
        try:
            if isinstance(target, int):
                os.setxattr(target, name, value)
            else:
                os.setxattr(target, name, value, follow_symlinks=False)
        except OSError as error:
            # As docker does: an attribute that this file system or kernel does not know is left out.
            if error.errno not in (errno.ENOTSUP, errno.EPERM, errno.EINVAL):
                raise


def _shown(name: bytes) -> str:
    return repr(os.fsdecode(name if len(name) <= 120 else name[:117] + b"..."))


def _translated(entry: Entry, error: OSError) -> EngineError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failed(
            f"no space left on the disk while unpacking {_shown(entry.name)}",
            hint="free some disk space, for example with: tuidock image prune",
        )
    if error.errno in (errno.ENAMETOOLONG, errno.EINVAL, errno.ENOENT, errno.EISDIR, errno.ENOTDIR):
        return InvalidInput(f"cannot unpack {_shown(entry.name)}: {error.strerror}")
    return Failed(f"cannot unpack {_shown(entry.name)}: {error.strerror}")
