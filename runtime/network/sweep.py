"""Bringing the kernel back to what the rows say, and taking everything of a root away."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from runtime.network import bridges, firewall, inventory
from runtime.store import networks as rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.context import Context

__all__ = ["mend", "stale_rows", "stray_names", "sweep", "teardown"]


def mend(ctx: Context) -> None:
    """What a killed command about networks left, found with one look at the links: cheap enough for every
    such command. Without the privilege nothing is done; the command itself says what it cannot."""
    names = stray_names(ctx, (name for _, name in socket.if_nameindex()))
    if names:
        sweep(ctx)
    elif ctx.db.row("SELECT 1 FROM network LIMIT 1"):
        with bridges.translated("write the firewall"):
            firewall.settle(ctx, only_existing=True)


def stray_names(ctx: Context, present: Iterable[str]) -> list[str]:
    """Those of the links ``present`` that are this root's and belong to nothing."""
    known = {network.bridge for network in rows.all_networks(ctx.db)}
    known |= {row[0] for row in ctx.db.rows("SELECT host_interface FROM endpoint")}
    start = bridges.prefix(ctx)
    return sorted(name for name in present if name.startswith(start) and name not in known)


def sweep(ctx: Context) -> list[str]:
    """Remove links of this root that belong to nothing, rows of containers that do not run, and rules that
    follow from neither; what was done, in words. Call it after statuses have been reconciled. A machine
    where this root has no link is left alone: no table is made. Raises Failed, Denied."""
    done = _drop_stale_rows(ctx)
    with bridges.translated("sweep the networks"):
        # A bridge is made inside the transaction that writes its row, so look inside one too.
        with ctx.db.write():
            present = set(inventory.link_names(bridges.prefix(ctx)))
            stray = stray_names(ctx, present)
            inventory.delete_links(stray)
        done += [f"removed link {name}" for name in stray]
        if firewall.settle(ctx, only_existing=not present - set(stray)):
            done.append(f"rewrote firewall table {firewall.table_name(ctx.root_id)}")
    return done


def _drop_stale_rows(ctx: Context) -> list[str]:
    """Endpoints and ports whose container is gone or has ended. One that is "created" may be starting."""
    found = stale_rows(ctx)
    if not found:
        return []
    with ctx.db.write() as tx:
        for table in ("endpoint", "port"):
            tx.execute(f"DELETE FROM {table} WHERE {_STALE}")
    return [
        f"released the {'addresses' if table == 'endpoint' else 'ports'} of {holder[:12]}"
        for table, holder in found
    ]


_STALE = "container_id NOT IN (SELECT id FROM container WHERE status NOT IN ('exited', 'dead'))"


def stale_rows(ctx: Context) -> list[tuple[str, str]]:
    """(table, container) of the leases and ports of containers that are gone or have ended."""
    return [
        (table, row[0])
        for table in ("endpoint", "port")
        for row in ctx.db.rows(f"SELECT DISTINCT container_id FROM {table} WHERE {_STALE}")
    ]


def teardown(ctx: Context) -> None:
    """Remove every link and the firewall table of this root; rows of networks stay, and whoever needs one
    again makes its bridge again. Only for a root without a running container. Raises Failed, Denied."""
    start = bridges.prefix(ctx)
    with bridges.translated("take the networks down"):
        inventory.delete_links(inventory.link_names(start))
        firewall.forget(ctx.root_id)
