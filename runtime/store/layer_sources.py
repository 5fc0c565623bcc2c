"""Rows of where layers are in registries: what a push need not compress or send again."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.store.database import Database, Transaction

__all__ = ["LayerSource", "add_source", "forget_source", "sources_of"]


@dataclass(frozen=True)
class LayerSource:
    """The layer ``diff_id`` is in ``repository`` ("localhost:5000/app") as the blob ``blob_digest``."""

    diff_id: str
    blob_digest: str
    blob_size: int
    media_type: str
    repository: str


def add_source(tx: Transaction, source: LayerSource) -> None:
    """The latest for a layer and a repository counts."""
    tx.execute(
        "INSERT OR REPLACE INTO layer_source (diff_id, blob_digest, blob_size, media_type, repository)"
        " VALUES (?, ?, ?, ?, ?)",
        (source.diff_id, source.blob_digest, source.blob_size, source.media_type, source.repository),
    )


def forget_source(tx: Transaction, source: LayerSource) -> None:
    """The registry has it no more."""
    tx.execute(
        "DELETE FROM layer_source WHERE diff_id = ? AND repository = ?", (source.diff_id, source.repository)
    )


def sources_of(db: Database | Transaction, diff_id: str) -> list[LayerSource]:
    rows = db.rows(
        "SELECT diff_id, blob_digest, blob_size, media_type, repository FROM layer_source"
        " WHERE diff_id = ? ORDER BY repository",
        (diff_id,),
    )
    return [LayerSource(*row) for row in rows]
