"""The root file system of a container, as a descriptor: the one way in for cp and export.

Of a container that runs it is what its processes see, mounts included, taken from ``/proc/PID/root`` once.
Of one that does not, the same is put together where nobody can reach it. Paths below are then resolved by
:mod:`runtime.kernel.rootpath` or step by step from descriptors; nothing of the container is ever run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from runtime.containers import plan as plans
from runtime.containers.control import monitor_pid, turn
from runtime.containers.spec import image_mount, volume_mount
from runtime.containers.start import _mount_sources
from runtime.context import Context
from runtime.errors import Conflict, Failed
from runtime.kernel import filesystems, idmap, mounts, overlay, syscalls
from runtime.kernel.detached import detached_tree
from runtime.model.container import Container, ContainerStatus
from runtime.model.ids import IdMap
from runtime.model.volume import ImageTree
from runtime.store import containers as store

__all__ = ["Root", "acting_as_root", "container_root", "image_root"]

_PATIENCE = 5.0
"""Seconds to wait for a container that is just starting or ending."""


@dataclass(frozen=True)
class Root:
    """``fd`` is an O_PATH descriptor of "/"; ``running`` tells that processes may change it under us.

    ``ids`` says how owners are to be read and written there: one that runs in a user namespace shows the
    host's ids to us. What is on disk, of one that does not run, are the container's own."""

    container: Container
    fd: int
    running: bool
    ids: IdMap | None = None


@contextmanager
def container_root(ctx: Context, reference: str) -> Iterator[Root]:
    """With its volumes and binds, to read and to write. One that does not run cannot be started meanwhile.

    Raises NotFound, Conflict (restarting), Failed.
    """
    container = store.find(ctx.db, reference)
    deadline = time.monotonic() + _PATIENCE
    while True:
        fd = _running_root(ctx, container)
        if fd is not None:
            with _closing(fd):
                yield Root(container, fd, running=True, ids=container.config.id_map)
            return
        with turn(ctx, container.id):
            container = store.find(ctx.db, container.id)
            if not monitor_pid(ctx, container.id):
                with _closing(_stopped_root(ctx, container)) as fd:
                    yield Root(container, fd, running=False)
                return
        if time.monotonic() > deadline:
            raise Conflict(
                f"container {container.name} is {container.state.status}",
                hint="try again when it runs or has ended",
                subject=container.name,
            )
        time.sleep(0.01)


@contextmanager
def acting_as_root(root: Root) -> Iterator[None]:
    """New files are made in the name of the container's root meanwhile, by this thread. The host's root could
    make none behind an id-mapped mount."""
    if root.ids is None:
        yield
        return
    effective, permitted, inheritable = syscalls.capget()
    uid, gid = os.geteuid(), os.getegid()
    idmap.act_as(*root.ids.root)
    try:
        yield
    finally:
        syscalls.setfsuid(uid)
        syscalls.setfsgid(gid)
        syscalls.capset(effective, permitted, inheritable)


@contextmanager
def image_root(ctx: Context, container: Container) -> Iterator[int]:
    """Its own file system alone, read-only, without anything that is mounted on it: what export gives."""
    directory = ctx.paths.container(container.id)
    layers = [str(directory / "upper"), *_lowerdirs(ctx, container)]

    def make() -> str:
        overlay.mount_overlay(layers, None, None, str(directory / "rootfs"))
        return str(directory / "rootfs")

    try:
        fd = detached_tree(make)
    except OSError as error:
        raise _cannot_open(container, error) from error
    with _closing(fd):
        yield fd


@contextmanager
def _closing(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)


def _running_root(ctx: Context, container: Container) -> int | None:
    """None unless its process is there. That the pid is still the container's is known by its parent, the
    monitor that holds the lock; all is read through one descriptor of ``/proc/PID``, which a new process of
    the same number does not take over."""
    monitor = monitor_pid(ctx, container.id)
    if container.state.status not in (ContainerStatus.RUNNING, ContainerStatus.PAUSED) or not monitor:
        return None
    try:
        process = os.open(f"/proc/{container.state.pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if _parent_of(process) != monitor:
            return None
        return os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=process)
    except (FileNotFoundError, ProcessLookupError):
        return None
    finally:
        os.close(process)


def _parent_of(process: int) -> int:
    """The parent's pid (proc(5), stat field 4)."""
    fd = os.open("stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=process)
    try:
        return int(os.read(fd, 4096).rpartition(b")")[2].split()[1])
    finally:
        os.close(fd)


def _lowerdirs(ctx: Context, container: Container) -> list[str]:
    """Topmost first."""
    from runtime.images.layer_index import layer_paths

    return [str(path) for path in reversed(layer_paths(ctx, container.layers))]


def _stopped_root(ctx: Context, container: Container) -> int:
    """Layers, upper directory and what is bound into it, as at a start."""
    directory = ctx.paths.container(container.id)
    lowerdirs = _lowerdirs(ctx, container)
    planned = cast("list[mounts.PlannedMount]", plans.mount_plan(_binds(ctx, container)))
    rootfs = str(directory / "rootfs")

    def make() -> str:
        overlay.mount_overlay(lowerdirs, str(directory / "upper"), str(directory / "work"), rootfs)
        root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            mounts.mount_all(root, planned)
            if container.config.read_only:
                filesystems.set_attributes(root, syscalls.MS_RDONLY, recursive=False)
        finally:
            os.close(root)
        return rootfs

    try:
        return detached_tree(make)
    except OSError as error:
        raise _cannot_open(container, error) from error


def _binds(ctx: Context, container: Container) -> list[dict[str, object]]:
    """Volumes and binds of the configuration, and the network's files once they were made."""
    directory = ctx.paths.container(container.id)
    sources = _mount_sources(ctx, container)
    found: list[dict[str, object]] = []
    for name in ("hosts", "hostname", "resolv.conf"):
        if (directory / name).exists() and f"/etc/{name}" not in sources:
            found.append(_bind(f"/etc/{name}", str(directory / name), read_only=False))
    for mount in sorted(container.config.mounts, key=lambda item: item.target.count("/")):
        source = sources.get(mount.target)
        if isinstance(source, str):
            found.append(_bind(mount.target, source, read_only=mount.read_only))
        elif isinstance(source, ImageTree):
            found.append(image_mount(mount, source))
        elif source is not None and source.type != "tmpfs":
            found.append(volume_mount(mount, source))
    return found


def _bind(target: str, source: str, *, read_only: bool) -> dict[str, object]:
    options = ["rbind", "rprivate", "ro" if read_only else "rw"]
    return {"destination": target, "type": "bind", "source": source, "options": options}


def _cannot_open(container: Container, error: OSError) -> Failed:
    return Failed(
        f"cannot open the file system of container {container.name}: {error}", subject=container.name
    )
