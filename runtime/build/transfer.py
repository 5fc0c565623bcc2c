"""Selected files into a layer: where each lands, with which owner and mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runtime.build.context_files import Selection
from runtime.build.layer_writer import LayerWriter, Owner
from runtime.images.layer_view import Node, components
from runtime.model.record import record

__all__ = ["Target", "place_file", "transfer", "transfer_content"]


@record
class Target:
    """``path`` as written, absolute; ``is_directory`` when it ends in a slash or several sources go there.
    ``owner`` None keeps each file's own. ``change_mode`` None keeps modes."""

    path: str
    is_directory: bool
    owner: Owner | None
    change_mode: Callable[[int], int] | None = None
    parents: bool = False

    @property
    def maker(self) -> Owner:
        """Who owns the directories on the way."""
        return self.owner or Owner()


def transfer(writer: LayerWriter, selections: Sequence[Selection], target: Target) -> None:
    """A directory's contents go into the target, a file into it when it is a directory, else onto it.
    Directories that the target has already keep their contents and get the source's metadata; the target
    itself keeps its own.

    Raises WriteRefused, TreeLoop."""
    linked: dict[tuple[int, int], str] = {}
    for selection in selections:
        if target.parents:
            _with_parents(writer, selection, target, linked)
        elif selection.is_directory:
            _tree(writer, selection, writer.resolve(target.path), target, linked)
        else:
            _tree(writer, selection, _file_place(writer, target, selection.name), target, linked)


def transfer_content(writer: LayerWriter, name: str, content: bytes, target: Target) -> None:
    """A file whose content is in the Dockerfile."""
    mode = 0o644 if target.change_mode is None else target.change_mode(0o100644)
    writer.write(_file_place(writer, target, name), content, owner=target.maker, mode=mode)


def place_file(
    writer: LayerWriter, target: Target, name: str, node: Node, *, date: int | None = None
) -> None:
    """A file that was downloaded; ``date`` (nanoseconds) None leaves it at the epoch, as BuildKit does."""
    mode = 0o600 if target.change_mode is None else target.change_mode(0o100600)
    place = _file_place(writer, target, name)
    writer.copy(place, node, owner=target.maker, mode=mode, date=date or 0)


def _file_place(writer: LayerWriter, target: Target, name: str) -> str:
    place = writer.resolve(target.path)
    node = writer.view.lookup(place, follow=False)
    if target.is_directory or (node is not None and node.is_directory):
        return writer.resolve(f"{place}/{name}")
    return place


def _with_parents(
    writer: LayerWriter, selection: Selection, target: Target, linked: dict[tuple[int, int], str]
) -> None:
    """``--parents``: the source's directories are made below the target; those before ``/./`` are not."""
    _, pivot, after = f"/{selection.place}".partition("/./")
    kept = components(after if pivot else selection.place)
    place = writer.resolve("/".join([target.path, *kept]))
    _tree(writer, selection, place, target, linked)


def _tree(
    writer: LayerWriter,
    selection: Selection,
    place: str,
    target: Target,
    linked: dict[tuple[int, int], str],
) -> None:
    for relative, node in selection.entries:
        path = "/".join(part for part in (place, relative) if part)
        stat = node.stat
        owner = target.owner or Owner(stat.st_uid, stat.st_gid)
        mode = target.change_mode(stat.st_mode) if target.change_mode is not None else None
        if node.is_directory:
            if relative:
                mode = stat.st_mode & 0o7777 if mode is None else mode
                writer.make_directory(path, mode=mode, owner=owner, like=node, overwrite=True)
            else:
                writer.make_directory(path, mode=0o755 if mode is None else mode, owner=target.maker)
            continue
        inode = (stat.st_dev, stat.st_ino)
        if node.is_file and stat.st_nlink > 1 and target.owner is None and inode in linked:
            writer.link(path, linked[inode], owner)
            continue
        writer.copy(path, node, owner=owner, mode=mode)
        if node.is_file and stat.st_nlink > 1:
            linked[inode] = path
