"""Rows of where layers are in registries: what a push need not compress or send again."""

from __future__ import annotations

from collections.abc import Iterable

from runtime.model.record import record
from runtime.store.database import Database, Transaction

__all__ = ["LayerSource", "add_source", "pending_layers", "settle", "sources_of"]


@record
class LayerSource:
    """The layer ``diff_id`` is in ``repository`` ("localhost:5000/app") as the blob ``blob_digest``."""

    diff_id: str
    blob_digest: str
    blob_size: int
    media_type: str
    repository: str


def add_source(tx: Transaction, source: LayerSource, *, pending: bool = False) -> None:
    """The latest for a layer and a repository counts. ``pending``: its image is not here yet, so nothing uses
    the layer, and a pull that is tried again will."""
    tx.execute(
        "INSERT OR REPLACE INTO layer_source"
        " (diff_id, blob_digest, blob_size, media_type, repository, pending) VALUES (?, ?, ?, ?, ?, ?)",
        (
            source.diff_id,
            source.blob_digest,
            source.blob_size,
            source.media_type,
            source.repository,
            int(pending),
        ),
    )


def settle(tx: Transaction, diff_ids: Iterable[str]) -> None:
    """The image is here."""
    for diff_id in diff_ids:
        tx.execute("UPDATE layer_source SET pending = 0 WHERE diff_id = ? AND pending", (diff_id,))


def pending_layers(db: Database | Transaction) -> set[str]:
    return {row[0] for row in db.rows("SELECT diff_id FROM layer_source WHERE pending")}


def sources_of(db: Database | Transaction, diff_id: str) -> list[LayerSource]:
    rows = db.rows(
        "SELECT diff_id, blob_digest, blob_size, media_type, repository FROM layer_source"
        " WHERE diff_id = ? ORDER BY repository",
        (diff_id,),
    )
    return [LayerSource(*row) for row in rows]
