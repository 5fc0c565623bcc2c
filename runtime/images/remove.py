"""Removing images and their names, by docker's rules (moby, daemon/images/image_delete.go)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from runtime.errors import Conflict
from runtime.images.collect import chain_ids, collect
from runtime.images.list import find_image_id, load_image
from runtime.images.reference import Reference
from runtime.images.registry.ingest import sweep_ingest
from runtime.model.container import ContainerStatus
from runtime.store import images as rows

if TYPE_CHECKING:
    from runtime.context import Context
    from runtime.model.selection import Selection
    from runtime.store.database import Transaction

__all__ = ["prune", "remove"]

Records = list[dict[str, str]]


def remove(ctx: Context, reference: str, *, force: bool = False, prune: bool = True) -> Records:
    """Untag; with the last name the image goes, and with ``prune`` its parents that have no name.

    Rows {"Untagged": reference} and {"Deleted": id} in the order of what happened. Raises NotFound, and
    Conflict for an image that is in use or, without ``force``, has several names.
    """
    records: Records = []
    gone: list[rows.ImageRow] = []
    with ctx.db.write() as tx:
        image_id = find_image_id(tx, reference)
        _Removal(tx, records, gone, force, prune).run(image_id, reference)
    records += [{"Deleted": chain_id} for chain_id in _collected(ctx, gone)]
    return records


def prune(ctx: Context, *, all: bool = False, selection: Selection | None = None) -> tuple[list[str], int]:
    """Images without a name that nobody uses, or ``all`` that no container uses; (ids, bytes reclaimed)."""
    records: Records = []
    gone: list[rows.ImageRow] = []
    with ctx.db.write() as tx:
        parents = {row.parent for row in rows.all_images(tx)}
        for row in rows.all_images(tx):
            if row.id in parents or (row.refs and not all) or rows.containers_using(tx, row.id):
                continue
            if selection is not None:
                labels = load_image(ctx, row.id).config.labels
                if not selection.takes(labels, row.created_at):
                    continue
            _Removal(tx, records, gone, True, True).delete(row.id, quiet=False)
    before = {layer.diff_id: layer.size for layer in rows.all_layers(ctx.db)}
    _collected(ctx, gone)
    # Also what pulls that broke off had kept.
    collect(ctx)
    sweep_ingest(ctx, keep_bytes=0, keep_seconds=0)
    after = {layer.diff_id for layer in rows.all_layers(ctx.db)}
    reclaimed = sum(size for diff_id, size in before.items() if diff_id not in after)
    if gone:
        with ctx.db.write() as tx:
            tx.event("image", "prune", "", reclaimed=str(reclaimed))
    return [row.id for row in gone], reclaimed


def _collected(ctx: Context, gone: list[rows.ImageRow]) -> list[str]:
    """Drop the images' layers and blobs where nothing else needs them; docker's ids of them, top first."""
    if not gone:
        return []
    blobs = {digest for row in gone for digest in (row.id, row.manifest_digest) if digest}
    removed = {row.diff_id for row in collect(ctx, {item for row in gone for item in row.layers}, blobs)}
    shown: dict[str, None] = {}
    for row in gone:
        for diff_id, chain_id in reversed(list(zip(row.layers, chain_ids(row.layers), strict=True))):
            if diff_id in removed:
                shown[chain_id] = None
    return list(shown)


class _Removal:
    def __init__(
        self, tx: Transaction, records: Records, gone: list[rows.ImageRow], force: bool, prune: bool
    ) -> None:
        self._tx = tx
        self._records = records
        self._gone = gone
        self._force = force
        self._prune = prune

    def run(self, image_id: str, reference: str) -> None:
        refs = rows.refs_of(self._tx, image_id)
        if _is_prefix(image_id, reference):
            self.delete(image_id, quiet=False)
            return
        users = rows.containers_using(self._tx, image_id)
        if not self._force and _is_single(refs) and users:
            raise Conflict(
                f"conflict: unable to remove repository reference {reference!r} (must force) - container"
                f" {users[0][0][:12]} is using its referenced image {_short(image_id)}",
                hint=f"remove the container first: tuidock rm {users[0][0][:12]}",
                subject=reference,
            )
        parsed = Reference.parse(reference)
        full = str(parsed)
        if full not in refs and parsed.digest:
            full = f"{parsed.name}@{parsed.digest}"
        self._untag(image_id, full)
        remaining = rows.refs_of(self._tx, image_id)
        if not parsed.digest and not any(
            "@" not in ref and Reference.parse(ref).name == parsed.name for ref in remaining
        ):
            for ref in [item for item in remaining if item.startswith(f"{parsed.name}@")]:
                self._untag(image_id, ref)
            remaining = rows.refs_of(self._tx, image_id)
        if not remaining:
            self.delete(image_id, quiet=True)

    def delete(self, image_id: str, *, quiet: bool) -> None:
        """``quiet``: a reference was removed already, so an image that must stay stays without a word."""
        problem = self._problem(image_id)
        if problem is not None:
            if quiet:
                return
            raise problem()
        row = rows.get_image(self._tx, image_id)
        if row is None:
            return
        for ref in row.refs:
            self._untag(image_id, ref)
        rows.delete_image(self._tx, image_id)
        self._tx.event("image", "delete", image_id, name=image_id)
        self._records.append({"Deleted": image_id})
        self._gone.append(row)
        parent = rows.get_image(self._tx, row.parent) if row.parent and self._prune else None
        if parent is not None and not parent.refs:
            self._force = False
            self.delete(parent.id, quiet=True)

    def _untag(self, image_id: str, ref: str) -> None:
        familiar = Reference.parse(ref).familiar()
        rows.delete_ref(self._tx, ref)
        self._tx.event("image", "untag", image_id, name=familiar)
        self._records.append({"Untagged": familiar})

    def _problem(self, image_id: str) -> Callable[[], Conflict] | None:
        """Why the image cannot be deleted (now), as docker words it."""
        short = _short(image_id)
        if self._tx.row("SELECT 1 FROM image WHERE parent = ? LIMIT 1", (image_id,)) is not None:
            return _conflict(short, "cannot be forced", "image has dependent child images")
        users = rows.containers_using(self._tx, image_id)
        for container_id, status in users:
            if ContainerStatus(status).alive:
                return _conflict(
                    short, "cannot be forced", f"image is being used by running container {container_id[:12]}"
                )
        if self._force:
            return None
        if not _is_single(rows.refs_of(self._tx, image_id)):
            return _conflict(short, "must be forced", "image is referenced in multiple repositories")
        if users:
            return _conflict(
                short, "must be forced", f"image is being used by stopped container {users[0][0][:12]}"
            )
        return None


def _conflict(short: str, how: str, why: str) -> Callable[[], Conflict]:
    hint = "remove them first" if how == "cannot be forced" else "use -f to remove it all the same"
    return lambda: Conflict(f"conflict: unable to delete {short} ({how}) - {why}", hint=hint, subject=short)


def _is_single(refs: tuple[str, ...]) -> bool:
    """At most one tag; names by digest come along when they are of the same repository."""
    tags = [ref for ref in refs if "@" not in ref]
    names = {Reference.parse(ref).name for ref in refs}
    return len(refs) <= 1 or (len(tags) <= 1 and len(names) == 1)


def _is_prefix(image_id: str, reference: str) -> bool:
    return image_id.startswith(reference) or image_id.removeprefix("sha256:").startswith(reference)


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]
