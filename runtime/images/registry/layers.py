"""An image's layers: fetched side by side, unpacked while they come, each kept only when both digests fit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from runtime.errors import InvalidInput
from runtime.images.layers import has_layer, unpack_layer
from runtime.images.parallel import Stop, side_by_side
from runtime.images.registry.blobs import fetch
from runtime.images.registry.faults import BadContent
from runtime.images.registry.ingest import Ingest
from runtime.images.registry.manifests import Descriptor, Manifest
from runtime.images.registry.reporting import LayerReport, TransferReport
from runtime.images.registry.session import Session
from runtime.store.layer_sources import LayerSource, add_source

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["bring_layer", "pull_layers"]

_PARALLEL = 3
"""Downloads at once; docker's max-concurrent-downloads."""


def pull_layers(
    ctx: Context,
    session: Session,
    manifest: Manifest,
    diff_ids: Sequence[str],
    report: TransferReport,
    stop: Stop,
) -> None:
    """Bring those that are missing. Raises the first failure, when the others have stopped."""
    missing: dict[str, tuple[Descriptor, LayerReport]] = {}
    for diff_id, layer in zip(diff_ids, manifest.layers, strict=True):
        told = report.layer(layer.digest)
        if has_layer(ctx, diff_id):
            told("Already exists", done=True)
        elif diff_id not in missing:
            missing[diff_id] = (layer, told)
            told("Pulling fs layer")
    if not missing:
        return

    def bring(diff_id: str, layer: Descriptor, told: LayerReport) -> Callable[[], None]:
        def work() -> None:
            bring_layer(ctx, session, diff_id, layer, told, stop)
            _remember(ctx, session, diff_id, layer)

        return work

    for _, told in list(missing.values())[_PARALLEL:]:
        told("Waiting")
    side_by_side(
        ctx, [bring(diff_id, *item) for diff_id, item in missing.items()], stop, most=_PARALLEL, name="pull"
    )


def bring_layer(
    ctx: Context, session: Session, diff_id: str, layer: Descriptor, told: LayerReport, stop: Stop
) -> None:
    """Bytes put together from several answers that turn out wrong are asked for once more as a whole."""
    for last in (False, True):
        with Ingest(ctx, layer.digest, layer.size, stop) as ingest:
            if has_layer(ctx, diff_id):
                ingest.discard()  # another pull brought it while we waited
                told("Pull complete", done=True)
                return
            try:
                _fetch_and_unpack(ctx, session, ingest, diff_id, layer, told, stop)
            except (BadContent, InvalidInput):
                ingest.discard()
                if last or not ingest.pieced:
                    raise
                continue
            told("Pull complete", done=True)
            return


def _fetch_and_unpack(
    ctx: Context,
    session: Session,
    ingest: Ingest,
    diff_id: str,
    layer: Descriptor,
    told: LayerReport,
    stop: Stop,
) -> None:
    count = told.counter("Downloading", layer.size, ingest.position)

    def download() -> None:
        try:
            fetch(session, ingest, count)
            told("Download complete")
        except BaseException as error:  # the reader raises it
            ingest.fail(error)

    thread = threading.Thread(target=download, name="registry-download", daemon=True)
    thread.start()
    try:
        unpack_layer(ctx, ingest, diff_id=diff_id, cancel=stop, kept=ingest)
    except BaseException as error:
        if not isinstance(error, (BadContent, InvalidInput)):
            stop.set()  # ends a download that waits for its registry
        raise
    finally:
        ingest.give_up()
        thread.join()


def _remember(ctx: Context, session: Session, diff_id: str, layer: Descriptor) -> None:
    """Where it came from: a push to the same registry need not send it again."""
    repository = f"{session.endpoint.domain}/{session.path}"
    with ctx.db.write() as tx:
        add_source(
            tx, LayerSource(diff_id, layer.digest, layer.size, layer.media_type, repository), pending=True
        )
