"""restart: stop, then start."""

from __future__ import annotations

from runtime.containers.start import start
from runtime.containers.stop import stop
from runtime.context import Context
from runtime.store import containers as store

__all__ = ["restart"]


def restart(ctx: Context, reference: str, *, timeout: int | None = None, signal: str | None = None) -> None:
    """A container that does not run is started."""
    container = store.find(ctx.db, reference)
    stop(ctx, container.id, timeout=timeout, signal=signal)
    start(ctx, container.id)
    with ctx.db.write(lasting=False) as tx:
        tx.event("container", "restart", container.id, name=container.name, image=container.config.image)
