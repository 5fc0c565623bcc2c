"""What COPY and ADD take: sources found in a tree (the context, a stage, an image) and their digest.

The digest covers names, kinds, modes, owners, link targets and content; times are ignored.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import stat as stat_bits
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from runtime.build.dockerignore import IgnoreRules, PatternError, pattern_regex, read_rules
from runtime.build.file_digests import FileDigests
from runtime.images.layer_view import LayerView, Node

__all__ = ["Selection", "SourceNotFound", "SourceTree", "digest", "select"]

_WILD = re.compile(r"[*?\[\\]")


class SourceNotFound(ValueError):
    """A source that is not there, was ignored or lies outside; the message names it."""


@dataclass(frozen=True)
class SourceTree:
    """``mapped`` trees (the context) have all files owned by 0:0. ``name`` is for messages."""

    name: str
    view: LayerView
    digests: FileDigests
    ignore: IgnoreRules = field(default_factory=IgnoreRules)
    mapped: bool = True


@dataclass(frozen=True)
class Selection:
    """One source; ``entries`` are (path relative to the source, node), the source itself first with "".
    ``place`` is the source's path in its tree, as named (for ``--parents``)."""

    place: str
    name: str
    is_directory: bool
    entries: tuple[tuple[str, Node], ...]


def select(tree: SourceTree, source: str, exclude: Sequence[str] = ()) -> list[Selection]:
    """All that a source (a path or a pattern) names, in name order. Raises SourceNotFound,
    TreeLoop, OSError."""
    path = _inside(source)
    rules = read_rules("\n".join(exclude)) if exclude else IgnoreRules()
    if _WILD.search(path):
        try:
            found = list(_matches(tree, path))
        except PatternError as error:
            raise SourceNotFound(str(error)) from None
        if not found:
            raise SourceNotFound(f"no file in {tree.name} matches {source}")
    else:
        found = [(path, node)] if (node := _visible(tree, path)) is not None else []
        if not found:
            raise SourceNotFound(_absent(tree, source))
    made = (_selection(tree, place, node, rules) for place, node in found)
    return [selection for selection in made if selection.entries]


def _absent(tree: SourceTree, source: str) -> str:
    if tree.mapped:
        return f"file not found in build context or excluded by .dockerignore: {source}"
    return f"file not found in {tree.name}: {source}"


def _inside(source: str) -> str:
    """The source relative to its tree's root. Raises SourceNotFound when ``..`` leads out."""
    cleaned = posixpath.normpath(source.lstrip("/") or ".")
    if cleaned == ".." or cleaned.startswith("../"):
        raise SourceNotFound(f"forbidden path outside the build context: {source}")
    return "" if cleaned == "." else cleaned


def _visible(tree: SourceTree, path: str) -> Node | None:
    """A node by its path, links followed inside the tree; None when ignored (and nothing below is kept)."""
    node = tree.view.lookup(path)
    if node is None or not tree.ignore:
        return node
    for place in (path, node.path):
        if tree.ignore.excluded(place) and not (node.is_directory and tree.ignore.descend(place)):
            return None
    return node


def _matches(tree: SourceTree, pattern: str) -> Iterator[tuple[str, Node]]:
    parts = pattern.split("/")
    root = tree.view.root
    if root is not None:
        yield from _match_parts(tree, root, "", parts)


def _match_parts(tree: SourceTree, at: Node, place: str, parts: list[str]) -> Iterator[tuple[str, Node]]:
    if not parts:
        yield place, at
        return
    if not at.is_directory:
        return
    head, rest = parts[0], parts[1:]
    prefix = f"{place}/" if place else ""
    if head == "**":
        yield from _match_parts(tree, at, place, rest)
        for child in tree.view.children(at):
            name = child.path.rpartition("/")[2]
            if child.is_directory:
                yield from _match_parts(tree, child, prefix + name, parts)
        return
    if not _WILD.search(head):
        node = _visible(tree, prefix + head)
        if node is not None:
            yield from _match_parts(tree, node, prefix + head, rest)
        return
    regex = re.compile(pattern_regex(head), re.S)
    for child in tree.view.children(at):
        name = child.path.rpartition("/")[2]
        if not regex.fullmatch(name):
            continue
        node = _visible(tree, prefix + name)
        if node is not None:
            yield from _match_parts(tree, node, prefix + name, rest)
        elif child.is_link and not rest and not tree.ignore.excluded(prefix + name):
            raise SourceNotFound(f"{prefix + name} links to {_target(child)}, which is not in {tree.name}")


def _target(link: Node) -> str:
    return os.readlink(link.real)  # noqa: PTH115 - paths are text here


def _selection(tree: SourceTree, place: str, node: Node, exclude: IgnoreRules) -> Selection:
    name = place.rpartition("/")[2]
    if not node.is_directory:
        entries: tuple[tuple[str, Node], ...] = () if exclude.excluded(name) else (("", node),)
        return Selection(place, name, False, entries)
    return Selection(place, name, True, (("", node), *_walk(tree, node, "", exclude)))


def _walk(tree: SourceTree, directory: Node, prefix: str, exclude: IgnoreRules) -> Iterator[tuple[str, Node]]:
    """Below a directory, parents first. An ignored directory appears when something in it does."""
    for node in tree.view.children(directory):
        relative = prefix + node.path.rpartition("/")[2]
        hidden = tree.ignore.excluded(node.path) or exclude.excluded(relative)
        if not node.is_directory:
            if not hidden and not stat_bits.S_ISSOCK(node.stat.st_mode):
                yield relative, node
            continue
        if not hidden:
            yield relative, node
            yield from _walk(tree, node, f"{relative}/", exclude)
        elif tree.ignore.descend(node.path) or exclude.descend(relative):
            inner = _walk(tree, node, f"{relative}/", exclude)
            first = next(inner, None)
            if first is not None:
                yield relative, node
                yield first
                yield from inner


def digest(tree: SourceTree, selections: Sequence[Selection]) -> str:
    """Hexadecimal. Reads the content of files that have changed since they were last read."""
    total = hashlib.sha256()
    for selection in selections:
        total.update(
            f"{selection.place if not selection.is_directory else ''}\0".encode(errors="surrogateescape")
        )
        for relative, node in selection.entries:
            total.update(_record(tree, relative, node))
    return total.hexdigest()


def _record(tree: SourceTree, relative: str, node: Node) -> bytes:
    stat = node.stat
    owner = "0:0" if tree.mapped else f"{stat.st_uid}:{stat.st_gid}"
    if node.is_file:
        what = tree.digests.digest(node).hex()
    elif node.is_link:
        what = _target(node)
    else:
        what = str(stat.st_rdev)
    mode = 0 if node.is_directory and not relative else stat.st_mode
    record = f"{relative}\0{mode:o}\0{owner}\0{what}\0\n"
    return record.encode(errors="surrogateescape")
