"""The pages of text in the detail panel: each reads the engine, in a thread, and returns coloured lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

from tuidock.app.ansi import printable
from tuidock.app.wording import Cell, age, cell, ports, size, state

if TYPE_CHECKING:
    from runtime.engine import Engine
    from runtime.model.container import Container
    from runtime.model.volume import Volume
    from runtime.services.project import ServiceStatus
    from tuidock.app.actions import Subject

__all__ = [
    "container_environment",
    "container_inspect",
    "container_processes",
    "document",
    "image_environment",
    "image_history",
    "image_inspect",
    "network_inspect",
    "service_replicas",
    "volume_inspect",
]


def document(value: object) -> list[Cell]:
    """Any JSON document in the shape of ``inspect``, with its keys and kinds of values told apart."""
    return [_json_line(line) for line in json.dumps(value, indent=2, ensure_ascii=False).split("\n")]


def _json_line(line: str) -> Cell:
    body = line.lstrip(" ")
    indent = line[: len(line) - len(body)]
    spans: list[tuple[str, str]] = [(indent, "")]
    if body.startswith('"') and '": ' in body:
        key, _, body = body.partition('": ')
        spans += [(printable(key) + '"', "key"), (": ", "dim")]
    tail = "," if body.endswith(",") else ""
    value = printable(body.removesuffix(","))
    if value.startswith('"'):
        role = "text"
    elif value[:1] in "{}[]":
        role = "dim"
    else:
        role = "number"
    spans.append((value, role))
    if tail:
        spans.append((tail, "dim"))
    return tuple(spans)


def _environment(pairs: Iterable[str]) -> list[Cell]:
    """``NAME=value`` pairs, by name."""
    lines: list[Cell] = []
    for pair in sorted(pairs):
        name, _, value = pair.partition("=")
        lines.append(((printable(name), "key"), ("=", "dim"), (printable(value), "")))
    return lines or [cell("No variables are set.", "dim")]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], roles: Sequence[str]) -> list[Cell]:
    """Columns as wide as their widest cell; the last one takes what it needs."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines: list[Cell] = [cell("  ".join(title.ljust(width) for title, width in zip(header, widths)), "dim")]
    for row in rows:
        lines.append(tuple((text.ljust(width) + "  ", role) for text, width, role in zip(row, widths, roles)))
    return lines


def container_inspect(engine: Engine, subject: Subject) -> list[Cell]:
    return document(engine.containers.inspect(subject.key))


def container_environment(engine: Engine, subject: Subject) -> list[Cell]:
    return _environment(engine.containers.get(subject.key).config.env)


def container_processes(engine: Engine, subject: Subject) -> list[Cell]:
    if not engine.containers.get(subject.key).state.status.alive:
        return [cell(f"{subject.name} is not running: it has no processes.", "dim"), _start_hint()]
    rows = engine.containers.top(subject.key)
    header = ("UID", "PID", "PPID", "TIME", "CMD")
    table = [[printable(row.get(title, "")) for title in header] for row in rows]
    return _table(header, table, ("key", "number", "dim", "", ""))


def _start_hint() -> Cell:
    return (("Press ", "dim"), ("s", "key"), (" to start it.", "dim"))


def service_replicas(engine: Engine, subject: Subject) -> list[Cell]:
    import time

    service = cast("ServiceStatus", subject.item)
    containers = engine.services.project_containers(service.project, (service.service,))
    now = time.time_ns()
    lines: list[Cell] = []
    for container in containers:
        since = container.state.started_at if container.state.status.alive else container.state.finished_at
        lines.append(
            (
                (container.name.ljust(max(len(each.name) for each in containers) + 2), ""),
                *_padded(state(container), 16),
                ((age(now - since) if since else "").ljust(6), "dim"),
                (f"{_addresses(container)}  ".ljust(18), ""),
                (ports(container.ports), "link"),
            )
        )
        if container.state.error:
            lines.append(cell(f"  {printable(container.state.error)}", "bad"))
    return lines or [cell(f"{subject.name} has no containers. Press > to add one.", "dim")]


def _padded(spans: Cell, width: int) -> Cell:
    return (*spans, (" " * max(width - sum(len(text) for text, _ in spans), 1), ""))


def _addresses(container: Container) -> str:
    return ", ".join(endpoint.ipv4_address for endpoint in container.endpoints)


def image_inspect(engine: Engine, subject: Subject) -> list[Cell]:
    return document(engine.images.inspect(subject.key))


def image_environment(engine: Engine, subject: Subject) -> list[Cell]:
    return _environment(engine.images.get(subject.key).config.env)


def image_history(engine: Engine, subject: Subject) -> list[Cell]:
    """What made each layer, newest first, as ``history`` shows it."""
    image = engine.images.history(subject.key)
    rows = [
        ["0 B" if entry.empty_layer else size(entry.size), printable(" ".join(entry.created_by.split()))]
        for entry in reversed(image.history)
    ]
    share = sum(not entry.empty_layer for entry in image.history)
    summary = cell(
        f"{share} {'layer' if share == 1 else 'layers'}, {size(image.size)}, {image.os}/{image.architecture}",
        "dim",
    )
    return [summary, *_table(("SIZE", "CREATED BY"), rows, ("number", ""))]


def network_inspect(engine: Engine, subject: Subject) -> list[Cell]:
    return document(engine.networks.inspect(subject.key))


def volume_inspect(engine: Engine, subject: Subject) -> list[Cell]:
    from dataclasses import asdict

    volume: Volume = engine.volumes.get(subject.key)
    return document(asdict(volume))
