"""Writing into a fresh layer directory as if into the merged tree below it.

Parents that exist in lower layers are copied up with their metadata, as overlayfs does when something is
written below them; destinations are resolved through the links of all layers, inside the tree.
"""

from __future__ import annotations

import errno
import os
import stat as stat_bits
import time
from collections.abc import Sequence
from pathlib import Path

from runtime.images.layer_view import LayerView, Node, components
from runtime.model.record import record

__all__ = ["LayerWriter", "Owner", "WriteRefused"]

_CHUNK = 1 << 30


class WriteRefused(ValueError):
    """What is there already does not allow it; the message says what and where."""


@record
class Owner:
    uid: int = 0
    gid: int = 0


_ROOT = Owner()


class LayerWriter:
    """``directory`` must not exist; its root gets the metadata of the root below. ``timestamp`` (nanoseconds)
    is what directories that nobody copied are dated with; None: now."""

    def __init__(
        self,
        lower: Sequence[str | os.PathLike[str]],
        directory: Path,
        *,
        timestamp: int | None = None,
    ) -> None:
        self._lower = LayerView(lower)
        self.directory = os.fspath(directory)
        self._timestamp = timestamp if timestamp is not None else time.time_ns()
        self._dates: dict[str, tuple[int, int]] = {}
        os.mkdir(self.directory, 0o755)  # noqa: PTH102 - paths are text here
        root = self._lower.root
        self._nodes: dict[str, Node | None] = {"": root}
        if root is not None:
            self._copy_up_metadata(root, self.directory)
        else:
            os.chmod(self.directory, 0o755)  # noqa: PTH101 - whatever the umask says
            self._dates[self.directory] = (self._timestamp, self._timestamp)
        self.view = LayerView([*lower, self.directory])

    def _real(self, path: str) -> str:
        return f"{self.directory}/{path}" if path else self.directory

    def _lower_node(self, path: str) -> Node | None:
        """What lower layers have at a path without links; directories are remembered."""
        if path in self._nodes:
            return self._nodes[path]
        parent_path, _, name = path.rpartition("/")
        parent = self._lower_node(parent_path)
        node = self._lower.child(parent, name) if parent is not None and parent.is_directory else None
        if node is None or node.is_directory:
            self._nodes[path] = node
        return node

    def exists(self, path: str) -> os.stat_result | None:
        """What the merged tree has at a resolved path."""
        try:
            return os.lstat(self._real(path))
        except (FileNotFoundError, NotADirectoryError):
            node = self._lower_node(path)
            return node.stat if node is not None else None

    def make_directory(
        self,
        path: str,
        *,
        mode: int = 0o755,
        owner: Owner = _ROOT,
        like: Node | None = None,
        overwrite: bool = False,
    ) -> bool:
        """A directory at a resolved path, with its parents. One that exists keeps its metadata (unless
        ``overwrite``). ``like`` gives times and extended attributes. False when it existed. Raises
        WriteRefused when something else is there."""
        real = self._real(path)
        existing = self.exists(path)
        if existing is not None and not stat_bits.S_ISDIR(existing.st_mode):
            raise WriteRefused(f"cannot copy to non-directory: /{path}")
        if path and not os.path.lexists(real):
            self._parents(path, owner)
            os.mkdir(real, 0o700)  # noqa: PTH102 - paths are text here
            lower = self._lower_node(path) if existing is not None else None
            if lower is not None:
                self._copy_up_metadata(lower, real)
        if existing is None or overwrite:
            os.chown(real, owner.uid, owner.gid)
            os.chmod(real, mode)  # noqa: PTH101 - paths are text here
            if like is not None:
                _copy_xattrs(like.real, real)
                self._dates[real] = (like.stat.st_atime_ns, like.stat.st_mtime_ns)
            else:
                self._dates[real] = (self._timestamp, self._timestamp)
        return existing is None

    def _parents(self, path: str, owner: Owner) -> None:
        parent = path.rpartition("/")[0]
        if parent and not os.path.lexists(self._real(parent)):
            self.make_directory(parent, owner=owner)

    def _make_room(self, path: str, owner: Owner) -> str:
        """The real path for a new entry that is no directory; what upper had there is removed."""
        existing = self.exists(path)
        if existing is not None and stat_bits.S_ISDIR(existing.st_mode):
            raise WriteRefused(f"cannot replace the directory /{path} with a file")
        if not path:
            raise WriteRefused("cannot replace the root directory with a file")
        self._parents(path, owner)
        parent = self._real(path.rpartition("/")[0])
        if not stat_bits.S_ISDIR(os.lstat(parent).st_mode):
            raise WriteRefused(f"cannot copy below /{path.rpartition('/')[0]}: it is no directory")
        real = self._real(path)
        try:
            os.unlink(real)  # noqa: PTH108 - paths are text here
        except FileNotFoundError:
            pass
        return real

    def copy(
        self, path: str, source: Node, *, owner: Owner, mode: int | None = None, date: int | None = None
    ) -> None:
        """One file, link, FIFO or device (sockets are left out, as tar leaves them out) to a resolved path.
        ``mode`` None keeps the source's."""
        kind = source.stat.st_mode
        if stat_bits.S_ISSOCK(kind):
            return
        real = self._make_room(path, owner)
        if stat_bits.S_ISLNK(kind):
            os.symlink(os.readlink(source.real), real)  # noqa: PTH115, PTH211 - paths are text here
        elif stat_bits.S_ISREG(kind):
            _copy_bytes(source.real, real)
        else:
            os.mknod(real, kind, source.stat.st_rdev)
        os.lchown(real, owner.uid, owner.gid)
        if not stat_bits.S_ISLNK(kind):
            os.chmod(real, stat_bits.S_IMODE(kind) if mode is None else mode)  # noqa: PTH101
            _copy_xattrs(source.real, real)
        times = (source.stat.st_atime_ns, source.stat.st_mtime_ns) if date is None else (date, date)
        os.utime(real, ns=times, follow_symlinks=False)

    def write(
        self, path: str, content: bytes, *, owner: Owner, mode: int = 0o644, date: int | None = None
    ) -> None:
        real = self._make_room(path, owner)
        descriptor = os.open(real, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchown(file.fileno(), owner.uid, owner.gid)
            os.fchmod(file.fileno(), mode)
        stamp = self._timestamp if date is None else date
        os.utime(real, ns=(stamp, stamp))

    def link(self, path: str, target: str, owner: Owner) -> None:
        """A hard link to a file that this layer has already, or that lower layers have (and is copied up)."""
        if not os.path.lexists(self._real(target)):
            node = self._lower_node(target)
            if node is None or node.is_directory:
                raise WriteRefused(f"cannot link /{path}: /{target} is no file")
            self.copy(target, node, owner=Owner(node.stat.st_uid, node.stat.st_gid))
        real = self._make_room(path, owner)
        os.link(self._real(target), real, follow_symlinks=False)

    def close(self) -> None:
        """Date the directories, which every entry made in them has touched. Call it last."""
        for real, times in self._dates.items():
            os.utime(real, ns=times, follow_symlinks=False)

    @property
    def is_empty(self) -> bool:
        with os.scandir(self.directory) as entries:
            return next(entries, None) is None

    def _copy_up_metadata(self, node: Node, real: str) -> None:
        os.chown(real, node.stat.st_uid, node.stat.st_gid)
        os.chmod(real, stat_bits.S_IMODE(node.stat.st_mode))  # noqa: PTH101 - paths are text here
        _copy_xattrs(node.real, real)
        self._dates[real] = (node.stat.st_atime_ns, node.stat.st_mtime_ns)

    def resolve(self, path: str) -> str:
        """Through all links of the merged tree; see :meth:`LayerView.resolve`."""
        return "/".join(components(self.view.resolve(path)))


def _copy_bytes(source: str, target: str) -> None:
    """In the kernel where it can (reflinks included): copy_file_range(2)."""
    reader = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            while _copy_some(reader, writer):
                pass
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _copy_some(reader: int, writer: int) -> int:
    try:
        return os.copy_file_range(reader, writer, _CHUNK)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
    return os.sendfile(writer, reader, None, _CHUNK)


def _copy_xattrs(source: str, target: str) -> None:
    """All but overlayfs's own and those that the file system refuses."""
    for name in os.listxattr(source, follow_symlinks=False):
        if name.startswith("trusted.overlay."):
            continue
        try:
            os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False), follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EPERM, errno.ENODATA):
                raise
