"""Containers and volumes: rows against monitors, directories and logs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.containers import reconcile
from runtime.containers.control import monitor_pid, turn
from runtime.model.container import Container, ContainerStatus
from runtime.monitor.log import LOST, RECORD
from runtime.services.fault import Fault, Mend, fault
from runtime.store import containers as store
from runtime.store import images as image_rows

if TYPE_CHECKING:
    from runtime.context import Context

__all__ = ["directories", "logs", "statuses", "volumes"]


def statuses(ctx: Context) -> Iterator[Fault]:
    """Said to run without a monitor; ended and still there; a build's step without its build."""
    mend: Mend
    for container in store.all_containers(ctx.db, internal=True):
        status = container.state.status
        watched = monitor_pid(ctx, container.id)
        if container.config.internal and not reconcile.owner_alive(ctx, container):
            mend = partial(reconcile.remove_dead_builds, ctx)
            yield fault("build step", container.short_id, "its build is dead", "remove it", mend)
        elif status.alive and not watched:
            mend = partial(reconcile.settle_by_id, ctx, container.id)
            problem = f"is said to be {status} and its monitor is dead"
            yield fault("container", container.name, problem, "mark it as exited", mend)
        elif container.config.auto_remove and status is ContainerStatus.EXITED and not watched:
            mend = partial(_remove, ctx, container)
            yield fault("container", container.name, "has ended and did not remove itself", "remove it", mend)


def _remove(ctx: Context, container: Container) -> None:
    from runtime.containers.remove import remove

    remove(ctx, container.id, volumes=True)


def directories(ctx: Context) -> Iterator[Fault]:
    """Directories that no row names, and rows whose directory or layers are gone."""
    mend: Mend
    rows = {container.id: container for container in store.all_containers(ctx.db, internal=True)}
    for directory in sorted(ctx.paths.run_containers.iterdir()):
        if directory.name not in rows and not monitor_pid(ctx, directory.name):
            mend = partial(reconcile.remove_unknown, ctx, directory.name)
            yield fault("run directory", str(directory), "belongs to no container", "remove it", mend)
        elif directory.name in rows and _is_leftover(ctx, rows[directory.name]):
            mend = partial(reconcile.settle_leftover, ctx, directory.name)
            yield fault("run directory", str(directory), "its container does not run", "remove it", mend)
    for directory in sorted(ctx.paths.containers.iterdir()):
        # One whose container is being made or removed has its run directory (runtime.containers.trace).
        if directory.name not in rows and not ctx.paths.container_run(directory.name).exists():
            mend = partial(reconcile.remove_stray, ctx, directory.name)
            yield fault("directory", str(directory), "belongs to no container", "remove it", mend)
    layers = {row.diff_id: row for row in image_rows.all_layers(ctx.db)}
    for container in rows.values():
        yield from _missing_parts(ctx, container, layers)


def _is_leftover(ctx: Context, container: Container) -> bool:
    return not container.state.status.alive and not monitor_pid(ctx, container.id) and _idle(ctx, container)


def _idle(ctx: Context, container: Container) -> bool:
    with turn(ctx, container.id, wait=False) as mine:
        return mine


def _missing_parts(
    ctx: Context, container: Container, layers: dict[str, image_rows.LayerRow]
) -> Iterator[Fault]:
    directory = ctx.paths.container(container.id)
    hint = f"what it wrote is lost: tuidock rm {container.name}, and create it anew"
    if not (directory / "upper").is_dir():
        yield fault("container", container.name, f"its directory {directory / 'upper'} is missing", hint=hint)
    else:
        for name in ("work", "rootfs"):
            if not (directory / name).is_dir():
                mend = partial((directory / name).mkdir, mode=0o755)
                yield fault("container", container.name, f"its directory {name} is missing", "make it", mend)
    for diff_id in container.layers:
        if diff_id not in layers:
            problem = f"its layer {diff_id[7:19]} is not known"
            hint = "load, pull or build its image again"
            yield fault("container", container.name, problem, hint=hint)


def logs(ctx: Context) -> Iterator[Fault]:
    """The index of a log names bytes that are not there (a power failure keeps either file's end)."""
    for container in store.all_containers(ctx.db):
        if container.state.status.alive:
            continue
        for index in sorted(ctx.paths.container(container.id).glob("log*.idx")):
            log = index.with_name(index.name.removesuffix(".idx"))
            if not log.exists():  # it was compressed, and its index says where lines are within it
                continue
            if (whole := _whole_records(index, log)) != index.stat().st_size:
                mend = partial(os.truncate, index, whole)
                problem = f"its index {index.name} names output that is not there"
                yield fault("log of container", container.name, problem, "cut the index", mend)


def _whole_records(index: Path, log: Path) -> int:
    """Bytes of the index up to the last record whose chunk lies in the log."""
    size = log.stat().st_size
    data = index.read_bytes()
    end = len(data) - len(data) % RECORD.size
    while end:
        offset, _time, length, stream = RECORD.unpack_from(data, end - RECORD.size)
        if offset + (0 if stream == LOST else length) <= size:
            break
        end -= RECORD.size
    return end


def volumes(ctx: Context) -> Iterator[Fault]:
    """Rows without a directory, directories without a row."""
    from runtime.volumes import sweep

    mend: Mend
    for name in sweep.unknown(ctx):
        remedy = "finish its removal" if name.startswith(".") else "remove it if it is empty, else adopt it"
        mend = partial(sweep.sweep, ctx)
        yield fault("volume directory", name, "belongs to no volume", remedy, mend)
    for name in sweep.missing(ctx):
        mend = partial(ctx.paths.volume(name).mkdir, mode=0o755, parents=True, exist_ok=True)
        yield fault("volume", name, "its directory is missing", "make an empty one", mend)
