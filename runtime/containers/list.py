"""ps: what there is, told truthfully: whoever died unseen is settled first."""

from __future__ import annotations

from runtime.containers.control import monitor_pid
from runtime.context import Context
from runtime.model.container import Container
from runtime.store import containers as store

__all__ = ["get_container", "list_containers"]


def list_containers(ctx: Context, *, all: bool = False) -> list[Container]:
    """Newest first; running ones only unless ``all``."""
    found = store.all_containers(ctx.db, alive_only=not all)
    lost = [item for item in found if item.state.status.alive and not monitor_pid(ctx, item.id)]
    if lost:
        from runtime.containers.reconcile import settle_by_id

        for item in lost:
            settle_by_id(ctx, item.id)
        found = store.all_containers(ctx.db, alive_only=not all)
    return found


def get_container(ctx: Context, reference: str) -> Container:
    """Raises NotFound, InvalidInput."""
    found = store.find(ctx.db, reference)
    if found.state.status.alive and not monitor_pid(ctx, found.id):
        from runtime.containers.reconcile import settle_by_id

        settle_by_id(ctx, found.id)
        return store.find(ctx.db, found.id)
    return found
