"""What COPY and ADD take: sources found in a tree (the context, a stage, an image) and their digest.

The digest covers names, kinds, modes, owners, link targets, content and extended attributes, and no times.
"""

from __future__ import annotations

import errno
import os
import posixpath
import re
import stat as stat_bits
from collections.abc import Iterator, Sequence
from dataclasses import field
from functools import cached_property

from runtime.build.dockerignore import IgnoreRules, PatternError, pattern_regex, read_rules
from runtime.build.tree_digests import TreeDigests
from runtime.images.layer_view import LayerView, Node
from runtime.model.hashing import sha256
from runtime.model.record import record

__all__ = ["VANISHED", "Selection", "SourceNotFound", "SourceTree", "digest", "select", "unlike"]

_WILD = r"[*?\[\\]"
VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.ENXIO})
"""What opening and reading an entry meets when it is gone, or something else than when it was listed."""


class SourceNotFound(ValueError):
    """A source that is not there, was ignored or lies outside; the message names it."""


@record
class SourceTree:
    """``mapped`` trees (the context) have all files owned by 0:0. ``name`` is for messages. Only a ``sealed``
    tree cannot change under our eyes."""

    name: str
    view: LayerView
    digests: TreeDigests
    ignore: IgnoreRules = field(default_factory=IgnoreRules)
    mapped: bool = True
    sealed: bool = False


@record
class _Shown:
    """What of a tree a source brings: paths are from the tree's root, ``exclude`` is about those below
    ``base``."""

    ignore: IgnoreRules
    exclude: IgnoreRules
    base: str

    @cached_property
    def name(self) -> str:
        if not self.ignore and not self.exclude:
            return ""
        text = f"{self.ignore.text}\0{self.exclude.text}\0{self.base if self.exclude else ''}"
        return sha256(text.encode(errors="surrogateescape")).hex()[:24]

    def _relative(self, path: str) -> str:
        return path[len(self.base) + 1 :] if self.base else path

    def hidden(self, path: str) -> bool:
        return self.ignore.excluded(path) or self.exclude.excluded(self._relative(path))

    def descend(self, path: str) -> bool:
        return self.ignore.descend(path) or self.exclude.descend(self._relative(path))


@record
class Selection:
    """One source. ``place`` is its path in its tree, as named (for ``--parents``); ``root`` what it names."""

    place: str
    name: str
    root: Node
    _tree: SourceTree
    _shown: _Shown

    @property
    def is_directory(self) -> bool:
        return self.root.is_directory

    @cached_property
    def entries(self) -> tuple[tuple[str, Node], ...]:
        """(path relative to the source, node), the source itself first with ""; looked for when asked, since
        a cached build never does. Raises OSError."""
        below = _walk(self._tree.view, self.root, self._shown) if self.is_directory else ()
        return (("", self.root), *below)

    def digest(self) -> bytes:
        """Raises OSError."""
        if not self._tree.sealed:
            return self._compute()
        return self._tree.digests.sealed(f"{self.root.path}\0{self._shown.name}", self._compute)

    def _compute(self) -> bytes:
        tree, root = self._tree, self.root
        if not self.is_directory:
            return tree.digests.file(root.real, root.stat)
        if len(root.places) == 1 and not tree.view.overlay:
            return tree.digests.tree(root.real, root.path, self._shown)
        from hashlib import sha256 as begin  # all of a tree, in pieces

        total = begin()
        for relative, node in self.entries[1:]:
            what = b"" if node.is_directory else tree.digests.file(node.real, node.stat)
            stat = node.stat
            line = f"{relative}\0{stat.st_mode:o}\0{stat.st_uid}:{stat.st_gid}\0"
            total.update(line.encode(errors="surrogateescape") + what)
        return total.digest()

    def changed(self) -> str:
        """The path of the first entry that is no longer what it was when it was found; "" when all are."""
        for _, node in self.entries:
            try:
                now = os.lstat(node.real)
            except OSError:
                return node.path
            if (now.st_ino, now.st_size, now.st_ctime_ns) != (
                node.stat.st_ino,
                node.stat.st_size,
                node.stat.st_ctime_ns,
            ):
                return node.path
        return ""


def select(tree: SourceTree, source: str, exclude: Sequence[str] = ()) -> list[Selection]:
    """All that a source (a path or a pattern) names, in name order. Raises SourceNotFound,
    TreeLoop, OSError."""
    path = _inside(source)
    rules = read_rules("\n".join(exclude)) if exclude else IgnoreRules()
    if re.search(_WILD, path):
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
    selections = []
    for place, node in found:
        name = place.rpartition("/")[2]
        if node.is_directory or not rules.excluded(name):
            shown = _Shown(tree.ignore, rules, node.path)
            selections.append(Selection(place, name, node, tree, shown))
    return selections


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
    if not re.search(_WILD, head):
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


class _Level:
    """A directory on the way; ``held`` is itself, while it is hidden and nothing in it has appeared."""

    def __init__(self, children: Iterator[Node], prefix: str, held: tuple[str, Node] | None = None) -> None:
        self.children = children
        self.prefix = prefix
        self.held = held


def _walk(view: LayerView, top: Node, shown: _Shown) -> Iterator[tuple[str, Node]]:
    """Below a directory, parents first. An ignored directory appears when something in it does. Depth by an
    own stack: a context may be nested deeper than Python calls may be."""
    levels = [_Level(iter(view.children(top)), "")]
    while levels:
        node = next(levels[-1].children, None)
        if node is None:
            levels.pop()
            continue
        relative = levels[-1].prefix + node.path.rpartition("/")[2]
        hidden = shown.hidden(node.path)
        if not hidden and not stat_bits.S_ISSOCK(node.stat.st_mode):
            for level in levels:
                if level.held is not None:
                    yield level.held
                    level.held = None
            yield relative, node
        if node.is_directory and (not hidden or shown.descend(node.path)):
            held = (relative, node) if hidden else None
            levels.append(_Level(iter(view.children(node)), f"{relative}/", held))


def digest(selections: Sequence[Selection]) -> str:
    """Hexadecimal. Reads the content of files that have changed since they were last read."""
    total = bytearray()
    for selection in selections:
        place = "" if selection.is_directory else selection.place
        total += f"{place}\0".encode(errors="surrogateescape")
        total += selection.digest()
    return sha256(total).hex()


def unlike(tree: SourceTree, selections: Sequence[Selection], known: str) -> str | None:
    """After the selections were copied: None when their digest still is ``known``, so that the copy is what
    it tells of; else the name of something that changed."""
    if tree.sealed or digest(selections) == known:
        return None
    return next((path for item in selections if (path := item.changed())), tree.name)
