"""boot: what the restart policies want after the machine has come up; no daemon does it by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.containers.reconcile import repair
from runtime.errors import Conflict, EngineError
from runtime.model.container import Container
from runtime.monitor.restart import wanted_at_boot
from runtime.store import containers as store

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["boot"]


def boot(ctx: Context) -> tuple[list[Container], list[tuple[Container, EngineError]]]:
    """Start, oldest first, the containers that docker's daemon starts when it comes up: (started, failed).
    One that needs another (its network namespace, a link) comes after that one. What runs is left alone."""
    repair(ctx)
    waiting = [item for item in reversed(store.all_containers(ctx.db)) if _wanted(item)]
    started: list[Container] = []
    failed: list[tuple[Container, EngineError]] = []
    while waiting:
        failed = []
        again: list[Container] = []
        for container in waiting:
            try:
                _start(ctx, container)
                started.append(container)
            except Conflict as error:  # what it needs does not run yet, perhaps
                failed.append((container, error))
                again.append(container)
            except EngineError as error:
                failed.append((container, error))
        if len(again) == len(waiting):
            break
        waiting = again
    return started, failed


def _wanted(container: Container) -> bool:
    state, policy = container.state, container.config.restart
    if state.status.alive or not state.started_at:
        return False
    return wanted_at_boot(
        policy.name.value, policy.max_retries, state.exit_code, state.restart_count, state.manual_stop
    )


def _start(ctx: Context, container: Container) -> None:
    from runtime.containers.start import start

    start(ctx, container.id)
