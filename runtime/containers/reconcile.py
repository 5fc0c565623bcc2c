"""Mending what a crash left: the lock of a dead monitor is free, and everything else follows from that."""

from __future__ import annotations

import fcntl
import marshal
import os
import time
from contextlib import suppress
from dataclasses import replace

from runtime import cgroups
from runtime.containers.cgroup_path import cgroup_path
from runtime.containers.control import monitor_pid, turn
from runtime.containers.trace import claim, tracing
from runtime.context import Context
from runtime.errors import EngineError
from runtime.kernel.tree import remove_tree
from runtime.model.container import Container, ContainerState, ContainerStatus
from runtime.store import containers as store

__all__ = [
    "end_group", "owner_alive", "remove_dead_builds", "remove_group", "remove_stray", "remove_unknown",
    "repair", "settle", "settle_by_id", "settle_leftover",
]  # fmt: skip


def settle_by_id(ctx: Context, container_id: str) -> None:
    """Take the container's turn, look again, and settle it if its monitor is dead."""
    if ctx.db.read_only:
        _settle_in_memory(ctx, [container_id])
        return
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
    if ctx.db.read_only:
        _settle_in_memory(ctx, sorted(alive))
        return
    groups = cgroups.detect().children(ctx.cgroup_parent)  # before their traces, which are made first
    seen = {entry.name for entry in ctx.paths.run_containers.iterdir()}
    for container_id in alive | seen:
        if not monitor_pid(ctx, container_id):
            settle_leftover(ctx, container_id)
    for name in groups:
        if len(name) == 64 and name not in seen:
            _remove_left_group(ctx, name)
    if (ctx.paths.run / "rewiring").exists():
        from runtime.containers.rewire import finish_dead

        finish_dead(ctx)
    if ctx.db.row("SELECT 1 FROM container WHERE internal = 1 LIMIT 1"):
        remove_dead_builds(ctx)


def _settle_in_memory(ctx: Context, container_ids: list[str]) -> None:
    """Where nothing can be written a container whose monitor is dead is at least told to have ended."""
    dead = [container_id for container_id in container_ids if not monitor_pid(ctx, container_id)]
    if not dead:
        return
    with ctx.db.amend() as tx:
        for container_id in dead:
            container = store.get(tx, container_id)
            if container is None or not container.state.status.alive:
                continue
            store.set_state(tx, container_id, _ended(ctx, container))
            for table in ("endpoint", "port"):
                tx.execute(f"DELETE FROM {table} WHERE container_id = ?", (container_id,))


def remove_dead_builds(ctx: Context) -> list[str]:
    """Containers of builds whose process is gone. What was done, in words."""
    from runtime.containers.remove import remove

    done = []
    for container in store.all_containers(ctx.db, internal=True):
        if container.config.internal and not owner_alive(ctx, container):
            with suppress(EngineError):
                remove(ctx, container.id, force=True)
                done.append(f"build step {container.short_id}: removed")
    return done


def settle_leftover(ctx: Context, container_id: str) -> None:
    if store.get(ctx.db, container_id) is None:
        remove_unknown(ctx, container_id)
        return
    with turn(ctx, container_id, wait=False) as mine:
        if not mine or monitor_pid(ctx, container_id):
            return
        current = store.get(ctx.db, container_id)
        if current is None:
            return
        if current.state.status.alive:
            settle(ctx, current)
            return
        with claim(ctx, container_id) as idle:
            if not idle:
                return
            end_group(ctx, container_id)
            _give_back(ctx, container_id)
        if current.config.auto_remove and current.state.status is not ContainerStatus.CREATED:
            from runtime.containers.remove import erase

            erase(ctx, current, volumes=True)
        remove_tree(str(ctx.paths.container_run(container_id)))


def remove_unknown(ctx: Context, container_id: str) -> bool:
    """A run directory without a row: its container was being made, or was being removed. True when it is gone
    now, False while somebody works on it."""
    from runtime.volumes.sweep import sweep

    with claim(ctx, container_id) as idle:
        if not idle or store.get(ctx.db, container_id) is not None:
            return False
        end_group(ctx, container_id)
        _give_back(ctx, container_id)
        remove_tree(str(ctx.paths.container(container_id)))
        sweep(ctx)
        remove_tree(str(ctx.paths.container_run(container_id)))
    return True


def end_group(ctx: Context, container_id: str) -> None:
    backend = cgroups.detect()
    container = store.get(ctx.db, container_id)
    group = cgroup_path(ctx, container_id, container.config if container else None)
    if backend.exists(group):
        backend.kill(group)
        backend.remove(group)
        if not group.startswith(f"{ctx.cgroup_parent}/"):
            backend.remove_made_parents(group)


def _give_back(ctx: Context, container_id: str) -> None:
    """Addresses and ports, with the firewall's rules for them. Rows may have gone and left the rules."""
    from runtime.network import endpoints

    with ctx.db.write() as tx:
        endpoints.release(tx, ctx, container_id)
    endpoints.unpublish(ctx, container_id)


def settle(ctx: Context, container: Container) -> None:
    """Its monitor is dead: end its processes, give everything back, write what is known. Holds the turn."""
    end_group(ctx, container.id)
    state = _ended(ctx, container)
    _give_back(ctx, container.id)
    with ctx.db.write() as tx:
        store.set_state(tx, container.id, state)
        if not container.config.internal:
            tx.event(
                "container",
                "die",
                container.id,
                name=container.name,
                image=container.config.image,
                exitCode=str(state.exit_code),
            )
    if container.config.auto_remove or container.config.internal:
        from runtime.containers.remove import erase

        erase(ctx, container, volumes=True)
    remove_tree(str(ctx.paths.container_run(container.id)))


def _ended(ctx: Context, container: Container) -> ContainerState:
    code, oom_killed, finished = _exit_fact(ctx, container)
    return replace(
        container.state,
        status=ContainerStatus.EXITED,
        pid=0,
        exit_code=code,
        oom_killed=oom_killed,
        finished_at=finished,
    )


def _exit_fact(ctx: Context, container: Container) -> tuple[int, bool, int]:
    """What the monitor wrote before it died; else it died with its container. Each run begins with taking the
    last one's file away: times could not tell whose it is, since clocks are set."""
    path = ctx.paths.container(container.id) / "exit"
    with suppress(OSError, ValueError, EOFError, TypeError):
        code, oom_killed, finished = marshal.loads(path.read_bytes())
        return int(code), bool(oom_killed), int(finished)
    return 137, False, time.time_ns()


def owner_alive(ctx: Context, container: Container) -> bool:
    """The build that a step belongs to holds a lock on its directory's ``owner`` file."""
    try:
        fd = os.open(ctx.paths.container(container.id) / "owner", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _remove_left_group(ctx: Context, container_id: str) -> None:
    """One without the trace that every start leaves before it makes a group, and while nothing starts it."""
    with turn(ctx, container_id, wait=False) as mine:
        if mine and not ctx.paths.container_run(container_id).exists():
            remove_group(f"{ctx.cgroup_parent}/{container_id}")


def remove_group(group: str) -> None:
    """A group of nobody, with what still runs in it."""
    backend = cgroups.detect()
    backend.kill(group)
    backend.remove(group)


def remove_stray(ctx: Context, container_id: str) -> None:
    """A container's directory that no row names, unless somebody makes or removes that container now."""
    with tracing(ctx, container_id):
        if store.get(ctx.db, container_id) is None:
            remove_tree(str(ctx.paths.container(container_id)))
