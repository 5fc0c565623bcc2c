"""Images as they are: one, all, and the rows of ``image ls``."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from runtime.errors import InvalidInput, NotFound
from runtime.images.content import read_blob
from runtime.images.oci import ConfigDocument, parse_config
from runtime.images.reference import Reference, is_digest, is_id_prefix
from runtime.model.image import HistoryEntry, Image, ImageSummary
from runtime.store import images as rows

if TYPE_CHECKING:
    from runtime.context import Context
    from runtime.store.database import Database, Transaction

__all__ = ["find_image_id", "get_image", "layer_sizes", "list_images", "load_image"]

_documents: dict[str, ConfigDocument] = {}
_MAX_DOCUMENTS = 256


def list_images(ctx: Context, *, all: bool = False) -> list[ImageSummary]:
    """Newest first, one row a reference. Without ``all``, images without a name that others stand on
    (a build's intermediate ones) are left out."""
    found = rows.all_images(ctx.db)
    used = Counter(row[0] for row in ctx.db.rows("SELECT image_id FROM container WHERE internal = 0"))
    parents = {row.parent for row in found if row.parent}
    summaries: list[ImageSummary] = []
    for row in found:
        if not row.refs and row.id in parents and not all:
            continue
        references = [Reference.parse(ref) for ref in row.refs]
        digests = {item.name: item.digest for item in references if item.digest}
        names = [
            (item.familiar_name, item.tag, digests.get(item.name, "")) for item in references if item.tag
        ]
        untagged = {item.name for item in references if item.digest} - {
            item.name for item in references if item.tag
        }
        names += [
            (item.familiar_name, "<none>", item.digest)
            for item in references
            if item.digest and item.name in untagged
        ]
        for repository, tag, digest in names or [("<none>", "<none>", "")]:
            summaries.append(
                ImageSummary(row.id, repository, tag, row.created_at, row.size, used[row.id], digest)
            )
    return summaries


def get_image(ctx: Context, reference: str, *, history_sizes: bool = False) -> Image:
    """By reference, id or unique id prefix. Raises NotFound, InvalidInput."""
    image = load_image(ctx, find_image_id(ctx.db, reference))
    return replace(image, history=_with_sizes(ctx, image)) if history_sizes else image


def find_image_id(db: Database | Transaction, reference: str) -> str:
    """The id that a reference, an id or a prefix of one stands for, in docker's order: a whole id, a name, a
    prefix. Raises NotFound, InvalidInput (no possible reference, or an ambiguous prefix)."""
    whole = reference if reference.startswith("sha256:") else f"sha256:{reference}"
    if is_digest(whole):
        if rows.get_image(db, whole) is None:
            raise _missing(reference)
        return whole
    problem: InvalidInput | None = None
    if not reference.startswith("sha256:"):
        try:
            parsed = Reference.parse(reference)
        except InvalidInput as error:
            problem = error
        else:
            found = rows.resolve_ref(db, str(parsed))
            if found is None and parsed.digest:
                found = rows.resolve_ref(db, f"{parsed.name}@{parsed.digest}")
            if found is not None:
                return found
    if is_id_prefix(reference):
        ids = rows.find_prefix(db, reference.removeprefix("sha256:"))
        if len(ids) > 1:
            raise InvalidInput(
                f"image id prefix {reference!r} is ambiguous", hint="give more of the id", subject=reference
            )
        if ids:
            return ids[0]
    if problem is not None:
        raise problem
    raise _missing(reference)


def _missing(reference: str) -> NotFound:
    try:
        shown = Reference.parse(reference).familiar()
    except InvalidInput:
        shown = reference
    return NotFound(
        f"no such image: {shown}",
        hint="tuidock image ls lists the images; build, load or import makes one",
        subject=reference,
    )


def load_image(ctx: Context, image_id: str) -> Image:
    """By full id. Raises NotFound."""
    row = rows.get_image(ctx.db, image_id)
    if row is None:
        raise _missing(image_id)
    document = _document(ctx, image_id)
    return Image(
        id=row.id,
        created_at=row.created_at,
        architecture=document.architecture,
        os=document.os,
        config=document.config,
        layers=row.layers,
        size=row.size,
        refs=tuple(ref for ref in row.refs if "@" not in ref),
        digests=tuple(ref for ref in row.refs if "@" in ref),
        parent=row.parent,
        author=document.author,
        manifest_digest=row.manifest_digest,
        history=document.history,
    )


def _document(ctx: Context, image_id: str) -> ConfigDocument:
    """Content never changes under its digest, so what was read once stays read."""
    document = _documents.get(image_id)
    if document is None:
        document = parse_config(read_blob(ctx, image_id))
        if len(_documents) >= _MAX_DOCUMENTS:
            _documents.clear()
        _documents[image_id] = document
    return document


def _with_sizes(ctx: Context, image: Image) -> tuple[HistoryEntry, ...]:
    """Each entry that made a layer gets that layer's size, in order."""
    sizes = [row.size if (row := rows.get_layer(ctx.db, diff_id)) else 0 for diff_id in image.layers]
    remaining = iter(sizes)
    return tuple(
        entry if entry.empty_layer else replace(entry, size=next(remaining, 0)) for entry in image.history
    )


def layer_sizes(ctx: Context) -> dict[str, dict[str, int]]:
    """Image id to the size of each of its layers, lowest first. A layer is kept once for all that have it."""
    known = {row.diff_id: row.size for row in rows.all_layers(ctx.db)}
    return {
        image.id: {diff_id: known.get(diff_id, 0) for diff_id in image.layers}
        for image in rows.all_images(ctx.db)
    }
