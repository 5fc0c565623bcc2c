"""run: create and start, detached."""

from __future__ import annotations

from contextlib import suppress

from runtime.containers.create import create
from runtime.containers.remove import remove
from runtime.containers.start import start
from runtime.context import Context
from runtime.errors import EngineError
from runtime.model.container import Container, ContainerConfig
from runtime.store import containers as store

__all__ = ["run"]


def run(ctx: Context, config: ContainerConfig, *, name: str | None = None) -> Container:
    """A container that cannot be started stays, as docker's does, unless ``auto_remove``."""
    container = create(ctx, config, name=name)
    try:
        start(ctx, container.id)
    except BaseException:
        if config.auto_remove:
            with suppress(EngineError):
                remove(ctx, container.id, force=True, volumes=True)
        raise
    found = store.get(ctx.db, container.id)
    return found if found is not None else container  # it may have ended and removed itself already
