"""push: from the store to a registry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.errors import Denied, EngineError, InvalidInput, NotFound
from runtime.images.content import blob_path, has_blob, read_blob
from runtime.images.leases import lease
from runtime.images.list import load_image
from runtime.images.oci import to_json_bytes
from runtime.images.parallel import Stop, side_by_side
from runtime.images.reference import Reference
from runtime.images.registry.credentials import CredentialStore
from runtime.images.registry.endpoints import endpoints
from runtime.images.registry.faults import BadContent, Temporary, WrongScheme
from runtime.images.registry.manifests import DOCKER_MANIFEST
from runtime.images.registry.packed import PackedLayer, StoredBlob
from runtime.images.registry.reporting import LayerReport, TransferReport
from runtime.images.registry.session import Session
from runtime.images.registry.transport import Timing, Transport
from runtime.images.registry.upload import BlobSource, has_remote_blob, mount, upload
from runtime.model.event import CancelEvent, ProgressCallback
from runtime.store import images as rows
from runtime.store.layer_sources import LayerSource, add_source, sources_of

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["Pushed", "push"]

_PARALLEL = 5
"""Uploads at once; docker's max-concurrent-uploads."""
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"


@dataclass(frozen=True)
class Pushed:
    """``size`` is the manifest's."""

    reference: str
    digest: str
    size: int


def push(
    ctx: Context,
    reference: str,
    *,
    all_tags: bool = False,
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
    timing: Timing | None = None,
) -> list[Pushed]:
    """Send an image, or every tag of its repository. What the registry has is not sent.

    Raises NotFound (image), Denied (login), Unavailable, Failed, InvalidInput, Cancelled.
    """
    wanted = Reference.parse(reference)
    if wanted.digest:
        raise InvalidInput("cannot push a digest reference", hint="give a tag", subject=reference)
    if all_tags and reference.endswith(f":{wanted.tag}"):
        raise InvalidInput(
            "tag can't be used with --all-tags/-a", hint="leave the tag out", subject=reference
        )
    images = _images(ctx, wanted, all_tags)
    report = TransferReport(progress)
    report.line(f"The push refers to repository [{wanted.name}]")
    credentials = CredentialStore().get(wanted.domain)
    failure: EngineError | None = None
    for endpoint in endpoints(wanted.domain, ctx.config, mirrors=False):
        stop = Stop(cancel)
        also = _other_repositories(ctx, images, wanted)
        try:
            with lease(ctx), Transport(ctx.config, cancel=stop, timing=timing) as transport:
                session = Session(transport, endpoint, credentials, wanted.path, "pull,push", also)
                session.ping()
                return [_Push(ctx, session, name, image_id, report, stop).run() for name, image_id in images]
        except (Temporary, WrongScheme) as error:
            if endpoint.verify or not endpoint.url.startswith("https:"):
                raise
            failure = error
        except Denied as error:
            raise _refused(error, wanted) from error
    assert failure is not None
    raise failure


def _refused(error: Denied, wanted: Reference) -> Denied:
    return Denied(
        f"push access denied for {wanted.familiar_name}: {error.message}",
        hint=error.hint,
        subject=wanted.name,
    )


def _images(ctx: Context, wanted: Reference, all_tags: bool) -> list[tuple[Reference, str]]:
    """Names and image ids. Raises NotFound."""
    if not all_tags:
        image_id = rows.resolve_ref(ctx.db, str(wanted))
        if image_id is None:
            raise NotFound(
                f"an image does not exist locally with the tag: {wanted.familiar_name}",
                hint=f"tuidock tag IMAGE {wanted.familiar()} gives one that name",
                subject=wanted.familiar(),
            )
        return [(wanted, image_id)]
    found = [
        (parsed, row.id)
        for row in rows.all_images(ctx.db)
        for parsed in map(Reference.parse, row.refs)
        if parsed.name == wanted.name and parsed.tag and not parsed.digest
    ]
    if not found:
        raise NotFound(
            f"an image does not exist locally with the tag: {wanted.familiar_name}",
            subject=wanted.familiar_name,
        )
    return sorted(found, key=lambda item: item[0].tag)


def _other_repositories(
    ctx: Context, images: Sequence[tuple[Reference, str]], wanted: Reference
) -> list[str]:
    """Paths at the same registry that layers of the images are known to be in: they can be mounted."""
    found: dict[str, None] = {}
    for _, image_id in images:
        row = rows.get_image(ctx.db, image_id)
        for diff_id in row.layers if row else ():
            found.update(dict.fromkeys(path for path, _ in _mountable(ctx, diff_id, wanted)))
    return list(found)[:_PARALLEL]


def _mountable(ctx: Context, diff_id: str, wanted: Reference) -> list[tuple[str, LayerSource]]:
    prefix = f"{wanted.domain}/"
    return [
        (source.repository.removeprefix(prefix), source)
        for source in sources_of(ctx.db, diff_id)
        if source.repository.startswith(prefix) and source.repository != wanted.name
    ]


