"""docker's rules for what ``cp SOURCE DESTINATION`` means, the same for both directions.

Source: docker's reference for ``docker container cp`` and moby's ``pkg/archive/copy.go``. Both sides are a
root (a container's, or the host's "/") and an absolute path as it was written: a trailing "/" or "/." counts.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from dataclasses import dataclass

from runtime.errors import Conflict, EngineError, InvalidInput, NotFound
from runtime.kernel import rootpath, syscalls

__all__ = ["Destination", "Side", "Source", "absolute", "find_destination", "find_source", "landing"]

_MAX_LINKS = 40
_DIRECTORY = os.O_PATH | os.O_DIRECTORY


@dataclass(frozen=True)
class Side:
    """``container`` is its name, or "" for the host; ``root`` an O_PATH descriptor."""

    root: int
    container: str = ""

    def missing(self, path: str, detail: str = "") -> NotFound:
        """In docker's words."""
        if self.container:
            message = f"could not find the file {path} in container {self.container}"
        else:
            message = f"no such file or directory: {path}"
        return NotFound(f"{message}: {detail}" if detail else message, subject=path)


@dataclass(frozen=True)
class Source:
    """``fd`` (O_PATH) is to be closed by whoever asked. ``name`` is what it is called where it lands in a
    directory; "" means the directory's contents (``dir/.``)."""

    fd: int
    name: str
    is_directory: bool


@dataclass(frozen=True)
class Destination:
    """``fd`` (O_PATH) is the directory itself when it is one, else that in which ``name`` is or will be;
    ``path`` is where ``fd`` is. To be closed by whoever asked."""

    fd: int
    path: str
    name: str
    exists: bool
    is_directory: bool
    wants_directory: bool


def absolute(path: str, base: str = "/") -> str:
    """As it was written, from the root; the end keeps its "/" or "/."."""
    return path if path.startswith("/") else f"{base.rstrip('/')}/{path}"


def _wants_directory(path: str) -> bool:
    return path.endswith("/") or _wants_contents(path)


def _wants_contents(path: str) -> bool:
    return posixpath.basename(path) == "."


def find_source(side: Side, path: str, *, follow: bool) -> Source:
    """A link is copied itself unless ``follow`` or a "/" behind it. Raises NotFound."""
    try:
        fd = rootpath.open_in_root(side.root, path, os.O_PATH | (0 if follow else os.O_NOFOLLOW))
    except syscalls.SyscallError as error:
        raise _lookup_error(side, path, error) from error
    is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)
    name = "" if _wants_contents(path) else posixpath.basename(posixpath.normpath(path))
    return Source(fd, name, is_directory)


def find_destination(side: Side, path: str) -> Destination:
    """Links are followed, also to what does not exist yet. Raises NotFound (no parent), InvalidInput."""
    wants, original = _wants_directory(path), path
    for _ in range(_MAX_LINKS):
        try:
            fd = rootpath.open_in_root(side.root, path, os.O_PATH | os.O_NOFOLLOW)
        except syscalls.SyscallError as error:
            if error.errno != errno.ENOENT:
                raise _lookup_error(side, original, error) from error
            return _parent(side, path, original, exists=False, wants=wants)
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            return Destination(fd, path, "", exists=True, is_directory=True, wants_directory=wants)
        try:
            if not stat.S_ISLNK(mode):
                if not stat.S_ISREG(mode):
                    raise InvalidInput(
                        f"destination {_shown(side, original)} must be a directory or a regular file",
                        subject=original,
                    )
                return _parent(side, path, original, exists=True, wants=wants)
            target = os.readlink(b"", dir_fd=fd)
        finally:
            os.close(fd)
        path = absolute(os.fsdecode(target), posixpath.dirname(path.rstrip("/")))
    raise InvalidInput(f"too many symbolic links in {_shown(side, original)}", subject=original)


def _parent(side: Side, path: str, original: str, *, exists: bool, wants: bool) -> Destination:
    bare = path.removesuffix("/.").rstrip("/")
    parent, name = posixpath.split(bare)
    if name in ("", "..", "."):
        raise side.missing(original)
    try:
        fd = rootpath.open_in_root(side.root, parent, _DIRECTORY)
    except syscalls.SyscallError as error:
        raise _lookup_error(side, parent, error) from error
    return Destination(fd, parent, name, exists, is_directory=False, wants_directory=wants)


def landing(source: Source, destination: Destination) -> str:
    """The name under which the source is put into ``destination.fd``; "" for its contents right there.

    Raises Conflict and NotFound where docker does.
    """
    if destination.exists and destination.is_directory:
        return source.name
    if destination.exists and source.is_directory:
        raise Conflict("cannot copy a directory to a file", hint="name a directory as the destination")
    if not destination.exists and not source.is_directory and destination.wants_directory:
        raise NotFound(
            f"no such directory: {posixpath.join(destination.path, destination.name)}/",
            hint="make it first, or leave the slash out to copy to a file of that name",
        )
    return destination.name


def _shown(side: Side, path: str) -> str:
    return f"{side.container}:{path}" if side.container else path


def _lookup_error(side: Side, path: str, error: syscalls.SyscallError) -> EngineError:
    if error.errno == errno.ENOENT:
        return side.missing(path)
    return side.missing(path, error.strerror or "")
