"""Named volumes."""

from __future__ import annotations

from dataclasses import field

from runtime.model.record import record

__all__ = ["Filesystem", "ImageTree", "Volume"]


@record
class Volume:
    name: str
    created_at: int
    mountpoint: str
    driver: str = "local"
    labels: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    anonymous: bool = False


@record
class Filesystem:
    """What a volume with driver options is made of: ``type`` is "bind" or a file system's, ``options`` are
    mount(8)'s."""

    type: str
    device: str
    options: tuple[str, ...] = ()


@record
class ImageTree:
    """What an image mount shows: the directories of the image's layers, topmost first."""

    lowerdirs: tuple[str, ...]
