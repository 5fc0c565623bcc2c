"""Manifests and indexes (image-spec manifest.md, image-index.md; docker's schema 2): read and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runtime.errors import InvalidInput, NotFound
from runtime.images.oci import host_architecture
from runtime.images.reference import is_digest
from runtime.images.registry.faults import BadContent

__all__ = [
    "ACCEPT",
    "DOCKER_MANIFEST",
    "MAX_CONFIG",
    "MAX_MANIFEST",
    "OCI_MANIFEST",
    "Descriptor",
    "Index",
    "Manifest",
    "Platform",
    "choose",
    "parse",
]

MAX_MANIFEST = 4 << 20
"""Bytes; the distribution specification's own advice."""
MAX_CONFIG = 8 << 20
_MAX_LAYERS = 500
_MAX_ENTRIES = 2000
_MAX_BLOB = 1 << 40

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
ACCEPT = ", ".join((OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST))

_CONFIGS = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
_LAYER_BASES = (
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
)
_SUFFIXES = ("", ".gzip", "+gzip", "+zstd", ".zstd", ".bzip2", ".xz")


@dataclass(frozen=True)
class Platform:
    """ "linux/arm64/v8" (image-spec config.md, "platform")."""

    os: str = ""
    architecture: str = ""
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """What users write; "" is this machine's. Raises InvalidInput."""
        parts = text.strip().lower().split("/") if text else ["linux", host_architecture()]
        if len(parts) == 1:
            parts = (
                [parts[0], host_architecture()] if parts[0] in ("linux", "windows") else ["linux", parts[0]]
            )
        if not 2 <= len(parts) <= 3 or not all(
            part and part.isascii() and part.isprintable() for part in parts
        ):
            raise InvalidInput(
                f"invalid platform: {text!r}", hint="give OS/ARCH[/VARIANT]: linux/arm64/v8", subject=text
            )
        os, architecture = parts[0], parts[1]
        variant = parts[2] if len(parts) == 3 else ""
        if architecture in ("x86_64", "x86-64"):
            architecture = "amd64"
        elif architecture == "aarch64":
            architecture = "arm64"
        elif architecture == "armhf":
            architecture, variant = "arm", variant or "v7"
        return cls(os, architecture, variant)

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def score(self, wanted: Platform) -> int:
        """How well it serves ``wanted``: 0 not at all. Images for an older ARM run on a newer one."""
        if (self.os or "linux", self.architecture) != (wanted.os, wanted.architecture):
            return 0
        ours, theirs = _variant(wanted), _variant(self)
        if ours == theirs:
            return 100
        if wanted.architecture == "arm" and theirs.isdigit() and ours.isdigit():
            return 50 + int(theirs) if int(theirs) <= int(ours) else 0
        return 0 if wanted.variant and self.variant else 40


def _variant(platform: Platform) -> str:
    default = {"arm64": "v8", "arm": "v7", "amd64": "v1"}.get(platform.architecture, "")
    return (platform.variant or default).removeprefix("v")


@dataclass(frozen=True)
class Descriptor:
    """A reference to content (image-spec descriptor.md)."""

    media_type: str
    digest: str
    size: int
    platform: Platform = field(default_factory=Platform)
    attestation: bool = False


@dataclass(frozen=True)
class Manifest:
    """``layers`` from the lowest up. ``data`` are the bytes that ``digest`` is of."""

    digest: str
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    data: bytes


@dataclass(frozen=True)
class Index:
    """One image for several platforms, or several indexes."""

    digest: str
    entries: tuple[Descriptor, ...]


