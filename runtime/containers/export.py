"""export: a container's root file system as a tar, without what is mounted on it."""

from __future__ import annotations

from typing import IO

from runtime.containers.root_view import image_root
from runtime.containers.tree_tar import Packing, tree_tar
from runtime.context import Context
from runtime.errors import Cancelled
from runtime.model.event import CancelEvent, Progress, ProgressCallback
from runtime.store import containers as store

__all__ = ["export"]


def export(
    ctx: Context,
    reference: str,
    target: IO[bytes],
    *,
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
) -> None:
    """Raises NotFound, Failed, Cancelled."""
    container = store.find(ctx.db, reference)

    def check() -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled("cancelled")

    written = told = 0
    with image_root(ctx, container) as root:
        for chunk in tree_tar(root, b"", Packing(check=check)):
            target.write(chunk)
            written += len(chunk)
            if progress is not None and written - told >= 4 << 20:
                told = written
                progress(Progress("export", "Exporting", written))
    target.flush()
    if progress is not None:
        progress(Progress("export", "Exported", written, written, done=True))
    with ctx.db.write(lasting=False) as tx:
        tx.event("container", "export", container.id, name=container.name, image=container.config.image)
