"""Images, as the OCI image-spec describes them (config.md, manifest.md)."""

from __future__ import annotations

from dataclasses import field

from runtime.model.container import HealthCheck
from runtime.model.record import record

__all__ = ["HistoryEntry", "Image", "ImageConfig", "ImageSummary"]


@record
class HistoryEntry:
    created_at: int = 0
    created_by: str = ""
    comment: str = ""
    author: str = ""
    empty_layer: bool = False
    size: int = 0
    """Unpacked size of the entry's layer; filled when read, not stored."""


@record
class ImageConfig:
    """The execution parameters of an image (image-spec config.md, "config")."""

    user: str = ""
    exposed_ports: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: tuple[str, ...] = ()
    working_dir: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    healthcheck: HealthCheck | None = None
    shell: tuple[str, ...] = ()
    on_build: tuple[str, ...] = ()


@record
class Image:
    """``id`` is the digest of the config blob ("sha256:..."), ``layers`` the diff ids, lowest first."""

    id: str
    created_at: int
    architecture: str
    os: str
    config: ImageConfig
    layers: tuple[str, ...]
    size: int
    refs: tuple[str, ...] = ()
    """Full references, "docker.io/library/base:latest"."""
    digests: tuple[str, ...] = ()
    """"name@sha256:..." for manifests known from a registry."""
    parent: str = ""
    author: str = ""
    manifest_digest: str = ""
    history: tuple[HistoryEntry, ...] = ()


@record
class ImageSummary:
    """A row of ``image ls``: one per reference, ("<none>", "<none>") for a dangling image."""

    id: str
    repository: str
    tag: str
    created_at: int
    size: int
    containers: int = 0
    digest: str = ""
