"""stop: ask politely, then kill."""

from __future__ import annotations

from runtime.containers.control import monitor_pid, tell_and_wait
from runtime.containers.signals import signal_number
from runtime.context import Context
from runtime.store import containers as store

__all__ = ["stop"]


def stop(ctx: Context, reference: str, *, timeout: int | None = None, signal: str | None = None) -> None:
    """Returns when it has ended. ``timeout`` in seconds (default: the container's, 10); negative: no limit.
    A container that does not run is left as it is."""
    container = store.find(ctx.db, reference)
    if not container.state.status.alive:
        return
    number = signal_number(signal or container.config.stop_signal)
    seconds = container.config.stop_timeout if timeout is None else timeout
    code = tell_and_wait(ctx, container, "stop", signal=number, timeout=float(seconds))
    if code is None and not monitor_pid(ctx, container.id):
        from runtime.containers.reconcile import settle_by_id

        settle_by_id(ctx, container.id)
