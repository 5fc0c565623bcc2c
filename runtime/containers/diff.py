"""diff: what a container changed against its image, read from its upper directory.

The upper directory may be changed while it is read: it is walked by descriptors. The layers below never
change.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from runtime.containers.upper import is_mount_point, open_upper
from runtime.context import Context
from runtime.errors import Failed
from runtime.images.layer_index import layer_paths
from runtime.images.layer_view import LayerView, Node, is_whiteout
from runtime.store import containers as store

__all__ = ["Change", "diff"]

_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_DEPTH = 250
_OPAQUE = "trusted.overlay.opaque"


@dataclass(frozen=True)
class Change:
    """``kind`` is docker's letter: A (added), C (changed) or D (deleted); ``path`` is absolute."""

    kind: str
    path: str


def diff(ctx: Context, reference: str) -> list[Change]:
    """In the order of a walk, names sorted. Raises NotFound, Failed for what is nested absurdly deep."""
    container = store.find(ctx.db, reference)
    walk = _Walk(LayerView(layer_paths(ctx, container.layers)))
    top = open_upper(ctx, container)
    try:
        walk.directory(top, "", walk.lower.root)
    finally:
        os.close(top)
    return walk.found


class _Walk:
    def __init__(self, lower: LayerView) -> None:
        self.lower = lower
        self.found: list[Change] = []

    def directory(self, fd: int, path: str, below: Node | None) -> bool:
        """Compare the entries of ``fd``, an upper directory, with the image's ``below``; whether there was
        nothing to tell but places that we mount on."""
        if path.count("/") > _MAX_DEPTH:
            raise Failed(f"directories are nested more than {_MAX_DEPTH} deep", subject=path)
        only_ours = True
        names = set(os.listdir(fd))
        hidden = below if below is not None and below.is_directory and _is_opaque(fd) else None
        if hidden is not None:
            gone = [child.path.rpartition("/")[2] for child in self.lower.children(hidden)]
            names.update(gone)
        for name in sorted(names, key=os.fsencode):
            lower = self.lower.child(below, name) if below is not None and below.is_directory else None
            only_ours = self._entry(fd, name, f"{path}/{name}", lower, hidden is not None) and only_ours
        return only_ours

    def _entry(self, parent: int, name: str, path: str, lower: Node | None, opaque: bool) -> bool:
        try:
            fd = os.open(name, _LOOK, dir_fd=parent)
        except FileNotFoundError:
            if opaque and lower is not None:  # in the image, and its directory was made anew
                self.found.append(Change("D", path))
                return False
            return True
        try:
            info = os.fstat(fd)
            if is_whiteout(info):
                if lower is not None:
                    self.found.append(Change("D", path))
                return lower is None
            if stat.S_ISDIR(info.st_mode):
                return self._directory(fd, path, info, lower)
            if lower is None and is_mount_point(path, info, empty=True):
                return True
            self.found.append(Change("A" if lower is None else "C", path))
            return False
        finally:
            os.close(fd)

    def _directory(self, fd: int, path: str, info: os.stat_result, lower: Node | None) -> bool:
        place = len(self.found)
        opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
        try:
            empty = not os.listdir(opened)  # noqa: PTH208 - of a descriptor
            only_ours = self.directory(opened, path, lower)
        finally:
            os.close(opened)
        if lower is None:
            if is_mount_point(path, info, empty=empty or only_ours) or (only_ours and not empty):
                return True
            self.found.insert(place, Change("A", path))
            return False
        if len(self.found) == place:
            if only_ours and not empty and _same(info, lower.stat, times=False):
                return True
            if _same(info, lower.stat, times=True):
                return True
        self.found.insert(place, Change("C", path))
        return False


def _same(upper: os.stat_result, lower: os.stat_result, *, times: bool) -> bool:
    kept = (upper.st_mode, upper.st_uid, upper.st_gid) == (lower.st_mode, lower.st_uid, lower.st_gid)
    return kept and (not times or upper.st_mtime_ns == lower.st_mtime_ns)


def _is_opaque(fd: int) -> bool:
    try:
        return os.getxattr(fd, _OPAQUE) == b"y"
    except OSError:
        return False
