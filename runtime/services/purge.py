"""purge: nothing of this root is left, in the kernel or on the disk."""

from __future__ import annotations

import os
from functools import partial

from runtime.containers.remove import remove
from runtime.context import Context
from runtime.errors import Conflict, Failed, NotFound
from runtime.kernel.tree import remove_tree
from runtime.model.container import Container
from runtime.services.report import in_parallel
from runtime.store import containers as store

__all__ = ["purge", "remove_groups"]


def purge(ctx: Context) -> None:
    """Containers are killed, links, firewall rules and cgroups removed, then what we keep below the root;
    the root directory itself and files that are not ours stay. The Context cannot be used afterwards.
    Raises Failed for what cannot be removed."""
    from runtime.network.sweep import teardown

    for _ in range(3):  # a restart policy or a build may add one meanwhile
        found = store.all_containers(ctx.db, internal=True)
        if not found:
            break
        in_parallel([partial(_remove, ctx, item) for item in found])
    teardown(ctx)
    remove_groups(ctx)
    ctx.db.close()
    _remove_files(ctx)


def _remove(ctx: Context, container: Container) -> None:
    try:
        remove(ctx, container.id, force=True, volumes=True)
    except (NotFound, Conflict):
        return  # gone, or started anew: the next round sees it


def remove_groups(ctx: Context) -> None:
    """Every cgroup of this root, whatever still runs in them killed. Raises Failed."""
    from runtime import cgroups
    from runtime.kernel.syscalls import SyscallError

    backend = cgroups.detect()
    try:
        if backend.exists(ctx.cgroup_parent):
            backend.kill(ctx.cgroup_parent)
            backend.remove(ctx.cgroup_parent)
            backend.remove_empty_parents(ctx.cgroup_parent)
    except SyscallError as error:
        raise Failed(f"cannot remove cgroup {ctx.cgroup_parent}: {error}") from error


def _remove_files(ctx: Context) -> None:
    paths = ctx.paths
    database = paths.database
    ours = [
        *(database.with_name(database.name + suffix) for suffix in ("", "-wal", "-shm")),
        *(paths.content, paths.layers, paths.containers, paths.volumes, paths.build, paths.run),
        *(paths.state / name for name in ("projects", "reserve", "seccomp", "demo-base")),
    ]
    for path in ours:
        try:
            if path.is_dir() and not path.is_symlink():
                remove_tree(str(path))
            elif os.path.lexists(path):
                path.unlink()
        except OSError as error:
            raise Failed(f"cannot remove {path}: {error.strerror}", subject=str(path)) from error