def parse(data: bytes, digest: str, content_type: str, what: str) -> Manifest | Index:
    """Raises BadContent for what is no manifest, InvalidInput for one of a kind that no image is."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        kind = content_type.partition(";")[0].strip().lower()
        shown = " (it is a web page)" if kind == "text/html" else ""
        raise BadContent(f"{what}: what the registry sent is not a manifest{shown}") from None
    if not isinstance(document, dict):
        raise BadContent(f"{what}: what the registry sent is not a manifest")
    if document.get("schemaVersion") == 1:
        raise InvalidInput(
            f"{what}: the image is in docker's schema 1, which is out of use",
            hint="push it again with a current docker or skopeo",
        )
    if document.get("schemaVersion") != 2:
        raise BadContent(f"{what}: what the registry sent is not a manifest: its schemaVersion is not 2")
    declared = document.get("mediaType")
    media_type = (
        declared if isinstance(declared, str) and declared else content_type.partition(";")[0].strip()
    )
    has_manifests, has_layers = "manifests" in document, "layers" in document
    if has_manifests and has_layers:
        # CVE-2021-41190: one document that is an index to some readers and an image to others.
        raise BadContent(f"{what}: the manifest is an index and an image at once")
    if has_manifests:
        if media_type in (OCI_MANIFEST, DOCKER_MANIFEST):
            raise BadContent(f"{what}: an index that calls itself {media_type}")
        return Index(digest, _descriptors(document["manifests"], what, _MAX_ENTRIES))
    if not has_layers or media_type in (OCI_INDEX, DOCKER_LIST):
        raise BadContent(f"{what}: the manifest names no layers")
    config = _descriptor(document.get("config"), what)
    if config.media_type not in _CONFIGS:
        raise InvalidInput(
            f"{what}: not a container image: its config is {config.media_type[:80]!r}",
            hint="charts, signatures and other artifacts cannot be run",
        )
    layers = _descriptors(document["layers"], what, _MAX_LAYERS)
    for layer in layers:
        _check_layer(layer, what)
    if media_type not in (OCI_MANIFEST, DOCKER_MANIFEST):
        media_type = OCI_MANIFEST if config.media_type == _CONFIGS[0] else DOCKER_MANIFEST
    return Manifest(digest, media_type, config, layers, data)


def choose(index: Index, wanted: Platform, what: str) -> Descriptor:
    """The entry for a platform. Raises NotFound, naming what there is."""
    images = [item for item in index.entries if not item.attestation]
    scored = [(item.platform.score(wanted), item) for item in images]
    best = max((score for score, _ in scored), default=0)
    if best:
        return next(item for score, item in scored if score == best)
    if len(images) == 1 and not images[0].platform.architecture:
        return images[0]
    there = sorted({str(item.platform) for item in images if item.platform.architecture})
    raise NotFound(
        f"{what}: no matching manifest for {wanted} in the manifest list entries",
        hint=f"it is there for {', '.join(there[:12])}" if there else None,
    )


def _check_layer(layer: Descriptor, what: str) -> None:
    for base in _LAYER_BASES:
        if layer.media_type.startswith(base) and layer.media_type[len(base) :] in _SUFFIXES:
            return
    raise InvalidInput(f"{what}: a layer of an unknown type: {layer.media_type[:80]!r}")


def _descriptors(value: object, what: str, most: int) -> tuple[Descriptor, ...]:
    if not isinstance(value, list):
        raise BadContent(f"{what}: the manifest cannot be read")
    if len(value) > most:
        raise BadContent(f"{what}: the manifest names {len(value)} parts, more than {most}")
    return tuple(_descriptor(item, what) for item in value)


def _descriptor(value: object, what: str) -> Descriptor:
    """Only what is used is read: annotations and addresses (``urls``) are a stranger's words."""
    if not isinstance(value, dict):
        raise BadContent(f"{what}: the manifest cannot be read")
    digest, size, media_type = value.get("digest"), value.get("size"), value.get("mediaType")
    if not isinstance(digest, str) or not is_digest(digest):
        raise BadContent(f"{what}: the manifest has a digest that is none: {str(digest)[:80]!r}")
    if not digest.startswith("sha256:"):
        raise InvalidInput(f"{what}: digests other than sha256 are not supported: {digest[:20]}...")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _MAX_BLOB:
        raise BadContent(f"{what}: the manifest has an impossible size: {str(size)[:40]}")
    annotations = value.get("annotations")
    kind = annotations.get("vnd.docker.reference.type") if isinstance(annotations, Mapping) else None
    platform = _platform(value.get("platform"))
    return Descriptor(
        media_type if isinstance(media_type, str) else "",
        digest,
        size,
        platform,
        attestation=kind == "attestation-manifest" or platform.os == "unknown",
    )


def _platform(value: Any) -> Platform:
    if not isinstance(value, dict):
        return Platform()

    def text(name: str) -> str:
        found = value.get(name)
        return found[:40] if isinstance(found, str) and found.isprintable() else ""

    return Platform(text("os"), text("architecture"), text("variant"))
