"""``--userns``: which ids of the host a container's users have. See docs/userns.md.

A mode is "host" (the machine's own ids), "remap" (the range of the setting ``userns-remap``),
"auto[:size=N]" (a range of the container's own) or "container:ID" (the user namespace of another). No mode is
the setting's, or the host's ids without one.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from runtime.containers import subordinate
from runtime.context import Context
from runtime.errors import Conflict, InvalidInput, Unavailable
from runtime.model.container import Container, ContainerConfig
from runtime.model.ids import DEFAULT_COUNT, IdMap
from runtime.model.parse import parse_userns
from runtime.store import containers as store
from runtime.store import id_ranges
from runtime.store.database import Transaction

__all__ = ["allocate", "in_use", "resolve"]

_ON_HOST = "add --userns host to do without a user namespace"


def resolve(ctx: Context, config: ContainerConfig) -> ContainerConfig:
    """With the mode that holds and, unless its range is allocated with the row, its ids.

    Raises InvalidInput, NotFound and Conflict for what does not go together; nothing is made."""
    mode = parse_userns(config.userns_mode)
    joined = _joined(ctx, config)
    if mode == "":
        owners = [_owner(other) for other in joined if other.config.id_map is not None]
        mode = f"container:{owners[0]}" if owners else "remap" if ctx.config.userns_remap else ""
    ids: IdMap | None = None
    if mode.startswith("container:"):
        other = store.find(ctx.db, mode.removeprefix("container:"))
        if other.config.id_map is None:
            mode = "host"
        else:
            mode, ids = f"container:{_owner(other)}", other.config.id_map
    elif mode == "remap":
        ids = subordinate.remapped(ctx.config)
        if joined and all(other.config.id_map == ids for other in joined):
            # One namespace for both: its root has its capabilities over the network that they share.
            mode = f"container:{_owner(joined[0])}"
    config = replace(config, userns_mode=mode, id_map=ids)
    _check_joined(config, joined)
    if mode not in ("", "host"):
        _check_contradictions(config)
    return config


def _joined(ctx: Context, config: ContainerConfig) -> list[Container]:
    """The containers whose namespaces this one enters."""
    modes = (config.network_mode, config.pid_mode, config.ipc_mode)
    return [
        store.find(ctx.db, mode.removeprefix("container:")) for mode in modes if mode.startswith("container:")
    ]


def _owner(container: Container) -> str:
    """The id of the container that the user namespace of ``container`` was made for."""
    mode = container.config.userns_mode
    return mode.removeprefix("container:") if mode.startswith("container:") else container.id


def _check_joined(config: ContainerConfig, joined: list[Container]) -> None:
    """A namespace belongs to a user namespace; from another one it could be entered but not used."""
    mode, _, name = config.userns_mode.partition(":")
    mine = name if mode == "container" else ""
    for other in joined:
        theirs = _owner(other) if other.config.id_map is not None else ""
        if theirs == mine and config.userns_mode in ("", "host", f"container:{mine}"):
            continue
        wanted = f"--userns container:{other.name}" if theirs else "--userns host"
        raise Conflict(
            f"cannot join a namespace of container {other.name}: it is in another user namespace",
            hint=f"give {wanted}",
            subject=other.name,
        )


def _check_contradictions(config: ContainerConfig) -> None:
    """docker's refusals, in its words, and what the kernel would silently not do."""
    if config.privileged:
        raise InvalidInput(
            "privileged mode is incompatible with user namespaces: you must run the container in the host"
            " namespace when running privileged mode",
            hint=_ON_HOST,
        )
    if config.network_mode == "host":
        raise InvalidInput(
            "cannot share the host's network namespace when user namespaces are enabled", hint=_ON_HOST
        )
    if config.pid_mode == "host":
        raise InvalidInput(
            "cannot share the host PID namespace when user namespaces are enabled", hint=_ON_HOST
        )
    for mount in config.mounts:
        if mount.propagation.lstrip("r") == "shared":
            raise InvalidInput(
                f"bind propagation {mount.propagation} of {mount.target} does not work with user namespaces:"
                " what is mounted in one never shows outside",
                hint=f"use rslave, or {_ON_HOST}",
                subject=mount.target,
            )


def in_use(ctx: Context, config: ContainerConfig) -> list[tuple[int, int]]:
    """(start, count) of host ids that others may have, for :func:`allocate`: subordinate ids of users, and
    what any process of the machine is mapped to now, of other roots and other engines too."""
    if not config.userns_mode.startswith("auto"):
        return []
    taken = subordinate.all_ranges()
    if ctx.config.userns_remap:
        ids = subordinate.remapped(ctx.config)
        taken += [(item.outside, item.count) for item in (*ids.uids, *ids.gids)]
    seen = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):
                seen.add((process / "uid_map").read_bytes())
    for text in seen:
        for line in text.splitlines():
            _inside, outside, count = map(int, line.split())
            if outside:  # the host's own map begins at 0
                taken.append((outside, count))
    return taken


def allocate(
    ctx: Context, tx: Transaction, container_id: str, config: ContainerConfig, taken: list[tuple[int, int]]
) -> ContainerConfig:
    """With a range of its own for mode "auto", which is given back with the container's row.

    Raises Unavailable when the pool has none left."""
    if not config.userns_mode.startswith("auto"):
        return config
    size = int(config.userns_mode.partition("=")[2])
    start, count = subordinate.pool(ctx.config)
    reserved = [*taken, (start, DEFAULT_COUNT)]
    # Roots do not know of each other's containers that do not run, so each begins elsewhere in the pool.
    slots = max(1, count // DEFAULT_COUNT)
    begin = start + int(ctx.root_id, 16) % slots * DEFAULT_COUNT
    found = id_ranges.allocate(tx, container_id, size, (start, count), begin, reserved)
    if found is None:
        held = tx.row("SELECT count(*) FROM id_range")
        raise Unavailable(
            f"no range of {size} ids is free for --userns auto:"
            f" {held[0] if held else 0} containers hold ranges of the pool {start}:{count}",
            hint="remove containers that are not needed, ask for less (auto:size=N), or set a larger"
            " userns-pool",
            subject=f"{start}:{count}",
        )
    return replace(config, id_map=IdMap.of(found, size))
