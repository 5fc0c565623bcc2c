"""Unpacking a copied tree below a directory, with hostile parties on both sides.

The archive may come from a container and the directory may be one that a container's processes change
meanwhile. So every name is placed relative to its parent's descriptor, is made under a name of its own and
then renamed into place; what was made is finished (owner, mode, times) through a descriptor, never by a path
that could be exchanged. On the host no symbolic link is followed at all; in a container those that lie on the
way are, inside its root.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass

from runtime.containers.tree_tar import is_kernel_file
from runtime.errors import Conflict, Denied, EngineError, Failed, InvalidInput
from runtime.images import tar_reader
from runtime.images.tar_reader import Entry, TarReader
from runtime.images.trees import split_name
from runtime.kernel import file_capabilities, rootpath, syscalls
from runtime.model.ids import IdMap, to_host

__all__ = ["Target", "place"]

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_BENEATH = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_MAGICLINKS
_MAX_ID = (1 << 32) - 2
_MAX_TIME = (1 << 33) * 1_000_000_000
_KINDS = {
    tar_reader.REGULAR: stat.S_IFREG,
    tar_reader.DIRECTORY: stat.S_IFDIR,
    tar_reader.SYMLINK: stat.S_IFLNK,
    tar_reader.CHARACTER_DEVICE: stat.S_IFCHR,
    tar_reader.BLOCK_DEVICE: stat.S_IFBLK,
    tar_reader.FIFO: stat.S_IFIFO,
}


@dataclass(frozen=True)
class Target:
    """The directory ``fd`` (O_PATH), which is ``path`` below ``root`` when that is a container's, else None.

    ``owner`` replaces the archive's owners; None keeps them. Without ``privileges`` set-id bits, file
    capabilities and other people's access to devices are dropped: what an image wrote gives no rights here.
    ``ids`` are those of the container's user namespace, which all owners are given in.
    """

    fd: int
    path: str
    root: int | None
    owner: tuple[int, int] | None
    privileges: bool
    ids: IdMap | None = None

    def host_owner(self, uid: int, gid: int) -> tuple[int, int]:
        """Raises InvalidInput for ids that the container does not have."""
        if self.ids is None:
            return uid, gid
        owner = to_host(self.ids.uids, uid), to_host(self.ids.gids, gid)
        if min(owner) < 0:
            raise InvalidInput(f"the container's user namespace has no owner {uid}:{gid}", subject=self.path)
        return owner


def place(reader: TarReader, target: Target, check: Callable[[], None] | None = None) -> None:
    """Every entry. ``check`` is called now and then and may raise, to cancel.

    Raises InvalidInput for a hostile or damaged archive, Conflict where a directory meets something else,
    Denied on a read-only mount, Failed.
    """
    placer = _Placer(target, check)
    try:
        for entry in reader:
            try:
                placer.add(entry, reader)
            except OSError as error:
                raise _translated(entry, target, error) from error
        placer.finish()
    finally:
        placer.close()


class _Placer:
    def __init__(self, target: Target, check: Callable[[], None] | None) -> None:
        self._target = target
        self._check = check
        self._parent: tuple[bytes, int] = (b"", os.dup(target.fd))
        self._times: dict[bytes, int] = {}

    def close(self) -> None:
        os.close(self._parent[1])

    def add(self, entry: Entry, reader: TarReader) -> None:
        if self._check is not None:
            self._check()
        if not (0 <= entry.uid <= _MAX_ID and 0 <= entry.gid <= _MAX_ID):
            raise InvalidInput(f"impossible owner {entry.uid}:{entry.gid} of {_shown(entry.name)}")
        if entry.type != tar_reader.HARD_LINK and entry.type not in _KINDS:
            raise InvalidInput(f"unknown type {chr(entry.type)!r} of {_shown(entry.name)} in the archive")
        parts = split_name(entry.name)
        if not parts:
            if entry.type != tar_reader.DIRECTORY:
                raise InvalidInput(f"the archive's root {_shown(entry.name)} is not a directory")
            return  # it is there, and stays as it is
        parent, name = self._directory(parts[:-1]), parts[-1]
        if entry.type == tar_reader.DIRECTORY:
            self._make_directory(parent, name, entry)
            self._times[b"/".join(parts)] = _time(entry)
            return
        existing = _kind(parent, name)
        if existing == stat.S_IFDIR:
            raise Conflict(f"cannot overwrite directory {_shown(b'/'.join(parts))} with non-directory")
        if existing is not None and _is_mount(parent, name):
            self._write_in_place(parent, name, entry, reader)
            return
        self._make_file(parent, name, entry, reader)

    # -- directories ------------------------------------------------------------------------------

    def _directory(self, parts: list[bytes]) -> int:
        """The parent of an entry, borrowed until the next call."""
        path = b"/".join(parts)
        if path != self._parent[0]:
            fd = self._open_directory(parts)
            os.close(self._parent[1])
            self._parent = (path, fd)
        return self._parent[1]

    def _open_directory(self, parts: list[bytes]) -> int:
        target = self._target
        path = os.fsdecode(b"/".join(parts))
        try:
            fd = _open_beneath(target.fd, path or ".", os.O_PATH | os.O_DIRECTORY)
        except OSError as error:
            if error.errno == errno.ENOENT:
                fd = self._make_parents(parts)
            elif error.errno in (errno.ELOOP, errno.ENOTDIR) and target.root is not None:
                # A link of the container's (/bin to usr/bin): where its processes would go.
                fd = rootpath.make_in_root(target.root, f"{target.path}/{path}", True)
            else:
                raise
        if target.root is not None and is_kernel_file(fd):
            os.close(fd)
            raise Denied(f"cannot copy to {target.path}/{path}: it is the kernel's")
        return fd

    def _make_parents(self, parts: list[bytes]) -> int:
        """What the archive has no entries for is made, 0755 and the owner's."""
        target = self._target
        fd = os.dup(target.fd)
        try:
            for part in parts:
                try:
                    below = os.open(part, _DIRECTORY, dir_fd=fd)
                except FileNotFoundError:
                    os.mkdir(part, 0o755, dir_fd=fd)
                    below = os.open(part, _DIRECTORY, dir_fd=fd)
                    if target.owner is not None:
                        os.chown(f"/proc/self/fd/{below}", *target.host_owner(*target.owner))
                except NotADirectoryError:
                    if target.root is None:
                        raise
                    path = os.fsdecode(b"/".join(parts))
                    below = rootpath.make_in_root(target.root, f"{target.path}/{path}", True)
                    os.close(fd)
                    return below
                os.close(fd)
                fd = below
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _make_directory(self, parent: int, name: bytes, entry: Entry) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            if _kind(parent, name) != stat.S_IFDIR:
                raise Conflict(
                    f"cannot overwrite non-directory {_shown(name)} with directory {_shown(entry.name)}"
                ) from None
        fd = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            self._finish(f"/proc/self/fd/{fd}", entry)
        finally:
            os.close(fd)

    def finish(self) -> None:
        """Directories' times last: everything made in them changed those."""
        for path, time in self._times.items():
            try:
                fd = _open_beneath(self._target.fd, os.fsdecode(path), os.O_PATH | os.O_DIRECTORY)
            except OSError:
                continue  # it was reached over a link, or somebody took it away
            try:
                os.utime(f"/proc/self/fd/{fd}", ns=(time, time))
            finally:
                os.close(fd)

    # -- everything else --------------------------------------------------------------------------

    def _make_file(self, parent: int, name: bytes, entry: Entry, reader: TarReader) -> None:
        """Made beside and renamed over, so that nobody sees half of it and no link is written through."""
        own = b".tuidock-" + secrets.token_hex(8).encode()
        try:
            if entry.type == tar_reader.HARD_LINK:
                self._link(parent, own, entry)
            else:
                self._fill(parent, own, entry, reader)
            os.rename(own, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            _unlink(parent, own)
            raise
        if entry.type == tar_reader.HARD_LINK:
            _unlink(parent, own)  # a rename over another name of the same file leaves both (rename(2))

    def _fill(self, parent: int, own: bytes, entry: Entry, reader: TarReader) -> None:
        if entry.type == tar_reader.REGULAR:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(own, flags, 0o600, dir_fd=parent)
            try:
                reader.copy_to(fd, self._check)
                self._finish(fd, entry)
            finally:
                os.close(fd)
            return
        if entry.type == tar_reader.SYMLINK:
            os.symlink(entry.linkname, own, dir_fd=parent)
        else:
            if not (0 <= entry.major < 1 << 12 and 0 <= entry.minor < 1 << 20):
                raise InvalidInput(f"impossible device {entry.major}:{entry.minor} {_shown(entry.name)}")
            device = os.makedev(entry.major, entry.minor) if entry.type != tar_reader.FIFO else 0
            os.mknod(own, _KINDS[entry.type] | 0o600, device, dir_fd=parent)
        fd = os.open(own, _LOOK, dir_fd=parent)
        try:
            if stat.S_IFMT(os.fstat(fd).st_mode) != _KINDS[entry.type]:
                raise Conflict(f"{_shown(entry.name)} was changed while it was copied")
            self._finish(f"/proc/self/fd/{fd}", entry)
        finally:
            os.close(fd)

    def _link(self, parent: int, own: bytes, entry: Entry) -> None:
        parts = split_name(entry.linkname)
        if not parts:
            raise InvalidInput(f"the hard link {_shown(entry.name)} names a directory")
        source = _open_beneath(
            self._target.fd, os.fsdecode(b"/".join(parts[:-1])) or ".", os.O_PATH | os.O_DIRECTORY
        )
        try:
            os.link(parts[-1], own, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            raise InvalidInput(
                f"the hard link {_shown(entry.name)} names {_shown(entry.linkname)}, not in the archive"
            ) from None
        finally:
            os.close(source)

    def _write_in_place(self, parent: int, name: bytes, entry: Entry, reader: TarReader) -> None:
        """Over a file that something is mounted on (/etc/hosts): a rename from outside would take the mount
        away (it is refused in the container's own mount namespace only)."""
        looked = os.open(name, _LOOK, dir_fd=parent)
        try:
            if entry.type != tar_reader.REGULAR or not stat.S_ISREG(os.fstat(looked).st_mode):
                raise Conflict(f"cannot overwrite {_shown(entry.name)}: something is mounted on it")
            fd = os.open(f"/proc/self/fd/{looked}", os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        finally:
            os.close(looked)
        try:
            reader.copy_to(fd, self._check)
        finally:
            os.close(fd)

    def _finish(self, path: int | str, entry: Entry) -> None:
        """``path`` is a descriptor, or its name in /proc for one of O_PATH. Owner first: a change of
        owner clears set-id bits and capabilities (chown(2))."""
        target = self._target
        owner = (entry.uid, entry.gid) if target.owner is None else target.owner
        os.chown(path, *target.host_owner(*owner))
        if entry.type != tar_reader.SYMLINK:
            mode = entry.mode & 0o7777
            if not target.privileges:
                device = entry.type in (tar_reader.CHARACTER_DEVICE, tar_reader.BLOCK_DEVICE)
                mode &= 0o600 if device else 0o1777
            os.chmod(path, mode)  # noqa: PTH101 - a descriptor's path
        for key, value in (entry.xattrs or {}).items():
            if not key.startswith(b"user.") and not (key == b"security.capability" and target.privileges):
                continue
            if key == b"security.capability" and target.ids is not None:
                value = file_capabilities.for_root(value, target.ids.root[0])
            try:
                os.setxattr(path, key, value)
            except OSError as error:
                if error.errno not in (errno.ENOTSUP, errno.EPERM, errno.EINVAL):
                    raise
        os.utime(path, ns=(_time(entry), _time(entry)))


def _open_beneath(fd: int, path: str, flags: int) -> int:
    while True:
        try:
            return syscalls.openat2(fd, path, flags, 0, _BENEATH)
        except syscalls.SyscallError as error:
            if error.errno != errno.EAGAIN:  # a rename elsewhere raced with the lookup
                raise


def _kind(parent: int, name: bytes) -> int | None:
    """The file type that stands there; None when nothing does."""
    try:
        return stat.S_IFMT(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return None


def _is_mount(parent: int, name: bytes) -> bool:
    """Whether a lookup of the name leaves the parent's mount (openat2(2), RESOLVE_NO_XDEV)."""
    try:
        resolve = syscalls.RESOLVE_NO_XDEV | syscalls.RESOLVE_BENEATH
        os.close(syscalls.openat2(parent, name, os.O_PATH | os.O_NOFOLLOW, 0, resolve))
    except syscalls.SyscallError as error:
        return error.errno == errno.EXDEV
    return False


def _unlink(parent: int, name: bytes) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        pass


def _time(entry: Entry) -> int:
    return max(-_MAX_TIME, min(_MAX_TIME, entry.mtime))


def _shown(name: bytes) -> str:
    return repr(os.fsdecode(name if len(name) <= 120 else name[:117] + b"..."))


def _translated(entry: Entry, target: Target, error: OSError) -> EngineError:
    where = f"cannot copy {_shown(entry.name)} to {target.path}"
    if error.errno == errno.EROFS:
        return Denied(f"{where}: it is mounted read-only", subject=target.path)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failed(f"{where}: no space left", hint="free some disk space", subject=target.path)
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EXDEV):
        return Conflict(f"{where}: a link or a file is in the way of a directory", subject=target.path)
    return Failed(f"{where}: {error.strerror}", subject=target.path)
