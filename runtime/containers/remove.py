"""rm: the row, the directory, and with it everything that the container wrote."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.containers.control import monitor_pid, tell_and_wait, turn
from runtime.containers.trace import tracing
from runtime.context import Context
from runtime.errors import Conflict, Failed
from runtime.kernel.tree import remove_tree
from runtime.model.container import Container, MountType
from runtime.store import containers as store
from runtime.store.database import Transaction

__all__ = ["remove"]


def remove(ctx: Context, reference: str, *, force: bool = False, volumes: bool = False) -> None:
    """``force`` kills first; ``volumes`` takes its anonymous volumes along. Raises Conflict when it runs."""
    container = store.find(ctx.db, reference)
    if container.state.status.alive:
        if not force:
            raise Conflict(
                f"cannot remove container {container.name}: container is {container.state.status}",
                hint=f"tuidock stop {container.name} first, or force: tuidock rm -f {container.name}",
                subject=container.name,
            )
        tell_and_wait(ctx, container, "kill", signal=9)
    with turn(ctx, container.id):
        current = store.get(ctx.db, container.id)
        if current is None:  # it removed itself (--rm), or somebody else did
            return
        if current.state.status.alive:
            if monitor_pid(ctx, container.id):
                raise Conflict(f"container {container.name} was started meanwhile", subject=container.name)
            from runtime.containers.reconcile import settle

            settle(ctx, current)
            current = store.get(ctx.db, container.id)
            if current is None:
                return
        erase(ctx, current, volumes=volumes or current.config.auto_remove)


def erase(ctx: Context, container: Container, *, volumes: bool = False) -> None:
    """What is left of a container that does not run; the caller holds its turn. ``volumes``: its anonymous
    ones go too, but for those that another container mounts."""
    with tracing(ctx, container.id), _no_log_is_compressed(ctx, container):
        with ctx.db.write() as tx:
            if not container.config.internal:
                image = container.config.image
                tx.event("container", "destroy", container.id, name=container.name, image=image)
            store.delete(tx, container.id)
            gone = [ctx.paths.container(container.id)]
            if volumes:
                gone += _forget_volumes(ctx, tx, container)
        for directory in gone:
            try:
                remove_tree(str(directory))
            except OSError as error:
                raise Failed(
                    f"cannot remove {directory}: {error.strerror}",
                    hint="it is removed by the next command that can",
                ) from error
        for name in ("lock", "sock"):
            (ctx.paths.container_run(container.id) / name).unlink(missing_ok=True)


def _forget_volumes(ctx: Context, tx: Transaction, container: Container) -> list[Path]:
    from runtime.volumes import volumes as volume_verbs

    used = volume_verbs.users(tx)
    aside = []
    for mount in container.config.mounts:
        if mount.type is MountType.VOLUME and len(mount.source) == 64 and mount.source not in used:
            aside += volume_verbs.forget(ctx, tx, mount.source)
    return aside


@contextmanager
def _no_log_is_compressed(ctx: Context, container: Container) -> Iterator[None]:
    """A compressor may outlive its monitor; without its lock it puts no file into what is being removed."""
    try:
        fd = os.open(ctx.paths.container(container.id), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
