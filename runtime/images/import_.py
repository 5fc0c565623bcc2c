"""A root file system's tar becomes an image of one layer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from runtime.images.changes import apply_changes
from runtime.images.create import create_image
from runtime.images.layers import unpack_layer
from runtime.images.leases import lease
from runtime.images.reference import Reference
from runtime.model.event import CancelEvent, Progress, ProgressCallback
from runtime.model.image import HistoryEntry, ImageConfig

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["import_"]

_REPORT_EVERY = 4 << 20


def import_(
    ctx: Context,
    source: IO[bytes],
    reference: str | None = None,
    *,
    message: str = "",
    changes: Sequence[str] = (),
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
) -> str:
    """The tar may be plain or compressed (gzip, zstd, bzip2, xz). Returns the image's id.

    Raises InvalidInput for the reference, a change, or a hostile or damaged archive; Failed, Cancelled.
    """
    refs = [str(Reference.parse(reference))] if reference else []
    config = apply_changes(ImageConfig(), changes)
    read = 0
    told = 0

    def count(size: int) -> None:
        nonlocal read, told
        read += size
        if progress is not None and read - told >= _REPORT_EVERY:
            told = read
            progress(Progress("import", "Importing", read))

    with lease(ctx):
        layer = unpack_layer(ctx, source, cancel=cancel, on_bytes=count)
        now = time.time_ns()
        image = create_image(
            ctx,
            config=config,
            layers=[layer.diff_id],
            history=[HistoryEntry(created_at=now, comment=message or "Imported from -")],
            refs=refs,
            created_at=now,
            event="import",
        )
    if progress is not None:
        progress(Progress("import", "Imported", read, read, done=True))
    return image.id
