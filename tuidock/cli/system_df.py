"""tuidock system df: what uses the disk, in four lines or in full."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import click

from tuidock.cli import output
from tuidock.cli.command import Invocation, declare, pass_invocation
from tuidock.cli.disk_usage import disk_usage
from tuidock.cli.listing import Column, Listing

if TYPE_CHECKING:
    from runtime.build.prune import CacheRecord
    from runtime.engine import Engine
    from runtime.model.container import Container
    from runtime.model.image import ImageSummary
    from runtime.model.volume import Volume

__all__ = ["command"]


@dataclass(frozen=True)
class _Usage:
    """Sizes in bytes."""

    kind: str
    total: int
    active: int
    size: int
    reclaimable: int


class _Disk:
    """What there is, and what each takes; looked at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @cached_property
    def containers(self) -> list[Container]:
        return self._engine.containers.list(all=True)

    @cached_property
    def written(self) -> dict[str, int]:
        root = self._engine.context.paths.containers
        return {item.id: disk_usage(str(root / item.id / "upper")) for item in self.containers}

    @cached_property
    def images(self) -> list[ImageSummary]:
        """One row an image, under its first name."""
        found: dict[str, ImageSummary] = {}
        for item in self._engine.images.list(all=True):
            found.setdefault(item.id, item)
        return list(found.values())

    @cached_property
    def layers(self) -> dict[str, dict[str, int]]:
        """Image id to its layers' sizes; a layer is kept once however many images have it."""
        return self._engine.images.layer_sizes()

    @cached_property
    def holders(self) -> dict[str, int]:
        """How many images have a layer."""
        counts: dict[str, int] = {}
        for layers in self.layers.values():
            for layer in layers:
                counts[layer] = counts.get(layer, 0) + 1
        return counts

    def unique(self, image: str) -> int:
        sizes = self.layers.get(image, {})
        return sum(size for layer, size in sizes.items() if self.holders[layer] == 1)

    def shared(self, image: str) -> int:
        return sum(self.layers.get(image, {}).values()) - self.unique(image)

    @cached_property
    def volumes(self) -> list[tuple[Volume, int, int]]:
        """With how many containers mount it, and its size."""
        links: dict[str, int] = {}
        for item in self.containers:
            for name in {mount.source for mount in item.config.mounts if mount.type.value == "volume"}:
                links[name] = links.get(name, 0) + 1
        return [
            (item, links.get(item.name, 0), disk_usage(item.mountpoint))
            for item in sorted(self._engine.volumes.list(), key=lambda volume: volume.name)
        ]

    @cached_property
    def cache(self) -> list[CacheRecord]:
        return self._engine.builder.disk_usage()

    def usages(self) -> list[_Usage]:
        used = {item.image_id for item in self.containers}
        kept = {layer: size for layers in self.layers.values() for layer, size in layers.items()}
        needed = {layer for image in used for layer in self.layers.get(image, ())}
        unused = sum(size for layer, size in kept.items() if layer not in needed)
        active = sum(1 for image in self.images if image.id in used)
        alive = [item for item in self.containers if item.state.status.alive]
        total = sum(self.written.values())
        running = sum(self.written[item.id] for item in alive)
        free = sum(size for _, links, size in self.volumes if not links)
        mounted = sum(1 for _, links, _ in self.volumes if links)
        in_volumes = sum(size for _, _, size in self.volumes)
        return [
            _Usage("Images", len(self.images), active, sum(kept.values()), unused),
            _Usage("Containers", len(self.containers), len(alive), total, total - running),
            _Usage("Local Volumes", len(self.volumes), mounted, in_volumes, free),
            _Usage(
                "Build Cache",
                len(self.cache),
                sum(1 for item in self.cache if item.in_use),
                sum(item.size for item in self.cache),
                sum(item.size for item in self.cache if item.reclaimable and not item.shared),
            ),
        ]


def _reclaimable(item: _Usage) -> str:
    text = output.decimal_size(item.reclaimable)
    return f"{text} ({item.reclaimable * 100 // item.size}%)" if item.size else text


def _summary() -> Listing[_Usage]:
    columns: list[Column[_Usage]] = [
        Column("Type", "TYPE", lambda item: item.kind),
        Column("TotalCount", "TOTAL", lambda item: str(item.total)),
        Column("Active", "ACTIVE", lambda item: str(item.active)),
        Column("Size", "SIZE", lambda item: output.decimal_size(item.size)),
        Column("Reclaimable", "RECLAIMABLE", _reclaimable),
    ]
    return Listing(columns=columns, shown=[column.key for column in columns], quiet=lambda item: item.kind)


