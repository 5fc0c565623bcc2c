"""What a crash or a busy moment left: half-made files and directories, layers and blobs without a user."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.images.collect import collect
from runtime.images.leases import exclusive_lease, is_abandoned
from runtime.images.registry.ingest import sweep_ingest
from runtime.kernel.tree import remove_tree
from runtime.store import images as rows
from runtime.store.layer_sources import pending_layers

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["leftovers", "sweep"]


def leftovers(ctx: Context) -> list[tuple[str, str, str]]:
    """(kind, name, what is wrong) of everything that :func:`sweep` would remove."""
    half = "whoever made it is dead"
    unused = "nothing names it"
    found = [("half-made layer", name, half) for name in _names(ctx.paths.layers) if is_abandoned(name)]
    found += [("half-made content", name, half) for name in _names(ctx.paths.content) if is_abandoned(name)]
    found += [("layer", diff_id[7:19], unused) for diff_id in _forgotten_layers(ctx)]
    found += [("content", name[:12], unused) for name in _stray_blobs(ctx)]
    found += [("layer directory", name, unused) for name in _stray_directories(ctx)]
    return found


_KEEP_BYTES = 20 << 30
_KEEP_SECONDS = 7 * 24 * 3600.0
"""Partial downloads: a pull that is tried again soon goes on with them."""


def sweep(ctx: Context) -> list[str]:
    """Remove it; what was done, in words. Costs some directory listings when there is nothing."""
    done: list[str] = []
    for name in _names(ctx.paths.layers):
        if is_abandoned(name):
            remove_tree(ctx.paths.layers / name)
            done.append(f"half-made layer {name}: removed")
    for name in _names(ctx.paths.content):
        if is_abandoned(name):
            (ctx.paths.content / name).unlink(missing_ok=True)
            done.append(f"half-made content {name}: removed")
    done += sweep_ingest(ctx, keep_bytes=_KEEP_BYTES, keep_seconds=_KEEP_SECONDS)
    forgotten = _forgotten_layers(ctx)
    if forgotten:
        done += [f"unused layer {row.diff_id[7:19]}: removed" for row in collect(ctx, forgotten)]
    strays = _stray_blobs(ctx) or _stray_directories(ctx)
    if strays:
        with exclusive_lease(ctx) as alone:
            if alone:
                done += _remove_strays(ctx)
    return done


def _forgotten_layers(ctx: Context) -> list[str]:
    """Diff ids. What a pull that broke off brought is kept for the next one, as partial downloads are."""
    unused = rows.unused_layers(ctx.db)
    if not unused:
        return []
    pending = pending_layers(ctx.db)
    oldest = time.time_ns() - int(_KEEP_SECONDS * 1e9)
    return [row.diff_id for row in unused if row.diff_id not in pending or row.created_at < oldest]


def _stray_blobs(ctx: Context) -> list[str]:
    directory = ctx.paths.content / "blobs" / "sha256"
    if not directory.is_dir():
        return []
    used = rows.used_blobs(ctx.db)
    return [name for name in _names(directory) if f"sha256:{name}" not in used]


def _stray_directories(ctx: Context) -> list[str]:
    known = {row.directory for row in rows.all_layers(ctx.db)}
    return [name for name in _names(ctx.paths.layers) if name not in known and not name.startswith(".")]


def _remove_strays(ctx: Context) -> list[str]:
    """Looked up again, now that nobody adds any."""
    done: list[str] = []
    for name in _stray_blobs(ctx):
        (ctx.paths.content / "blobs" / "sha256" / name).unlink(missing_ok=True)
        done.append(f"unused content {name[:12]}: removed")
    for name in _stray_directories(ctx):
        remove_tree(ctx.paths.layers / name)
        done.append(f"unknown layer directory {name}: removed")
    return done


def _names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]
