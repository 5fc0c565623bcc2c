"""Removing bytes that nothing names any more: layers and blobs.

All of it happens under the exclusive lease: while somebody adds images nothing is removed, and what is left
is found by the next sweep.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from runtime.images.content import remove_blob
from runtime.images.leases import exclusive_lease, temporary_name
from runtime.kernel.tree import remove_tree
from runtime.store import images as rows

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["chain_ids", "collect"]


def collect(
    ctx: Context, layers: Iterable[str] | None = None, blobs: Iterable[str] = ()
) -> list[rows.LayerRow]:
    """Remove those of ``layers`` (diff ids; all, when None) and of ``blobs`` that nothing uses; returns the
    layers that are gone."""
    with exclusive_lease(ctx) as alone:
        if not alone:
            return []
        with ctx.db.write() as tx:
            gone = rows.unused_layers(tx, layers)
            for row in gone:
                rows.delete_layer(tx, row.diff_id)
            used = rows.used_blobs(tx)
        for row in gone:
            scratch = ctx.paths.layers / temporary_name()
            try:
                (ctx.paths.layers / row.directory).rename(scratch)
            except FileNotFoundError:
                continue
            remove_tree(scratch)
        for digest in set(blobs).union(*(row.content for row in gone)) - used:
            remove_blob(ctx, digest)
    return gone


def chain_ids(diff_ids: Iterable[str]) -> list[str]:
    """What docker calls layers by: a digest over a layer and all below it (image-spec config.md, "Layer
    ChainID")."""
    chain: list[str] = []
    for diff_id in diff_ids:
        text = f"{chain[-1]} {diff_id}" if chain else ""
        chain.append(f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if text else diff_id)
    return chain