class _Push:
    def __init__(
        self,
        ctx: Context,
        session: Session,
        reference: Reference,
        image_id: str,
        report: TransferReport,
        stop: Stop,
    ) -> None:
        self._ctx = ctx
        self._session = session
        self._reference = reference
        self._image = load_image(ctx, image_id)
        self._report = report
        self._stop = stop

    def run(self) -> Pushed:
        ctx, image = self._ctx, self._image
        blobs = self._layers()
        config = read_blob(ctx, image.id)
        if not has_remote_blob(self._session, image.id, len(config)):
            upload(self._session, StoredBlob(blob_path(ctx, image.id), image.id, len(config)))
        media_type, data = self._manifest(len(config), blobs)
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        what = f"manifest of {self._reference.familiar()}"
        url = self._session.url(f"manifests/{self._reference.tag}")
        headers = {"Content-Type": media_type}
        with self._session.ask(
            "PUT", url, what=what, accept=(200, 201, 202), headers=headers, body=data
        ) as answer:
            said = answer.headers.get("Docker-Content-Digest", "")
        if said and said != digest:
            raise BadContent(f"registry {self._session.host}: it stored {said[:19]} instead of {digest[:19]}")
        self._note(digest)
        self._report.line(f"{self._reference.tag}: digest: {digest} size: {len(data)}")
        return Pushed(str(self._reference), digest, len(data))

    def _note(self, digest: str) -> None:
        """The image is known by what the registry calls it, as after a pull."""
        reference = self._reference
        named = Reference(reference.domain, reference.path, "", digest)
        with self._ctx.db.write() as tx:
            if rows.get_image(tx, self._image.id) is not None:
                rows.set_ref(tx, str(named), self._image.id)
            tx.event("image", "push", reference.familiar(), name=reference.familiar_name)

    def _manifest(self, config_size: int, blobs: dict[str, LayerSource]) -> tuple[str, bytes]:
        """The one that the image was pulled with, when its layers are the same blobs; else docker's schema 2,
        which the oldest registries and engines read."""
        image = self._image
        kept = read_blob(self._ctx, image.manifest_digest)
        document: dict[str, Any] = json.loads(kept)
        if [item["digest"] for item in document["layers"]] == [
            blobs[item].blob_digest for item in image.layers
        ]:
            return str(document.get("mediaType") or DOCKER_MANIFEST), kept
        layers = [blobs[diff_id] for diff_id in image.layers]
        return DOCKER_MANIFEST, to_json_bytes(
            {
                "schemaVersion": 2,
                "mediaType": DOCKER_MANIFEST,
                "config": {"mediaType": _CONFIG, "size": config_size, "digest": image.id},
                "layers": [
                    {
                        "mediaType": _docker_type(item.media_type),
                        "size": item.blob_size,
                        "digest": item.blob_digest,
                    }
                    for item in layers
                ],
            }
        )

    def _layers(self) -> dict[str, LayerSource]:
        """By diff id, what the registry has of each; top first, as docker tells them."""
        unique = list(dict.fromkeys(reversed(self._image.layers)))
        told = {diff_id: self._report.layer(diff_id) for diff_id in unique}
        for diff_id in unique:
            told[diff_id]("Preparing")
        for diff_id in unique[_PARALLEL:]:
            told[diff_id]("Waiting")

        def send(diff_id: str) -> Callable[[], LayerSource]:
            return lambda: self._layer(diff_id, told[diff_id])

        sent = side_by_side(
            self._ctx, [send(diff_id) for diff_id in unique], self._stop, most=_PARALLEL, name="push"
        )
        return dict(zip(unique, sent, strict=True))

    def _layer(self, diff_id: str, told: LayerReport) -> LayerSource:
        found = self._there(diff_id, told) or self._mounted(diff_id, told) or self._sent(diff_id, told)
        with self._ctx.db.write() as tx:
            add_source(tx, found)
        return found

    def _there(self, diff_id: str, told: LayerReport) -> LayerSource | None:
        """As our own blob, or as what an earlier push made of the layer."""
        ctx, repository = self._ctx, self._reference.name
        row = rows.get_layer(ctx.db, diff_id)
        own = (
            [LayerSource(diff_id, row.blob_digest, row.blob_size, row.media_type, repository)]
            if row is not None and row.blob_digest
            else []
        )
        known = [item for item in sources_of(ctx.db, diff_id) if item.repository == repository]
        for candidate in [*own, *([] if own else known)]:
            if has_remote_blob(self._session, candidate.blob_digest, candidate.blob_size):
                told("Layer already exists", done=True)
                return candidate
        return None

    def _mounted(self, diff_id: str, told: LayerReport) -> LayerSource | None:
        row = rows.get_layer(self._ctx.db, diff_id)
        for path, source in _mountable(self._ctx, diff_id, self._reference):
            if row is not None and row.blob_digest and row.blob_digest != source.blob_digest:
                continue
            place = mount(self._session, source.blob_digest, path)
            if not place:
                told(f"Mounted from {path}", done=True)
                return LayerSource(
                    diff_id, source.blob_digest, source.blob_size, source.media_type, self._reference.name
                )
            return self._sent(diff_id, told, place)
        return None

    def _sent(self, diff_id: str, told: LayerReport, begun: str = "") -> LayerSource:
        ctx, repository = self._ctx, self._reference.name
        row = rows.get_layer(ctx.db, diff_id)
        if row is None:
            raise NotFound(f"no such layer: {diff_id}", subject=diff_id)
        if row.blob_digest and has_blob(ctx, row.blob_digest):
            blob: BlobSource = StoredBlob(blob_path(ctx, row.blob_digest), row.blob_digest, row.blob_size)
            digest = upload(self._session, blob, begun=begun, on_bytes=told.counter("Pushing", row.blob_size))
            found = LayerSource(diff_id, digest, row.blob_size, row.media_type, repository)
        else:
            with PackedLayer(ctx, diff_id, self._stop) as packed:
                count = told.counter("Pushing", 0)
                digest = upload(self._session, packed, begun=begun, on_bytes=count)
                size = packed.size or 0
            found = LayerSource(diff_id, digest, size, f"{_LAYER}.gzip", repository)
        told("Pushed", done=True)
        return found


def _docker_type(media_type: str) -> str:
    """docker's schema 2 knows plain and gzip; zstd has the specification's name everywhere."""
    if "zstd" in media_type:
        return media_type
    return f"{_LAYER}.gzip" if "gzip" in media_type else _LAYER
