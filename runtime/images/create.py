"""Making an image out of a config and layers that are there."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.errors import NotFound
from runtime.images.content import put_blob
from runtime.images.leases import lease
from runtime.images.list import load_image
from runtime.images.oci import (
    MEDIA_TYPE_CONFIG,
    MEDIA_TYPE_MANIFEST,
    ConfigDocument,
    config_bytes,
    host_architecture,
    parse_config,
    to_json_bytes,
)
from runtime.images.reference import Reference
from runtime.model.image import HistoryEntry, Image, ImageConfig
from runtime.store import images as rows

if TYPE_CHECKING:
    from runtime.context import Context
    from runtime.store.database import Transaction

__all__ = ["create_image", "register_image", "set_reference"]


def create_image(
    ctx: Context,
    *,
    config: ImageConfig,
    layers: Sequence[str],
    history: Sequence[HistoryEntry] = (),
    refs: Sequence[str] = (),
    parent: str = "",
    created_at: int | None = None,
    author: str = "",
    architecture: str = "",
    os: str = "linux",
    event: str = "",
) -> Image:
    """Write config and manifest, the rows, and move ``refs`` (parsed) to the image; the same inputs give the
    same id. ``created_at`` (nanoseconds, default now) is part of it. ``event`` adds one of that action.

    Raises NotFound when a layer is not there, InvalidInput for a reference that is none.
    """
    data = config_bytes(
        config=config,
        diff_ids=layers,
        history=history,
        created_at=time.time_ns() if created_at is None else created_at,
        author=author,
        architecture=architecture or host_architecture(),
        os=os,
    )
    return register_image(ctx, data, refs=refs, parent=parent, event=event)


def register_image(
    ctx: Context,
    config: bytes,
    *,
    refs: Sequence[str] = (),
    parent: str = "",
    event: str = "",
    actor: str = "",
    manifest: bytes | None = None,
) -> Image:
    """The same for a config blob that is given as it is. A ``manifest`` that came with it is kept, so that
    its digest stays, when its layers are the very blobs that we have. Raises NotFound, InvalidInput.
    """
    names = [Reference.parse(ref) for ref in refs]
    document = parse_config(config)
    with lease(ctx):
        image_id = put_blob(ctx, config)
        layer_rows = [_layer(ctx, diff_id) for diff_id in document.diff_ids]
        given = manifest if manifest is not None and _is_of(manifest, layer_rows) else None
        manifest_digest = put_blob(ctx, given or _manifest(image_id, len(config), layer_rows))
        row = rows.ImageRow(
            id=image_id,
            manifest_digest=manifest_digest,
            created_at=document.created_at,
            size=sum(layer.size for layer in layer_rows),
            layers=document.diff_ids,
            parent=parent,
            added_at=time.time_ns(),
        )
        with ctx.db.write() as tx:
            if not rows.insert_image(tx, row) and given is not None:
                rows.set_manifest(tx, image_id, manifest_digest)
            if event:
                name = names[0].familiar() if names else image_id
                tx.event("image", event, actor or image_id, **_attributes(document, name))
            for name_ in names:
                set_reference(tx, name_, image_id)
    return load_image(ctx, image_id)


def set_reference(tx: Transaction, reference: Reference, image_id: str) -> None:
    """Point a reference at an image, with docker's event, unless it did already."""
    if rows.set_ref(tx, str(reference), image_id) != image_id:
        tx.event("image", "tag", image_id, name=reference.familiar())


def _is_of(manifest: bytes, layers: Sequence[rows.LayerRow]) -> bool:
    named = [item.get("digest") for item in json.loads(manifest)["layers"]]
    return named == [row.blob_digest for row in layers]


def _layer(ctx: Context, diff_id: str) -> rows.LayerRow:
    row = rows.get_layer(ctx.db, diff_id)
    if row is None:
        raise NotFound(f"no such layer: {diff_id}", subject=diff_id)
    return row


def _attributes(document: ConfigDocument, name: str) -> dict[str, str]:
    attributes = {key: value for key, value in document.config.labels.items() if key.isidentifier()}
    attributes["name"] = name
    return attributes


def _manifest(config_digest: str, config_size: int, layers: Sequence[rows.LayerRow]) -> bytes:
    """A layer without a blob is named by its diff id: that is the digest of the tar that is made anew."""
    return to_json_bytes(
        {
            "schemaVersion": 2,
            "mediaType": MEDIA_TYPE_MANIFEST,
            "config": {"mediaType": MEDIA_TYPE_CONFIG, "digest": config_digest, "size": config_size},
            "layers": [
                {"mediaType": row.media_type, "digest": row.blob_digest or row.diff_id, "size": row.blob_size}
                for row in layers
            ],
        }
    )
