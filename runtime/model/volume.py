"""Named volumes."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Volume"]


@dataclass(frozen=True)
class Volume:
    name: str
    created_at: int
    mountpoint: str
    driver: str = "local"
    labels: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    anonymous: bool = False
