"""cp: files and trees out of a container and into one, running or not.

Nothing of the container is run: no tar, no library, no name service of its own (CVE-2019-14271). Its paths
are resolved by the kernel inside its root (CVE-2018-15664), once, and trees are read and written by
descriptors from there on (see :mod:`tree_tar`, :mod:`tree_place`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from runtime.containers import copy_paths
from runtime.containers.copy_paths import Side, Source
from runtime.containers.root_view import Root, acting_as_root, container_root
from runtime.containers.tree_place import Target, place
from runtime.containers.tree_tar import Packing, is_kernel_file, tree_tar
from runtime.context import Context
from runtime.errors import Cancelled, InvalidInput
from runtime.images.compression import decompressed
from runtime.images.pack import TarStream
from runtime.images.tar_reader import TarReader
from runtime.kernel import rootpath, syscalls
from runtime.model.event import CancelEvent, Progress, ProgressCallback

__all__ = ["copy_from", "copy_to"]


def copy_from(
    ctx: Context,
    reference: str,
    path: str,
    target: str | os.PathLike[str] | IO[bytes],
    *,
    archive: bool = False,
    follow_link: bool = False,
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
) -> int:
    """``path`` of the container to ``target``, a path of the host (docker's rules) or a stream, which gets a
    tar; how many bytes of tar that was. Owners are kept with ``archive``, else the files become ours.

    Raises NotFound, Conflict, InvalidInput, Denied, Failed, Cancelled.
    """
    inside = copy_paths.absolute(path)
    check, count = _Checks(cancel), _Count("copy", "Copying", progress)
    with container_root(ctx, reference) as root:
        source = copy_paths.find_source(_side(root), inside, follow=follow_link)
        try:
            if is_kernel_file(source.fd):
                raise _side(root).missing(inside, "files of the kernel cannot be copied")
            packing = Packing(hidden=_device_directory(root.fd), check=check, ids=root.ids)
            if isinstance(target, (str, os.PathLike)):
                _to_host(source, os.fspath(target), packing, archive, check, count)
            else:
                for chunk in count(tree_tar(source.fd, os.fsencode(source.name or "."), packing)):
                    target.write(chunk)
                target.flush()
        finally:
            os.close(source.fd)
        _event(ctx, root, "archive-path", path=inside)
    count.finish()
    return count.total


def _to_host(
    source: Source, path: str, packing: Packing, archive: bool, check: Callable[[], None], count: _Count
) -> None:
    host = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = copy_paths.find_destination(Side(host), copy_paths.absolute(path, str(Path.cwd())))
        try:
            name = copy_paths.landing(source, found)
            stream = TarStream(count(tree_tar(source.fd, os.fsencode(name or "."), packing)))
            owner = None if archive else (os.geteuid(), os.getegid())
            place(TarReader(stream), Target(found.fd, found.path, None, owner, privileges=archive), check)
        finally:
            os.close(found.fd)
    finally:
        os.close(host)


def copy_to(
    ctx: Context,
    reference: str,
    source: str | os.PathLike[str] | IO[bytes],
    path: str,
    *,
    archive: bool = False,
    follow_link: bool = False,
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
) -> int:
    """``source``, a path of the host or a stream of tar (plain or compressed), to ``path`` of the container;
    how many bytes of tar that was. Files become root's unless ``archive``; a stream's owners are kept.

    A stream is unpacked in ``path``, which must be a directory. Raises as :func:`copy_from`.
    """
    inside = copy_paths.absolute(path)
    check, count = _Checks(cancel), _Count("copy", "Copying", progress)
    with container_root(ctx, reference) as root, acting_as_root(root):
        found = copy_paths.find_destination(_side(root), inside)
        try:
            owner = None if archive or not isinstance(source, (str, os.PathLike)) else (0, 0)
            target = Target(found.fd, found.path, root.fd, owner, privileges=True, ids=root.ids)
            if is_kernel_file(found.fd):
                raise _side(root).missing(inside, "nothing can be copied to the kernel's files")
            if isinstance(source, (str, os.PathLike)):
                with _HostSource(os.fspath(source), follow_link) as given:
                    name = copy_paths.landing(given, found)
                    stream = TarStream(
                        count(tree_tar(given.fd, os.fsencode(name or "."), Packing(check=check)))
                    )
                    place(TarReader(stream), target, check)
            elif not found.is_directory:
                raise InvalidInput(
                    f"destination {root.container.name}:{path} must be a directory",
                    hint="a tar archive is unpacked in it",
                    subject=path,
                )
            else:
                plain = decompressed(source)[1]
                stream = TarStream(count(iter(lambda: plain.read(1 << 18), b"")))
                place(TarReader(stream), target, check)
        finally:
            os.close(found.fd)
        _event(ctx, root, "extract-to-dir", path=inside)
    count.finish()
    return count.total


class _HostSource:
    """The file of the host that is to be copied, open for a with block."""

    def __init__(self, path: str, follow: bool) -> None:
        host = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            full = copy_paths.absolute(path, str(Path.cwd()))
            self._source = copy_paths.find_source(Side(host), full, follow=follow)
        finally:
            os.close(host)

    def __enter__(self) -> Source:
        return self._source

    def __exit__(self, *_: object) -> None:
        os.close(self._source.fd)


class _Checks:
    """Called between steps: raises Cancelled once the caller wants it."""

    def __init__(self, cancel: CancelEvent | None) -> None:
        self._cancel = cancel

    def __call__(self) -> None:
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled("cancelled")


class _Count:
    """Bytes that went by, told now and then."""

    def __init__(self, id: str, stage: str, progress: ProgressCallback | None) -> None:
        self._id, self._stage, self._progress = id, stage, progress
        self._told = 0
        self.total = 0

    def __call__(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.total += len(chunk)
            if self._progress is not None and self.total - self._told >= 1 << 20:
                self._told = self.total
                self._progress(Progress(self._id, self._stage, self.total))
            yield chunk

    def finish(self) -> None:
        if self._progress is not None:
            self._progress(Progress(self._id, "Copied", self.total, self.total, done=True))


def _side(root: Root) -> Side:
    return Side(root.fd, root.container.name)


def _device_directory(root: int) -> frozenset[tuple[int, int]]:
    """/dev is made for the container at its start, and not copied (docker shows an empty one)."""
    try:
        fd = rootpath.open_in_root(root, "/dev", os.O_PATH | os.O_DIRECTORY, follow=False)
    except syscalls.SyscallError:
        return frozenset()
    try:
        info, top = os.fstat(fd), os.fstat(root)
    finally:
        os.close(fd)
    return frozenset({(info.st_dev, info.st_ino)}) if info.st_dev != top.st_dev else frozenset()


def _event(ctx: Context, root: Root, action: str, *, path: str) -> None:
    container = root.container
    with ctx.db.write(lasting=False) as tx:
        tx.event(
            "container", action, container.id, name=container.name, image=container.config.image, path=path
        )
