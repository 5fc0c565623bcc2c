"""tuidock image ls --tree: the layers that images stand on, and which they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tuidock.cli import output

if TYPE_CHECKING:
    from runtime.model.image import ImageSummary

__all__ = ["tree_table"]


@dataclass
class _Node:
    """A layer upon the layers above it in the tree; ``names`` are of the images that end here."""

    size: int = 0
    names: list[str] = field(default_factory=list)
    images: set[str] = field(default_factory=set)
    upon: dict[str, _Node] = field(default_factory=dict)


def tree_table(images: Iterable[ImageSummary], layers: Mapping[str, Mapping[str, int]]) -> str:
    """LAYER, SIZE, SHARED BY (how many images) and the IMAGES whose top a layer is. A layer is on the disk
    once, so the sum of SIZE is what the images take."""
    root = _Node()
    for image in images:
        node = root
        for diff_id, size in layers.get(image.id, {}).items():
            node = node.upon.setdefault(diff_id, _Node(size))
            node.images.add(image.id)
        named = image.tag != "<none>"
        name = f"{output.familiar(image.repository)}:{image.tag}" if named else output.short_id(image.id)
        node.names.append(name)
    rows: list[tuple[str, str, str, str]] = []
    if root.names:  # images without any layer
        rows.append(("(none)", output.decimal_size(0), "", ", ".join(root.names)))
    _add(root, "", rows, chain=True)
    return output.table(("LAYER", "SIZE", "SHARED BY", "IMAGES"), rows)


def _add(node: _Node, indent: str, rows: list[tuple[str, str, str, str]], *, chain: bool) -> None:
    """``chain``: what follows stays in its column, since an image may have a hundred layers."""
    for number, (diff_id, child) in enumerate(node.upon.items(), start=1):
        last = number == len(node.upon)
        branch = "" if chain else "└─ " if last else "├─ "
        deeper = "" if chain else "   " if last else "│  "
        name = f"{indent}{branch}{output.short_id(diff_id)}"
        size, users = output.decimal_size(child.size), str(len(child.images))
        rows.append((name, size, users, ", ".join(child.names)))
        _add(child, indent + deeper, rows, chain=len(child.upon) == 1)
