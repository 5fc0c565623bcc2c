"""Volumes: create, list, get, remove, prune, and filling one from an image at its first use."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtime.context import Context
from runtime.errors import Conflict, InvalidInput, NotFound
from runtime.model.selection import Selection
from runtime.model.volume import Filesystem, Volume
from runtime.store.database import Database, Transaction
from runtime.volumes.local_driver import filesystem_of

__all__ = ["create", "ensure", "filesystem", "forget", "get", "list_volumes", "prune", "remove", "users"]

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
_GONE = ".gone-"
_COLUMNS = "name, created_at, anonymous, labels, options"


def create(
    ctx: Context,
    name: str | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> Volume:
    """An existing volume of that name is returned as it is, as docker does. Raises InvalidInput."""
    chosen = name or secrets.token_hex(32)
    with ctx.db.write() as tx:
        ensure(ctx, tx, chosen, labels=labels, options=options, anonymous=name is None)
    return get(ctx, chosen)


def ensure(
    ctx: Context,
    tx: Transaction,
    name: str,
    *,
    labels: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    anonymous: bool | None = None,
) -> None:
    """Its row and directory, unless they exist; a name of 64 hex digits counts as anonymous. Raises
    InvalidInput."""
    if not _NAME.fullmatch(name) or len(name) > 255:
        raise InvalidInput(
            f"volume name {name!r} is invalid, only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
            hint="to mount a directory of the host give its absolute path",
            subject=name,
        )
    filesystem_of(options or {})
    if tx.row("SELECT 1 FROM volume WHERE name = ?", (name,)) is None:
        unnamed = bool(_ANONYMOUS.fullmatch(name)) if anonymous is None else anonymous
        tx.execute(
            "INSERT INTO volume (name, created_at, anonymous, labels, options) VALUES (?, ?, ?, ?, ?)",
            (
                *(name, time.time_ns(), int(unnamed)),
                *(json.dumps(dict(labels or {})), json.dumps(dict(options or {}))),
            ),
        )
        tx.event("volume", "create", name, driver="local")
    directory = ctx.paths.volume(name)
    for path, mode in ((directory.parent, 0o701), (directory, 0o755)):
        with suppress(FileExistsError):
            path.mkdir(mode=mode)
            tx.undo(path.rmdir)


def _volume(ctx: Context, row: tuple[Any, ...]) -> Volume:
    return Volume(
        name=row[0],
        created_at=row[1],
        mountpoint=str(ctx.paths.volume(row[0])),
        anonymous=bool(row[2]),
        labels=json.loads(row[3]),
        options=json.loads(row[4]),
    )


def list_volumes(ctx: Context) -> list[Volume]:
    return [_volume(ctx, row) for row in ctx.db.rows(f"SELECT {_COLUMNS} FROM volume ORDER BY name")]


def get(ctx: Context, name: str) -> Volume:
    row = ctx.db.row(f"SELECT {_COLUMNS} FROM volume WHERE name = ?", (name,))
    if row is None:
        raise NotFound(f"no such volume: {name}", hint="tuidock volume ls lists them", subject=name)
    return _volume(ctx, row)


def filesystem(ctx: Context, name: str) -> Filesystem | None:
    """What its driver options make of it; None for a directory of ours (and for one that is not there)."""
    row = ctx.db.row("SELECT options FROM volume WHERE name = ?", (name,))
    return filesystem_of(json.loads(row[0])) if row is not None else None


def users(db: Database | Transaction) -> dict[str, list[str]]:
    """Volume name to the ids of the containers that mount it."""
    found: dict[str, list[str]] = {}
    for name, container_id in db.rows(
        "SELECT json_extract(mount.value, '$.source'), container.id"
        " FROM container, json_each(container.config, '$.mounts') AS mount"
        " WHERE json_extract(mount.value, '$.type') = 'volume'"
    ):
        found.setdefault(name, []).append(container_id)
    return found


def remove(ctx: Context, name: str, *, force: bool = False) -> None:
    """Raises Conflict while a container mounts it; ``force`` only forgives a missing one."""
    try:
        get(ctx, name)
    except NotFound:
        if force:
            return
        raise
    with ctx.db.write() as tx:
        holders = users(tx).get(name)
        if holders:
            raise Conflict(
                f"volume {name} is in use by container {', '.join(holder[:12] for holder in holders)}",
                hint="remove the container first",
                subject=name,
            )
        aside = forget(ctx, tx, name)
    for path in aside:
        shutil.rmtree(path, ignore_errors=True)


def forget(ctx: Context, tx: Transaction, name: str) -> list[Path]:
    """Its row goes, and its directory is set aside under a name that no volume can have, before the commit: a
    new volume of the name gets a directory of its own. Returns what the caller removes afterwards."""
    if not tx.execute("DELETE FROM volume WHERE name = ?", (name,)).rowcount:
        return []
    tx.event("volume", "destroy", name, driver="local")
    place = ctx.paths.volumes / f"{_GONE}{name}-{secrets.token_hex(4)}"
    own = ctx.paths.volumes / name
    try:
        own.rename(place)
    except FileNotFoundError:
        return []
    tx.undo(lambda: place.rename(own))
    return [place]


def size(path: Path) -> int:
    """Bytes of the regular files below ``path``."""
    total = 0
    for entry in path.rglob("*"):
        if entry.is_file() and not entry.is_symlink():
            total += entry.stat().st_size
    return total


def prune(ctx: Context, *, all: bool = False, selection: Selection | None = None) -> tuple[list[str], int]:
    """Remove the anonymous (or all) volumes that nobody mounts; (names, bytes)."""
    used = users(ctx.db)
    removed, freed = [], 0
    for volume in list_volumes(ctx):
        if volume.name in used or not (all or volume.anonymous):
            continue
        if selection is not None and not selection.takes(volume.labels, volume.created_at):
            continue
        freed += size(ctx.paths.volume(volume.name))
        remove(ctx, volume.name)
        removed.append(volume.name)
    if removed:
        with ctx.db.write() as tx:
            tx.event("volume", "prune", "", reclaimed=str(freed))
    return removed, freed
