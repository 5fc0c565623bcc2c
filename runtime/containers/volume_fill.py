"""A new volume starts with what the image has at its mount point, as docker's does."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from runtime.context import Context
from runtime.images.layer_index import layer_paths
from runtime.images.layer_view import LayerView, Node
from runtime.model.container import Container

__all__ = ["fill"]


def fill(ctx: Context, container: Container, target: str, volume: Path) -> None:
    """Only when the volume is empty. The directory's own owner and mode come along."""
    with os.scandir(volume) as entries:
        if next(entries, None) is not None:
            return
    view = LayerView(layer_paths(ctx, container.layers))
    node = view.lookup(target)
    if node is not None and node.is_directory:
        _copy_directory(view, node, volume, {})


def _copy_directory(view: LayerView, node: Node, target: Path, links: dict[tuple[int, int], Path]) -> None:
    for child in view.children(node):
        place = target / child.path.rpartition("/")[2]
        if child.is_directory:
            place.mkdir()
            _copy_directory(view, child, place, links)
            continue
        identity = (child.stat.st_dev, child.stat.st_ino)
        if child.stat.st_nlink > 1 and identity in links:
            os.link(links[identity], place, follow_symlinks=False)
            continue
        links[identity] = place
        if child.is_link:
            place.symlink_to(os.readlink(child.real))  # noqa: PTH115 - the text itself is wanted
        elif child.is_file:
            shutil.copyfile(child.real, place, follow_symlinks=False)
        else:
            os.mknod(place, child.stat.st_mode, child.stat.st_rdev)
        _copy_metadata(child, place)
    _copy_metadata(node, target)


def _copy_metadata(node: Node, place: Path) -> None:
    os.chown(place, node.stat.st_uid, node.stat.st_gid, follow_symlinks=False)
    if not node.is_link:
        place.chmod(node.stat.st_mode & 0o7777)
    for name in os.listxattr(node.real, follow_symlinks=False):
        if not name.startswith("trusted.overlay."):
            os.setxattr(
                place, name, os.getxattr(node.real, name, follow_symlinks=False), follow_symlinks=False
            )
    times = (node.stat.st_atime_ns, node.stat.st_mtime_ns)
    os.utime(place, ns=times, follow_symlinks=False)
