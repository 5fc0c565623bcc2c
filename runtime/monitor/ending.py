"""The end of a container's last run, written down; loaded when it comes."""

from __future__ import annotations

import _signal as signal  # the C module: the Python one costs enum
import os

from runtime.kernel.tree import remove_tree
from runtime.monitor import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.monitor.shapes import Plan
    from runtime.monitor.supervise import Monitor

__all__ = ["end", "remove_group"]


def end(monitor: Monitor, code: int, oom_killed: bool, finished: int, error: str) -> None:
    """The last word: exit file, database, firewall, removal, cgroup, lock; then those who wait."""
    plan = monitor.plan
    compressor = 0
    if monitor.streams.log is not None:
        monitor.streams.log.close()
        compressor = monitor.streams.log.compressor
        if not plan["auto_remove"]:
            monitor.streams.log.compress_rest()
        monitor.streams.log = None
    monitor.loop.cancel("write")
    written = _record_end(plan, code, oom_killed, finished, monitor.manual_stop, error, monitor.stopped)
    monitor.cgroup.kill(plan["cgroup"])
    remove_group(monitor)
    for fd in (*monitor.reserved, *(monitor.names or ())):
        monitor.loop.forget(fd)
        os.close(fd)
    monitor.names = None
    if monitor.names_pid:  # it holds sockets in the network namespace, which must go now
        os.kill(monitor.names_pid, signal.SIGKILL)
    if monitor.netns >= 0:
        os.close(monitor.netns)
    monitor.clients.close_listener(plan["run"])
    if plan["ports"]:
        _settle_firewall(plan)
    if plan["auto_remove"] and compressor:
        os.kill(compressor, signal.SIGKILL)
        os.waitpid(compressor, 0)
    # A run directory without a living monitor is what tells the next command to finish what we could not.
    if written and _removed(plan):
        remove_tree(plan["run"])
    os.close(monitor.lock)
    monitor.finished = True
    monitor.clients.finish(code, oom_killed)


def remove_group(monitor: Monitor) -> None:
    """And what was made above it for ``--cgroup-parent``."""
    group, ours = monitor.plan["cgroup"], monitor.plan["monitor_cgroup"].rpartition("/")[0]
    monitor.cgroup.remove(group)
    if not group.startswith(ours + "/"):
        monitor.cgroup.remove_made_parents(group)


def _settle_firewall(plan: Plan) -> None:
    """Published ports go; a program of its own does it, so that we need no netlink library."""
    argv = plan["settle"]
    pid = os.posix_spawn(argv[0], argv, {"PATH": "/usr/bin:/bin"})
    os.waitpid(pid, 0)


def _record_end(
    plan: Plan, code: int, oom_killed: bool, finished: int, manual: bool, error: str, stopped: bool
) -> bool:
    """False when the disk does not take it: whoever looks next finds the exit file and us gone."""
    try:
        record.exit_file(plan["dir"], code, oom_killed, finished)
        record.exited(
            plan["db"],
            plan["id"],
            code,
            oom_killed,
            finished,
            manual,
            error,
            stopped,
            plan["nowhere"],
            lasting=not plan["auto_remove"],
        )
    except Exception as problem:
        os.write(2, f"the end could not be written: {problem}\n".encode())
        return False
    return True


def _removed(plan: Plan) -> bool:
    """Auto-removal, if it was asked for; False when it did not come to its end."""
    if not plan["auto_remove"]:
        return True
    try:
        aside = record.removed(plan["db"], plan["id"], plan["anonymous_volumes"], plan["volumes"])
        for path in (*aside, plan["dir"]):
            remove_tree(path)
    except Exception as problem:
        os.write(2, f"the container could not be removed: {problem}\n".encode())
        return False
    return True
