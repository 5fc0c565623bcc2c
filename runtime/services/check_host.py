"""The database, and what this root holds of the kernel: mounts, groups, links, rules."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from runtime.errors import Failed
from runtime.services.fault import Fault, fault
from runtime.store import containers as store

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["database", "groups", "mounts", "networks"]


def database(ctx: Context) -> Iterator[Fault]:
    """SQLite's own check of every page and index (sqlite.org/pragma.html, integrity_check)."""
    for text in _integrity(ctx):
        if text == "ok":
            continue
        if "index" in text:
            mend = partial(_reindex, ctx)
            yield fault("database", str(ctx.paths.database), text, "make its indexes anew", mend)
        else:
            hint = f"keep a copy of {ctx.paths.state}; what is readable: sqlite3 tuidock.db .recover"
            yield fault("database", str(ctx.paths.database), text, hint=hint)


def _integrity(ctx: Context) -> list[str]:
    try:
        return [str(row[0]) for row in ctx.db.rows("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as error:
        return [str(error)]


def _reindex(ctx: Context) -> None:
    with ctx.db.write() as tx:
        tx.execute("REINDEX")
    left = [text for text in _integrity(ctx) if text != "ok"]
    if left:
        raise Failed(left[0])


def mounts(ctx: Context) -> Iterator[Fault]:
    """Containers mount in namespaces of their own: whatever lies below our containers here is left over."""
    from runtime.kernel import mountinfo, syscalls

    start = f"{ctx.paths.containers}/"
    for entry in reversed(mountinfo.read(contains=str(ctx.paths.containers))):
        if entry.mount_point.startswith(start):
            mend = partial(syscalls.umount2, entry.mount_point, syscalls.MNT_DETACH)
            yield fault("mount", entry.mount_point, "nobody uses it", "unmount it", mend)


def groups(ctx: Context) -> Iterator[Fault]:
    """Control groups of containers that do not run."""
    from runtime import cgroups
    from runtime.containers.control import monitor_pid
    from runtime.containers.reconcile import remove_group

    backend = cgroups.detect()
    rows = {container.id: container for container in store.all_containers(ctx.db, internal=True)}
    for name in sorted(backend.children(ctx.cgroup_parent)):
        container = rows.get(name)
        if name == "monitors" or monitor_pid(ctx, name):
            continue
        if container is not None and (container.state.status.alive or _starting(ctx, name)):
            continue
        if container is None and ctx.paths.container_run(name).exists():
            continue
        group = f"{ctx.cgroup_parent}/{name}"
        yield fault("cgroup", group, "its container does not run", "remove it", partial(remove_group, group))


def _starting(ctx: Context, container_id: str) -> bool:
    """A start in progress holds the container's turn."""
    from runtime.containers.control import turn

    with turn(ctx, container_id, wait=False) as mine:
        return not mine


def networks(ctx: Context) -> Iterator[Fault]:
    """Links, address leases and ports of nobody; bridges that are missing; rules that are not the rows'."""
    from runtime.network import bridges, firewall, inventory, links
    from runtime.network.sweep import stale_rows, stray_names, sweep
    from runtime.store import networks as rows

    mend = partial(sweep, ctx)
    for table, holder in stale_rows(ctx):
        what = "address" if table == "endpoint" else "port"
        yield fault(what, f"of container {holder[:12]}", "its container does not run", "release it", mend)
    with bridges.translated("list the links"):
        for name in stray_names(ctx, inventory.link_names(bridges.prefix(ctx))):
            yield fault("link", name, "belongs to no network and no container", "remove it", mend)
        for network in rows.all_networks(ctx.db):
            if rows.leased(ctx.db, network.id) and not links.exists(network.bridge):
                problem = f"its bridge {network.bridge} is missing while containers are on it"
                hint = "restart these containers"
                yield fault("network", network.name, problem, hint=hint)
        table_name = firewall.table_name(ctx.root_id)
        if not firewall.is_settled(ctx):
            problem = "is not what the networks and ports say"
            yield fault("firewall table", table_name, problem, "write it anew", partial(firewall.settle, ctx))
