"""tuidock system df: what uses the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from tuidock.cli.command import Invocation, declare, pass_invocation
from tuidock.cli.listing import Column, Listing
from tuidock.cli.output import decimal_size

if TYPE_CHECKING:
    from runtime.engine import Engine

__all__ = ["command", "disk_usage"]


@dataclass(frozen=True)
class _Usage:
    """Sizes in bytes."""

    kind: str
    total: int
    active: int
    size: int
    reclaimable: int


def disk_usage(directory: str) -> int:
    """Allocated bytes below ``directory``, hard links counted once; what vanishes meanwhile is left out."""
    seen: set[tuple[int, int]] = set()
    total = 0
    pending = [directory]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    info = entry.stat(follow_symlinks=False)
                    if info.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
                        if (info.st_dev, info.st_ino) in seen:
                            continue
                        seen.add((info.st_dev, info.st_ino))
                    total += info.st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError:
            continue
    return total


def _usages(engine: Engine) -> Iterator[_Usage]:
    containers = engine.containers.list(all=True)
    used = {item.image_id for item in containers}
    images = {item.id: item.size for item in engine.images.list(all=True)}
    unused = sum(size for image, size in images.items() if image not in used)
    yield _Usage("Images", len(images), len(used & set(images)), sum(images.values()), unused)
    paths = engine.context.paths
    sizes = {item.id: disk_usage(str(paths.container(item.id))) for item in containers}
    idle = sum(sizes[item.id] for item in containers if not item.state.status.alive)
    alive = sum(1 for item in containers if item.state.status.alive)
    yield _Usage("Containers", len(containers), alive, sum(sizes.values()), idle)
    mounted = {
        mount.source for item in containers for mount in item.config.mounts if mount.type.value == "volume"
    }
    volumes = {item.name: disk_usage(item.mountpoint) for item in engine.volumes.list()}
    free = sum(size for name, size in volumes.items() if name not in mounted)
    yield _Usage("Local Volumes", len(volumes), len(mounted & set(volumes)), sum(volumes.values()), free)
    cache = engine.builder.disk_usage()
    active = sum(1 for item in cache if item.in_use)
    private = sum(item.size for item in cache if item.reclaimable and not item.shared)
    yield _Usage("Build Cache", len(cache), active, sum(item.size for item in cache), private)


def _reclaimable(item: _Usage) -> str:
    text = decimal_size(item.reclaimable)
    return f"{text} ({item.reclaimable * 100 // item.size}%)" if item.size else text


@declare("df", usage="[OPTIONS]", examples=["tuidock system df"])
@click.option(
    "--format", metavar="TEMPLATE", help="Format output: table, json, 'table TEMPLATE' or a template"
)
@pass_invocation
def command(invocation: Invocation, format: str | None) -> None:
    """Show disk usage."""
    columns: list[Column[_Usage]] = [
        Column("Type", "TYPE", lambda item: item.kind),
        Column("TotalCount", "TOTAL", lambda item: str(item.total)),
        Column("Active", "ACTIVE", lambda item: str(item.active)),
        Column("Size", "SIZE", lambda item: decimal_size(item.size)),
        Column("Reclaimable", "RECLAIMABLE", _reclaimable),
    ]
    listing = Listing(columns=columns, shown=[column.key for column in columns], quiet=lambda item: item.kind)
    listing.print(_usages(invocation.engine), format=format)
