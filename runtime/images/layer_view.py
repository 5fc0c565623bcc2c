"""Stacked layer directories, read as the one tree that overlayfs would show, without mounting them.

Whiteouts (0/0 character devices) and opaque directories (``trusted.overlay.opaque``) are honoured
(Documentation/filesystems/overlayfs.rst in the kernel's source). Symbolic links are followed inside the
tree only: an absolute target begins at its root, ``..`` stops there.
"""

from __future__ import annotations

import errno
import os
import stat as stat_bits
from collections.abc import Iterable, Sequence

__all__ = ["LayerView", "Node", "TreeLoop", "components", "is_whiteout"]

_MAX_LINKS = 40


class TreeLoop(ValueError):
    """Too many symbolic links on the way."""


class Node:
    """``path`` is relative to the root ("" is the root itself); ``real`` is where its bytes are. ``places``
    are the directories, highest layer first, whose entries together are the directory."""

    __slots__ = ("path", "places", "real", "stat")

    def __init__(self, path: str, real: str, stat: os.stat_result, places: tuple[str, ...] = ()) -> None:
        self.path = path
        self.real = real
        self.stat = stat
        self.places = places

    @property
    def is_directory(self) -> bool:
        return stat_bits.S_ISDIR(self.stat.st_mode)

    @property
    def is_link(self) -> bool:
        return stat_bits.S_ISLNK(self.stat.st_mode)

    @property
    def is_file(self) -> bool:
        return stat_bits.S_ISREG(self.stat.st_mode)


def is_whiteout(stat: os.stat_result) -> bool:
    return stat_bits.S_ISCHR(stat.st_mode) and stat.st_rdev == 0


def components(path: str) -> list[str]:
    """The names in a path; dots and doubled slashes dropped, ``..`` kept."""
    return [part for part in path.split("/") if part not in ("", ".")]


class LayerView:
    """``layers`` are directories, lowest first. ``overlay=False`` reads one plain directory, in which 0/0
    devices are devices. Nothing is cached: what is written into a layer is seen at once."""

    def __init__(self, layers: Sequence[str | os.PathLike[str]], *, overlay: bool = True) -> None:
        self._layers = tuple(os.fspath(layer) for layer in reversed(layers))
        self._overlay = overlay

    @property
    def overlay(self) -> bool:
        return self._overlay

    @property
    def root(self) -> Node | None:
        """None when there is no layer at all."""
        places = self._layers
        return Node("", places[0], os.lstat(places[0]), places) if places else None

    def child(self, parent: Node, name: str) -> Node | None:
        path = f"{parent.path}/{name}" if parent.path else name
        return self._merge(path, name, parent.places)

    def _merge(self, path: str, name: str, places: Iterable[str]) -> Node | None:
        found: tuple[str, os.stat_result] | None = None
        below: list[str] = []
        for place in places:
            real = f"{place}/{name}"
            try:
                stat = os.lstat(real)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if self._overlay and is_whiteout(stat):
                break
            if not stat_bits.S_ISDIR(stat.st_mode):
                if found is None:
                    return Node(path, real, stat)
                break
            found = found or (real, stat)
            below.append(real)
            if self._overlay and _opaque(real):
                break
        return Node(path, found[0], found[1], tuple(below)) if found else None

    def children(self, parent: Node) -> list[Node]:
        """By name, in byte order."""
        if len(parent.places) == 1 and not self._overlay:
            prefix = f"{parent.path}/" if parent.path else ""
            with os.scandir(parent.places[0]) as entries:
                listed = sorted(entries, key=lambda entry: os.fsencode(entry.name))
            nodes = []
            for entry in listed:
                try:
                    stat = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # removed since the directory was read
                places = (entry.path,) if stat_bits.S_ISDIR(stat.st_mode) else ()
                nodes.append(Node(prefix + entry.name, entry.path, stat, places))
            return nodes
        names: set[str] = set()
        for place in parent.places:
            names.update(os.listdir(place))  # noqa: PTH208 - names only, of a directory given as text
        found = (self.child(parent, name) for name in sorted(names, key=os.fsencode))
        return [node for node in found if node is not None]

    def lookup(self, path: str, *, follow: bool = True) -> Node | None:
        """None when it does not exist. ``follow`` is about the last component; those before always are
        followed. Raises TreeLoop."""
        node, missing = self._walk(path, follow)
        return None if missing else node

    def resolve(self, path: str) -> str:
        """The path without links, from the root; what does not exist stays as written. Raises TreeLoop."""
        node, missing = self._walk(path, follow=True)
        base = [node.path] if node is not None and node.path else []
        return "/".join(base + missing)

    def _walk(self, path: str, follow: bool) -> tuple[Node | None, list[str]]:
        """The deepest node that exists, and the names that do not exist below it."""
        root = self.root
        trail: list[Node] = [root] if root is not None else []
        missing: list[str] = []
        pending = components(path)[::-1]
        links = 0
        while pending:
            name = pending.pop()
            if name == "..":
                if missing:
                    missing.pop()
                elif len(trail) > 1:
                    trail.pop()
                continue
            node = None if missing or not trail else self.child(trail[-1], name)
            if node is None:
                missing.append(name)
            elif node.is_link and (follow or pending):
                links += 1
                if links > _MAX_LINKS:
                    raise TreeLoop(f"too many symbolic links in /{path}")
                target = os.readlink(node.real)  # noqa: PTH115 - paths are text here
                if target.startswith("/"):
                    del trail[1:]
                pending += components(target)[::-1]
            else:
                trail.append(node)
        return (trail[-1] if trail else None), missing

    def read(self, path: str, limit: int = 1 << 20) -> bytes | None:
        """A small regular file's bytes; None when there is none. Never blocks on a FIFO."""
        node = self.lookup(path)
        if node is None or not node.is_file:
            return None
        descriptor = os.open(node.real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(limit)


def _opaque(directory: str) -> bool:
    try:
        return os.getxattr(directory, "trusted.overlay.opaque", follow_symlinks=False) == b"y"
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.EOPNOTSUPP, errno.EPERM):
            return False
        raise