def _image_rows(disk: _Disk, now: int) -> list[list[str]]:
    rows = []
    for item in disk.images:
        users = sum(1 for container in disk.containers if container.image_id == item.id)
        sizes = (item.size, disk.shared(item.id), disk.unique(item.id))
        rows.append(
            [
                *(output.familiar(item.repository), item.tag, output.short_id(item.id)),
                output.ago(item.created_at, now),
                *(output.decimal_size(size) for size in sizes),
                str(users),
            ]
        )
    return rows


def _container_rows(disk: _Disk, now: int) -> list[list[str]]:
    rows = []
    for item in disk.containers:
        volumes = sum(1 for mount in item.config.mounts if mount.type.value == "volume")
        rows.append(
            [
                *(item.short_id, output.familiar(item.config.image), output.command_text(item.argv)),
                *(str(volumes), output.decimal_size(disk.written[item.id])),
                *(output.ago(item.created_at, now), output.status_text(item, now), item.name),
            ]
        )
    return rows


def _cache_rows(disk: _Disk, now: int) -> list[list[str]]:
    return [
        [
            *(item.id[:12], item.kind, output.decimal_size(item.size)),
            *(output.ago(item.created_at, now), output.ago(item.used_at, now)),
            *(str(item.use_count), str(item.shared).lower()),
        ]
        for item in disk.cache
    ]


_IMAGES = ("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS")
_CONTAINERS = ("CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES")
_CACHE = ("CACHE ID", "CACHE TYPE", "SIZE", "CREATED", "LAST USED", "USAGE", "SHARED")


def _in_full(disk: _Disk) -> str:
    now = time.time_ns()
    volumes = [[item.name, str(links), output.decimal_size(size)] for item, links, size in disk.volumes]
    cached = sum(item.size for item in disk.cache)
    sections: list[tuple[str, Sequence[str], list[list[str]]]] = [
        ("Images space usage:", _IMAGES, _image_rows(disk, now)),
        ("Containers space usage:", _CONTAINERS, _container_rows(disk, now)),
        ("Local Volumes space usage:", ("VOLUME NAME", "LINKS", "SIZE"), volumes),
        (f"Build cache usage: {output.decimal_size(cached)}", _CACHE, _cache_rows(disk, now)),
    ]
    return "\n\n".join(f"{title}\n\n{output.table(header, rows)}" for title, header, rows in sections)


def _document(disk: _Disk) -> dict[str, object]:
    """Of ``-v --format``: a list of fields for each kind."""
    now = time.time_ns()

    def fields(rows: list[list[str]], names: str) -> list[dict[str, str]]:
        return [dict(zip(names.split(), row, strict=True)) for row in rows]

    volumes = [[item.name, str(links), output.decimal_size(size)] for item, links, size in disk.volumes]
    return {
        "Images": fields(
            _image_rows(disk, now),
            "Repository Tag ID CreatedSince Size SharedSize UniqueSize Containers",
        ),
        "Containers": fields(
            _container_rows(disk, now),
            "ID Image Command LocalVolumes Size RunningFor Status Names",
        ),
        "Volumes": fields(volumes, "Name Links Size"),
        "BuildCache": fields(
            _cache_rows(disk, now), "ID CacheType Size CreatedSince LastUsedSince UsageCount Shared"
        ),
    }


@declare(
    "df",
    usage="[OPTIONS]",
    examples=["tuidock system df", "tuidock system df -v", "tuidock system df --format json"],
)
@click.option(
    "--format", metavar="TEMPLATE", help="Format output: table, json, 'table TEMPLATE' or a template"
)
@click.option("-v", "--verbose", is_flag=True, help="Show detailed information on space usage")
@pass_invocation
def command(invocation: Invocation, format: str | None, verbose: bool) -> None:
    """Show disk usage."""
    disk = _Disk(invocation.engine)
    if not verbose:
        _summary().print(disk.usages(), format=format)
    elif format in (None, "", "table"):
        output.emit(_in_full(disk))
    else:
        from tuidock.cli.listing import unescape
        from tuidock.cli.template import Template

        text = "{{json .}}" if format == "json" else unescape(str(format))
        output.emit(Template(text).render(_document(disk)))
