"""top: the container's processes, read from the host's /proc (never by a program out of the container)."""

from __future__ import annotations

from collections.abc import Sequence

from runtime import cgroups
from runtime.containers.cgroup_path import cgroup_path
from runtime.containers.control import check_running
from runtime.containers.process_columns import columns
from runtime.context import Context
from runtime.model.container import ContainerStatus
from runtime.store import containers as store

__all__ = ["top"]


def top(
    ctx: Context, reference: str, options: Sequence[str] = (), *, tell: bool = False
) -> list[dict[str, str]]:
    """UID PID PPID C STIME TTY TIME CMD of each, as ``ps -ef`` shows them, or what ps's ``options`` ask for;
    pids are the host's. ``tell`` makes an event of it: a viewer that looks again and again does without.
    Raises InvalidInput."""
    import psutil

    container = store.find(ctx.db, reference)
    shown = columns(options)
    if container.state.status is not ContainerStatus.PAUSED:
        check_running(container)
    rows = []
    for pid in sorted(cgroups.detect().pids(cgroup_path(ctx, container.id, container.config))):
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                rows.append({title: text(process) for title, text in shown})
        except psutil.NoSuchProcess:  # it ended meanwhile
            continue
    if tell:
        with ctx.db.write(lasting=False) as tx:
            tx.event("container", "top", container.id, name=container.name, image=container.config.image)
    return rows
