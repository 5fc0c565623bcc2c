"""kill: a signal to the container's first process."""

from __future__ import annotations

import signal as signals

from runtime.containers.control import ask, tell_and_wait
from runtime.containers.signals import signal_number
from runtime.context import Context
from runtime.errors import Conflict
from runtime.store import containers as store

__all__ = ["kill"]


def kill(ctx: Context, reference: str, *, signal: str = "SIGKILL") -> None:
    """SIGKILL returns when it has ended. Raises Conflict (it does not run), InvalidInput (the signal)."""
    number = signal_number(signal)
    container = store.find(ctx.db, reference)
    if not container.state.status.alive:
        raise Conflict(
            f"cannot kill container {container.name}: it is not running",
            hint="tuidock ps lists what runs",
            subject=container.name,
        )
    if number == signals.SIGKILL:
        tell_and_wait(ctx, container, "kill", signal=int(number))
    else:
        ask(ctx, container, "kill", signal=int(number))
