"""pause and unpause: the cgroup freezer, through the monitor."""

from __future__ import annotations

from runtime.containers.control import ask
from runtime.context import Context
from runtime.errors import Conflict
from runtime.model.container import ContainerStatus
from runtime.store import containers as store

__all__ = ["pause", "unpause"]


def pause(ctx: Context, reference: str) -> None:
    """Raises Conflict when it does not run or is paused already."""
    container = store.find(ctx.db, reference)
    if container.state.status is ContainerStatus.PAUSED:
        raise Conflict(f"container {container.name} is already paused", subject=container.name)
    if container.state.status is not ContainerStatus.RUNNING:
        raise Conflict(f"container {container.name} is not running", subject=container.name)
    ask(ctx, container, "pause")


def unpause(ctx: Context, reference: str) -> None:
    """Raises Conflict when it is not paused."""
    container = store.find(ctx.db, reference)
    if container.state.status is not ContainerStatus.PAUSED:
        raise Conflict(f"container {container.name} is not paused", subject=container.name)
    ask(ctx, container, "unpause")
