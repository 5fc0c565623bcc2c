"""release: what this root holds of the kernel goes back, what it keeps on the disk stays."""

from __future__ import annotations

from runtime.context import Context
from runtime.services.purge import remove_groups
from runtime.store import containers as store

__all__ = ["release"]


def release(ctx: Context) -> bool:
    """Bridges, the firewall table and cgroups, when nothing runs any more; the next start makes them again.
    False, and nothing is done, while a container runs. Raises Failed, Denied."""
    from runtime.network.sweep import teardown

    if store.all_containers(ctx.db, alive_only=True, internal=True):
        return False
    teardown(ctx)
    remove_groups(ctx)
    return True
