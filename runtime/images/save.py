"""Saving images: one tar that docker and every OCI tool reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Any

from runtime.errors import Cancelled, Failed, InvalidInput
from runtime.images import tar_reader
from runtime.images.compression import CHUNK, Readable
from runtime.images.content import open_blob, read_blob
from runtime.images.layers import open_layer_tar
from runtime.images.leases import lease
from runtime.images.list import find_image_id, load_image
from runtime.images.oci import MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST, to_json_bytes
from runtime.images.reference import Reference
from runtime.images.tar_writer import END, header, padding
from runtime.model.event import CancelEvent, Progress, ProgressCallback
from runtime.store import images as rows

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["save", "save_as"]


def save(
    ctx: Context,
    references: Sequence[str],
    target: IO[bytes],
    *,
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
) -> None:
    """An OCI layout with docker's ``manifest.json``. A name without a tag means all its tags, an id the image
    without a name. The same images give the same bytes.

    Raises NotFound before anything is written, Failed, Cancelled.
    """
    with lease(ctx):
        wanted = _wanted(ctx, references)
        _Writer(ctx, target, progress, cancel).write(wanted)
        if not ctx.db.read_only:
            with ctx.db.write() as tx:
                for image_id, names in wanted.items():
                    told = names[0].familiar() if names else image_id
                    tx.event("image", "save", image_id, name=told)


def save_as(
    ctx: Context,
    image_id: str,
    names: Sequence[Reference],
    target: IO[bytes],
    *,
    cancel: CancelEvent | None = None,
) -> None:
    """The same for one image by its id, under names that it need not have here."""
    with lease(ctx):
        _Writer(ctx, target, None, cancel).write({image_id: list(names)})


def _wanted(ctx: Context, references: Sequence[str]) -> dict[str, list[Reference]]:
    """Image ids with the names to save them under, in the order asked for."""
    if not references:
        raise InvalidInput("no image was named to be saved", hint="tuidock save IMAGE [IMAGE...]")
    wanted: dict[str, list[Reference]] = {}
    for text in references:
        names = _all_tags(ctx, text)
        if not names:
            image_id = find_image_id(ctx.db, text)
            names = {image_id: []} if _is_id(image_id, text) else {image_id: [Reference.parse(text)]}
        for image_id, found in names.items():
            kept = wanted.setdefault(image_id, [])
            kept += [reference for reference in found if reference not in kept and reference.tag]
    return wanted


def _all_tags(ctx: Context, text: str) -> dict[str, list[Reference]]:
    """For a bare name: every image that has a tag of it."""
    try:
        parsed = Reference.parse(text)
    except InvalidInput:
        return {}
    if parsed.digest or text.endswith(f":{parsed.tag}"):
        return {}
    found: dict[str, list[Reference]] = {}
    for row in rows.all_images(ctx.db):
        for ref in row.refs:
            reference = Reference.parse(ref)
            if reference.name == parsed.name and reference.tag and not reference.digest:
                found.setdefault(row.id, []).append(reference)
    return found


def _is_id(image_id: str, text: str) -> bool:
    return image_id.startswith(text) or image_id.removeprefix("sha256:").startswith(text)


class _Writer:
    def __init__(
        self, ctx: Context, target: IO[bytes], progress: ProgressCallback | None, cancel: CancelEvent | None
    ) -> None:
        self._ctx = ctx
        self._target = target
        self._progress = progress
        self._cancel = cancel
        self._written: set[str] = set()

    def write(self, wanted: dict[str, list[Reference]]) -> None:
        docker: list[dict[str, Any]] = []
        manifests: list[dict[str, Any]] = []
        self._directory("blobs/")
        self._directory("blobs/sha256/")
        for image_id, names in wanted.items():
            image = load_image(self._ctx, image_id)
            manifest = read_blob(self._ctx, image.manifest_digest)
            layers = json.loads(manifest)["layers"]
            self._document(f"blobs/sha256/{image_id[7:]}", read_blob(self._ctx, image_id))
            for diff_id, layer in zip(image.layers, layers, strict=True):
                self._layer(diff_id, layer["digest"], layer["size"])
            self._document(f"blobs/sha256/{image.manifest_digest[7:]}", manifest)
            docker.append(
                {
                    "Config": f"blobs/sha256/{image_id[7:]}",
                    "RepoTags": [name.familiar() for name in names] or None,
                    "Layers": [f"blobs/sha256/{layer['digest'][7:]}" for layer in layers],
                }
            )
            descriptor = {
                "mediaType": MEDIA_TYPE_MANIFEST,
                "digest": image.manifest_digest,
                "size": len(manifest),
                "platform": {"architecture": image.architecture, "os": image.os},
            }
            manifests += [_named(descriptor, name) for name in names] or [descriptor]
        index = {"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": manifests}
        self._document("index.json", to_json_bytes(index))
        self._document("manifest.json", to_json_bytes(docker))
        self._document("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        self._put(END)

    def _directory(self, name: str) -> None:
        self._put(header(name.encode(), tar_reader.DIRECTORY, mode=0o755))

    def _document(self, name: str, data: bytes) -> None:
        if name not in self._written:
            self._written.add(name)
            self._put(header(name.encode(), tar_reader.REGULAR, size=len(data)) + data + padding(len(data)))

    def _layer(self, diff_id: str, digest: str, size: int) -> None:
        name = f"blobs/sha256/{digest[7:]}"
        if name in self._written:
            return
        self._written.add(name)
        stream: Readable
        stream = open_layer_tar(self._ctx, diff_id) if digest == diff_id else open_blob(self._ctx, digest)
        self._put(header(name.encode(), tar_reader.REGULAR, size=size))
        report = self._reporter(diff_id[7:19], size)
        done = 0
        while chunk := stream.read(CHUNK):
            if self._cancel is not None and self._cancel.is_set():
                raise Cancelled("cancelled")
            done += len(chunk)
            self._put(chunk)
            report(done)
        if done != size:
            raise Failed(f"the layer {diff_id[7:19]} is damaged: it has {done} bytes instead of {size}")
        self._put(padding(size))

    def _reporter(self, step: str, total: int) -> Callable[[int], None]:
        progress = self._progress
        if progress is None:
            return lambda done: None
        return lambda done: progress(Progress(step, "Saving layer", done, total, done=done == total))

    def _put(self, data: bytes) -> None:
        try:
            self._target.write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Failed(f"cannot write the archive: {error.strerror}") from error


def _named(descriptor: dict[str, Any], name: Reference) -> dict[str, Any]:
    annotations = {"io.containerd.image.name": str(name), "org.opencontainers.image.ref.name": name.tag}
    return {**descriptor, "annotations": annotations}
