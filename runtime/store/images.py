"""Rows of images, their references, and the unpacked layers."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from runtime.model.record import record
from runtime.store.database import Database, Transaction

__all__ = [
    "ImageRow",
    "LayerRow",
    "all_images",
    "all_layers",
    "containers_using",
    "delete_image",
    "delete_layer",
    "delete_ref",
    "find_prefix",
    "get_image",
    "get_layer",
    "insert_image",
    "insert_layer",
    "refs_of",
    "resolve_ref",
    "set_manifest",
    "set_ref",
    "unused_layers",
    "used_blobs",
]


@record
class ImageRow:
    """``refs`` are full references, those with a digest included, sorted."""

    id: str
    manifest_digest: str
    created_at: int
    size: int
    layers: tuple[str, ...]
    parent: str
    added_at: int
    refs: tuple[str, ...] = ()


@record
class LayerRow:
    """``size`` is unpacked bytes; ``blob_size`` the blob's, else that of the tar made again, with the content
    ``recipe`` when another program wrote it."""

    diff_id: str
    directory: str
    size: int
    blob_digest: str = ""
    media_type: str = ""
    blob_size: int = 0
    created_at: int = 0
    recipe: str = ""

    @property
    def content(self) -> set[str]:
        """Digests of the blobs that are kept for it."""
        return {self.blob_digest, self.recipe} - {""}


_IMAGE = "id, manifest_digest, created_at, size, layers, parent, added_at"
_LAYER = "diff_id, directory, size, blob_digest, media_type, blob_size, created_at, recipe"


def insert_image(tx: Transaction, row: ImageRow) -> bool:
    """False when it was there already (same id, so same content)."""
    cursor = tx.execute(
        f"INSERT OR IGNORE INTO image ({_IMAGE}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            row.id,
            row.manifest_digest,
            row.created_at,
            row.size,
            json.dumps(row.layers),
            row.parent,
            row.added_at or time.time_ns(),
        ),
    )
    return cursor.rowcount == 1


def set_manifest(tx: Transaction, image_id: str, manifest_digest: str) -> None:
    """The image is in a registry as this manifest, with the same layers."""
    tx.execute("UPDATE image SET manifest_digest = ? WHERE id = ?", (manifest_digest, image_id))


def delete_image(tx: Transaction, image_id: str) -> None:
    tx.execute("DELETE FROM image_ref WHERE image_id = ?", (image_id,))
    tx.execute("DELETE FROM image WHERE id = ?", (image_id,))


def set_ref(tx: Transaction, ref: str, image_id: str) -> str | None:
    """Point ``ref`` at the image; returns the id it pointed at before, if any."""
    before = resolve_ref(tx, ref)
    tx.execute(
        "INSERT INTO image_ref (ref, image_id) VALUES (?, ?)"
        " ON CONFLICT (ref) DO UPDATE SET image_id = excluded.image_id",
        (ref, image_id),
    )
    return before


def delete_ref(tx: Transaction, ref: str) -> None:
    tx.execute("DELETE FROM image_ref WHERE ref = ?", (ref,))


def resolve_ref(db: Database | Transaction, ref: str) -> str | None:
    row = db.row("SELECT image_id FROM image_ref WHERE ref = ?", (ref,))
    return str(row[0]) if row else None


def refs_of(db: Database | Transaction, image_id: str) -> tuple[str, ...]:
    rows = db.rows("SELECT ref FROM image_ref WHERE image_id = ? ORDER BY ref", (image_id,))
    return tuple(row[0] for row in rows)


def get_image(db: Database | Transaction, image_id: str) -> ImageRow | None:
    row = db.row(f"SELECT {_IMAGE} FROM image WHERE id = ?", (image_id,))
    if row is None:
        return None
    return _image(row, refs_of(db, image_id))


def find_prefix(db: Database | Transaction, prefix: str) -> list[str]:
    """At most two ids that begin with ``prefix`` (hexadecimal, without "sha256:")."""
    start = f"sha256:{prefix}"
    rows = db.rows("SELECT id FROM image WHERE id >= ? AND id < ? LIMIT 2", (start, start + "g"))
    return [row[0] for row in rows]


def all_images(db: Database | Transaction) -> list[ImageRow]:
    """Newest first."""
    refs: dict[str, list[str]] = defaultdict(list)
    for ref, image_id in db.rows("SELECT ref, image_id FROM image_ref ORDER BY ref"):
        refs[image_id].append(ref)
    rows = db.rows(f"SELECT {_IMAGE} FROM image ORDER BY created_at DESC, id")
    return [_image(row, tuple(refs[row[0]])) for row in rows]


def _image(row: tuple[Any, ...], refs: tuple[str, ...]) -> ImageRow:
    return ImageRow(
        row[0], row[1], row[2], row[3], tuple(json.loads(row[4])), parent=row[5], added_at=row[6], refs=refs
    )


def containers_using(db: Database | Transaction, image_id: str) -> list[tuple[str, str]]:
    """(container id, status) of every container made from the image or with it mounted, the build's own
    included."""
    return [
        (row[0], row[1])
        for row in db.rows(
            "SELECT id, status FROM container WHERE image_id = ?1 OR (instr(config, ?1) AND EXISTS ("
            "SELECT 1 FROM json_each(config, '$.mounts') AS mount"
            " WHERE json_extract(mount.value, '$.image_id') = ?1)) ORDER BY created_at",
            (image_id,),
        )
    ]


def insert_layer(tx: Transaction, row: LayerRow) -> bool:
    """False when the diff id has a directory already."""
    cursor = tx.execute(
        f"INSERT OR IGNORE INTO layer ({_LAYER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row.diff_id,
            row.directory,
            row.size,
            row.blob_digest,
            row.media_type,
            row.blob_size,
            row.created_at or time.time_ns(),
            row.recipe,
        ),
    )
    return cursor.rowcount == 1


def get_layer(db: Database | Transaction, diff_id: str) -> LayerRow | None:
    row = db.row(f"SELECT {_LAYER} FROM layer WHERE diff_id = ?", (diff_id,))
    return LayerRow(*row) if row else None


def all_layers(db: Database | Transaction) -> list[LayerRow]:
    return [LayerRow(*row) for row in db.rows(f"SELECT {_LAYER} FROM layer ORDER BY created_at")]


def delete_layer(tx: Transaction, diff_id: str) -> None:
    tx.execute("DELETE FROM layer WHERE diff_id = ?", (diff_id,))
    tx.execute("DELETE FROM layer_source WHERE diff_id = ?", (diff_id,))


def unused_layers(
    tx: Database | Transaction, candidates: Iterable[str] | None = None, *, before: int | None = None
) -> list[LayerRow]:
    """Layers that no image, container or build cache entry names: of ``candidates`` (all, when None), and
    made before the time ``before`` (nanoseconds) when given."""
    used: set[str] = set()
    for table in ("image", "container"):
        used.update(
            row[0] for row in tx.rows(f"SELECT DISTINCT value FROM {table}, json_each({table}.layers)")
        )
    wanted: Sequence[LayerRow]
    if candidates is None:
        wanted = all_layers(tx)
    else:
        wanted = [row for row in (get_layer(tx, item) for item in set(candidates)) if row is not None]
    return [
        row
        for row in wanted
        if row.diff_id not in used
        and (before is None or row.created_at < before)
        and tx.row("SELECT 1 FROM build_cache WHERE instr(result, ?) LIMIT 1", (row.diff_id,)) is None
    ]


def used_blobs(db: Database | Transaction) -> set[str]:
    """Digests of every blob that an image or a layer names."""
    found = db.rows(
        "SELECT id FROM image UNION SELECT manifest_digest FROM image UNION SELECT blob_digest FROM layer"
        " UNION SELECT recipe FROM layer"
    )
    return {row[0] for row in found}
