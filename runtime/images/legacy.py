"""docker's oldest archives (before 1.10): a ``repositories`` file, and a directory with ``json`` and
``layer.tar`` for each layer, chained by "parent" (docker image specification v1)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from runtime.errors import InvalidInput
from runtime.images.archive import Archive
from runtime.images.compression import CHUNK, decompressed
from runtime.images.oci import to_json_bytes

__all__ = ["legacy_images"]

_MAX_LAYERS = 1000


def legacy_images(archive: Archive) -> Iterator[tuple[bytes, list[str], tuple[str, ...]]]:
    """(a config made for it, the layers' members, references) of each image."""
    names: dict[str, list[str]] = {}
    repositories = _document(archive, "repositories")
    for repository, tags in repositories.items():
        if not isinstance(tags, dict):
            raise InvalidInput("the archive's repositories file cannot be read")
        for tag, layer_id in tags.items():
            names.setdefault(str(layer_id), []).append(f"{repository}:{tag}")
    for layer_id, refs in names.items():
        chain = _chain(archive, layer_id)
        members = [f"{item}/layer.tar" for item, _ in chain]
        top = chain[-1][1]
        history = [
            {
                "created": document.get("created"),
                "created_by": " ".join((document.get("container_config") or {}).get("Cmd") or ()),
            }
            for _, document in chain
        ]
        config = {
            "created": top.get("created"),
            "architecture": top.get("architecture") or "",
            "os": top.get("os") or "linux",
            "config": top.get("config") or {},
            "rootfs": {"type": "layers", "diff_ids": [_diff_id(archive, name) for name in members]},
            "history": history,
        }
        yield to_json_bytes(config), members, tuple(refs)


def _chain(archive: Archive, layer_id: str) -> list[tuple[str, dict[str, Any]]]:
    """From the lowest layer up."""
    chain: list[tuple[str, dict[str, Any]]] = []
    current = layer_id
    while current:
        if len(chain) >= _MAX_LAYERS:
            raise InvalidInput("the archive's layers have no beginning")
        document = _document(archive, f"{current}/json")
        chain.append((current, document))
        current = str(document.get("parent") or "")
    return chain[::-1]


def _diff_id(archive: Archive, name: str) -> str:
    digest = hashlib.sha256()
    _, plain = decompressed(archive.open(name))
    while chunk := plain.read(CHUNK):
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _document(archive: Archive, name: str) -> dict[str, Any]:
    try:
        document = json.loads(archive.read(name))
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise InvalidInput(f"{name!r} in the archive cannot be read", subject=name)
    return document
