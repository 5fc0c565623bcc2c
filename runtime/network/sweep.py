"""Bringing the kernel back to what the rows say, and taking everything of a root away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.network import bridges, firewall, inventory
from runtime.store import networks as rows

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["sweep", "teardown"]


def sweep(ctx: Context) -> list[str]:
    """Remove links of this root that belong to nothing, rows of containers that do not run, and rules that
    follow from neither; what was done, in words. Call it after statuses have been reconciled. A machine
    where this root has no link is left alone: no table is made. Raises Failed, Denied."""
    done = _drop_stale_rows(ctx)
    start = bridges.prefix(ctx)
    with bridges.translated("sweep the networks"):
        # A bridge is made inside the transaction that writes its row, so look inside one too.
        with ctx.db.write() as tx:
            present = set(inventory.link_names(start))
            known = {network.bridge for network in rows.all_networks(tx)}
            known |= {row[0] for row in tx.rows("SELECT host_interface FROM endpoint")}
            stray = sorted(present - known)
            inventory.delete_links(stray)
        done += [f"removed link {name}" for name in stray]
        if firewall.settle(ctx, only_existing=not present & known):
            done.append(f"rewrote firewall table {firewall.table_name(ctx.root_id)}")
    return done


def _drop_stale_rows(ctx: Context) -> list[str]:
    """Endpoints and ports whose container is gone or has ended. One that is "created" may be starting."""
    stale = "container_id NOT IN (SELECT id FROM container WHERE status NOT IN ('exited', 'dead'))"
    rows_of = {
        table: ctx.db.rows(f"SELECT DISTINCT container_id FROM {table} WHERE {stale}")
        for table in ("endpoint", "port")
    }
    if not any(rows_of.values()):
        return []
    with ctx.db.write() as tx:
        for table in rows_of:
            tx.execute(f"DELETE FROM {table} WHERE {stale}")
    return [
        f"released the {'addresses' if table == 'endpoint' else 'ports'} of {row[0][:12]}"
        for table, found in rows_of.items()
        for row in found
    ]


def teardown(ctx: Context) -> None:
    """Remove every link and the firewall table of this root; rows of networks stay, and whoever needs one
    again makes its bridge again. Only for a root without a running container. Raises Failed, Denied."""
    start = bridges.prefix(ctx)
    with bridges.translated("take the networks down"):
        inventory.delete_links(inventory.link_names(start))
        firewall.forget(ctx.root_id)
