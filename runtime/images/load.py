"""Loading images out of archives: ``docker save``'s, OCI layouts, and docker's oldest form."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from runtime.errors import InvalidInput
from runtime.images.archive import Archive
from runtime.images.create import register_image
from runtime.images.layers import has_layer, unpack_layer
from runtime.images.leases import lease
from runtime.images.legacy import legacy_images
from runtime.images.oci import host_architecture, parse_config
from runtime.images.parallel import Stop, side_by_side
from runtime.images.reference import Reference
from runtime.model.event import CancelEvent, Progress, ProgressCallback

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["load"]

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_REPORT_EVERY = 1 << 20
_PARALLEL = 4
"""Layers at once, at most; no more than there are processors."""


@dataclass(frozen=True)
class _Found:
    """An image in the archive: ``layers`` are (member's name, blob digest or None), lowest first."""

    config: bytes
    layers: tuple[tuple[str, str | None], ...]
    refs: tuple[str, ...]


def load(
    ctx: Context,
    source: IO[bytes],
    *,
    progress: ProgressCallback | None = None,
    cancel: CancelEvent | None = None,
) -> list[str]:
    """Load every image; layers that are there already are not unpacked again. Returns the references (as
    users write them), or the id of an image without one.

    Raises InvalidInput for an archive that is none, damaged or unlike its digests; Failed, Cancelled.
    """
    loaded: list[str] = []
    stop = Stop(cancel)
    lock = threading.Lock()

    def report(event: Progress) -> None:
        if progress is not None:
            with lock:
                progress(event)

    with lease(ctx), Archive(ctx, source, cancel) as archive:
        for found in list(_images(archive)):
            diff_ids = parse_config(found.config).diff_ids
            if len(diff_ids) != len(found.layers):
                raise InvalidInput(
                    f"the archive's image has {len(found.layers)} layers, its config names {len(diff_ids)}"
                )
            layers = dict(zip(diff_ids, found.layers, strict=True))
            side_by_side(
                ctx,
                [_loader(ctx, archive, diff_id, *layer, report, stop) for diff_id, layer in layers.items()],
                stop,
                most=min(_PARALLEL, os.cpu_count() or 1),
                name="load",
            )
            image = register_image(ctx, found.config, refs=found.refs, event="load")
            loaded += [Reference.parse(ref).familiar() for ref in found.refs] or [image.id]
    return loaded


def _loader(
    ctx: Context,
    archive: Archive,
    diff_id: str,
    name: str,
    blob_digest: str | None,
    progress: ProgressCallback,
    stop: Stop,
) -> Callable[[], None]:
    return lambda: _load_layer(ctx, archive, diff_id, name, blob_digest, progress, stop)


def _load_layer(
    ctx: Context,
    archive: Archive,
    diff_id: str,
    name: str,
    blob_digest: str | None,
    progress: ProgressCallback,
    cancel: CancelEvent,
) -> None:
    step = diff_id.removeprefix("sha256:")[:12]

    def report(stage: str, current: int, total: int, done: bool = False) -> None:
        progress(Progress(step, stage, current, total, done=done))

    if has_layer(ctx, diff_id):
        report("Layer already exists", 0, 0, done=True)
        return
    member = archive.open(name)
    read = 0
    told = 0

    def count(size: int) -> None:
        nonlocal read, told
        read += size
        if read - told >= _REPORT_EVERY:
            told = read
            report("Loading layer", read, member.size)

    unpack_layer(ctx, member, diff_id=diff_id, blob_digest=blob_digest, cancel=cancel, on_bytes=count)
    report("Loaded layer", member.size, member.size, done=True)


def _images(archive: Archive) -> Iterator[_Found]:
    if "manifest.json" in archive:
        yield from _docker_images(archive)
    elif "index.json" in archive:
        yield from _oci_images(archive)
    elif "repositories" in archive:
        for config, names, refs in legacy_images(archive):
            yield _Found(config, tuple((name, None) for name in names), refs)
    else:
        raise InvalidInput(
            "the archive holds no image: it has neither manifest.json nor index.json",
            hint="for the tar of a root file system use: tuidock import",
        )


def _docker_images(archive: Archive) -> Iterator[_Found]:
    items = _json(archive, "manifest.json")
    if not isinstance(items, list):
        raise InvalidInput("the archive's manifest.json is not a list")
    for item in items:
        try:
            config = str(item["Config"])
            layers = tuple((str(name), None) for name in item.get("Layers") or ())
            refs = tuple(str(ref) for ref in item.get("RepoTags") or ())
        except (KeyError, TypeError, AttributeError):
            raise InvalidInput("the archive's manifest.json cannot be read") from None
        yield _Found(archive.read(config), layers, refs)


def _oci_images(archive: Archive) -> Iterator[_Found]:
    """Every image that the index names, for this machine's platform where there is a choice."""
    for descriptor in _choose(_descriptors(_json(archive, "index.json"))):
        refs = _names(descriptor)
        depth = 0
        while descriptor.get("mediaType") in _INDEXES:
            depth += 1
            nested = _choose(_descriptors(_parse(_blob(archive, descriptor))))
            if not nested or depth > 4:
                raise InvalidInput(f"the archive has no image for linux/{host_architecture()}")
            descriptor = nested[0]
        manifest = _parse(_blob(archive, descriptor))
        if not isinstance(manifest, dict) or not isinstance(manifest.get("config"), dict):
            raise InvalidInput(f"{descriptor.get('digest')} in the archive is not an image manifest")
        layers: list[tuple[str, str | None]] = []
        for layer in manifest.get("layers") or ():
            media_type = str(layer.get("mediaType", ""))
            if "layer" not in media_type and "rootfs.diff" not in media_type:
                raise InvalidInput(f"the archive's image has a layer of an unknown type: {media_type!r}")
            layers.append((_blob_name(layer), str(layer["digest"])))
        yield _Found(_blob(archive, manifest["config"]), tuple(layers), refs)


def _descriptors(index: Any) -> list[dict[str, Any]]:
    items = index.get("manifests") if isinstance(index, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InvalidInput("the archive's index cannot be read")
    return items


def _choose(descriptors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without build attestations; of several platforms this machine's, of several names all."""
    found = [
        item
        for item in descriptors
        if (item.get("annotations") or {}).get("vnd.docker.reference.type") != "attestation-manifest"
        and (item.get("platform") or {}).get("os") != "unknown"
    ]
    platforms = {_architecture(item) for item in found} - {""}
    if len(platforms) > 1:
        wanted = host_architecture()
        found = [item for item in found if _architecture(item) in (wanted, "")]
        if not found:
            raise InvalidInput(
                f"the archive has no image for linux/{wanted}", hint=f"it has {', '.join(sorted(platforms))}"
            )
    return found


def _architecture(descriptor: dict[str, Any]) -> str:
    return str((descriptor.get("platform") or {}).get("architecture") or "")


def _names(descriptor: dict[str, Any]) -> tuple[str, ...]:
    """containerd notes the whole name; the specification's own annotation may be a bare tag."""
    annotations = descriptor.get("annotations") or {}
    name = annotations.get("io.containerd.image.name")
    if not name:
        name = annotations.get("org.opencontainers.image.ref.name") or ""
        if "/" not in name and ":" not in name:
            return ()
    try:
        return (str(Reference.parse(str(name))),)
    except InvalidInput:
        return ()


def _blob_name(descriptor: dict[str, Any]) -> str:
    algorithm, _, encoded = str(descriptor.get("digest", "")).partition(":")
    return f"blobs/{algorithm}/{encoded}"


def _blob(archive: Archive, descriptor: dict[str, Any]) -> bytes:
    data = archive.read(_blob_name(descriptor))
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if digest != descriptor.get("digest"):
        raise InvalidInput(
            f"{descriptor.get('digest')} in the archive does not match its digest, got {digest}"
        )
    return data


def _json(archive: Archive, name: str) -> Any:
    return _parse(archive.read(name))


def _parse(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise InvalidInput("a document in the archive is not JSON") from None
