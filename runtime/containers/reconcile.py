"""Mending what a crash left: the lock of a dead monitor is free, and everything else follows from that."""

from __future__ import annotations

import fcntl
import marshal
import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from runtime import cgroups
from runtime.containers.cgroup_path import cgroup_path
from runtime.containers.control import monitor_pid, turn
from runtime.context import Context
from runtime.errors import EngineError
from runtime.kernel.tree import remove_tree
from runtime.model.container import Container, ContainerStatus
from runtime.store import containers as store

__all__ = ["end_group", "reconcile", "repair", "settle", "settle_by_id"]


def settle_by_id(ctx: Context, container_id: str) -> None:
    """Take the container's turn, look again, and settle it if its monitor is dead."""
    with turn(ctx, container_id):
        current = store.get(ctx.db, container_id)
        if current is None or not current.state.status.alive or monitor_pid(ctx, container_id):
            return
        settle(ctx, current)


def repair(ctx: Context) -> None:
    """What any command does first: settle what a crash left of starts and runs.

    Costs a directory listing and a lock query per running container. A start that is in progress holds its
    container's turn and is left alone.
    """
    rows = ctx.db.rows("SELECT id FROM container WHERE status IN ('running', 'paused', 'restarting')")
    alive = {row[0] for row in rows}
    seen = {entry.name for entry in ctx.paths.run_containers.iterdir()}
    for container_id in alive | seen:
        if not monitor_pid(ctx, container_id):
            _settle_leftover(ctx, container_id)
    if ctx.db.row("SELECT 1 FROM container WHERE internal = 1 LIMIT 1"):
        _remove_dead_builds(ctx)


def _remove_dead_builds(ctx: Context) -> list[str]:
    """Containers of builds whose process is gone. What was done, in words."""
    from runtime.containers.remove import remove

    done = []
    for container in store.all_containers(ctx.db, internal=True):
        if container.config.internal and not _owner_alive(ctx, container):
            with suppress(EngineError):
                remove(ctx, container.id, force=True)
                done.append(f"build step {container.short_id}: removed")
    return done


def _settle_leftover(ctx: Context, container_id: str) -> None:
    with turn(ctx, container_id, wait=False) as mine:
        if not mine or monitor_pid(ctx, container_id):
            return
        current = store.get(ctx.db, container_id)
        if current is not None and current.state.status.alive:
            settle(ctx, current)
            return
        end_group(ctx, container_id)
        _give_back(ctx, container_id)
        remove_tree(str(ctx.paths.container_run(container_id)))


def end_group(ctx: Context, container_id: str) -> None:
    backend = cgroups.detect()
    container = store.get(ctx.db, container_id)
    group = cgroup_path(ctx, container_id, container.config if container else None)
    if backend.exists(group):
        backend.kill(group)
        backend.remove(group)


def _give_back(ctx: Context, container_id: str) -> None:
    """Addresses and ports, with the firewall's rules for them."""
    from runtime.network import endpoints

    had_ports = ctx.db.row("SELECT 1 FROM port WHERE container_id = ? LIMIT 1", (container_id,))
    with ctx.db.write() as tx:
        endpoints.release(tx, ctx, container_id)
    if had_ports:
        endpoints.unpublish(ctx, container_id)


def settle(ctx: Context, container: Container) -> None:
    """Its monitor is dead: end its processes, give everything back, write what is known. Holds the turn."""
    end_group(ctx, container.id)
    code, oom_killed, finished = _exit_fact(ctx, container)
    _give_back(ctx, container.id)
    with ctx.db.write() as tx:
        state = replace(
            container.state,
            status=ContainerStatus.EXITED,
            pid=0,
            exit_code=code,
            oom_killed=oom_killed,
            finished_at=finished,
        )
        store.set_state(tx, container.id, state)
        if not container.config.internal:
            tx.event(
                "container",
                "die",
                container.id,
                name=container.name,
                image=container.config.image,
                exitCode=str(code),
            )
    remove_tree(str(ctx.paths.container_run(container.id)))
    if container.config.auto_remove or container.config.internal:
        from runtime.containers.remove import erase

        erase(ctx, container, volumes=True)


def _exit_fact(ctx: Context, container: Container) -> tuple[int, bool, int]:
    """What the monitor wrote before it died, if it is of this run; else it died with its container."""
    path = ctx.paths.container(container.id) / "exit"
    with suppress(OSError, ValueError, EOFError, TypeError):
        code, oom_killed, finished = marshal.loads(path.read_bytes())
        if finished > container.state.started_at:
            return int(code), bool(oom_killed), int(finished)
    return 137, False, time.time_ns()


def reconcile(ctx: Context) -> list[str]:
    """Everything of this root that belongs to nothing. What was done, in words."""
    done = []
    for container in store.all_containers(ctx.db, internal=True):
        if container.state.status.alive and not monitor_pid(ctx, container.id):
            settle_by_id(ctx, container.id)
            done.append(f"container {container.name}: its monitor was dead; marked as exited")
    done.extend(_remove_dead_builds(ctx))
    known = {row[0] for row in ctx.db.rows("SELECT id FROM container")}
    for parent in (ctx.paths.containers, ctx.paths.run_containers):
        for directory in parent.iterdir():
            if directory.name not in known and _is_old(directory) and not monitor_pid(ctx, directory.name):
                remove_tree(str(directory))
                done.append(f"directory {directory}: removed")
    done.extend(_stray_groups(ctx, known))
    from runtime.images.sweep import sweep as sweep_images
    from runtime.network.sweep import sweep as sweep_network

    for sweep in (sweep_network, sweep_images):
        done.extend(sweep(ctx))
    return done


def _owner_alive(ctx: Context, container: Container) -> bool:
    """The build that a step belongs to holds a lock on its directory's ``owner`` file."""
    try:
        fd = os.open(ctx.paths.container(container.id) / "owner", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return time.time_ns() - container.created_at < 30_000_000_000
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _is_old(directory: Path) -> bool:
    """A create in progress has its directory a moment before its row."""
    with suppress(OSError):
        return time.time() - directory.stat().st_ctime > 30
    return False


def _stray_groups(ctx: Context, known: set[str]) -> list[str]:
    backend = cgroups.detect()
    done = []
    for name in backend.children(ctx.cgroup_parent):
        if name in known or name == "monitors":
            continue
        group = f"{ctx.cgroup_parent}/{name}"
        backend.kill(group)
        backend.remove(group)
        done.append(f"cgroup {group}: removed")
    return done
