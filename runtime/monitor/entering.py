"""The child that becomes another process in the container, from the fork in the monitor to execve.

Loaded after the fork, so that a monitor stays small (see :mod:`runtime.monitor.executing`).
"""

from __future__ import annotations

import _signal as signal  # the C module: the Python one costs enum
import _socket
import os

from runtime import cgroups
from runtime.kernel import namespaces, syscalls, terminals
from runtime.monitor import credentials, inside, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.monitor.shapes import Plan, Request

__all__ = ["enter"]


def enter(
    plan: Plan,
    request: Request,
    sync: _socket.socket,
    main: int,
    stdio: tuple[int, int, int] | None,
) -> None:
    """Never returns. ``main`` is a descriptor of the /proc directory of the container's first process."""
    try:
        fds = namespaces.namespace_fds_at(main, [name for name in plan["namespaces"] if name != "pid"])
        os.setsid()
        inside.reset_signals()
        cgroups.detect().enter(plan["cgroup"])
        if stdio is not None:
            for target, source in enumerate(stdio):
                os.dup2(source, target)
        if plan["userns"]:
            _before_userns(plan, stdio is not None)
        inside.refuse_imports()
        namespaces.enter_fds(fds)
        if plan["userns"]:
            from runtime.monitor import userns

            userns.take_root()
        os.chdir("/")
        if stdio is None:
            _terminal(request, sync)
        merged = {
            **plan,
            **{
                key: request[key]
                for key in ("caps", "seccomp", "apparmor", "tty", "user", "groups", "env", "cwd")
            },
        }
        user = credentials.resolve_user(merged["user"], merged["groups"])
        os.umask(0o022)
        if plan["userns"]:
            credentials.check_mapped(plan, user)
        else:
            credentials.limits(merged)
        env = credentials.environment(merged["env"], user)
        credentials.change_directory(merged["cwd"] or "/", False, user)
        if stdio is None or user.uid:
            credentials.give_stdio(user)
        syscalls.close_range(3, 0xFFFFFFFF, syscalls.CLOSE_RANGE_CLOEXEC)
        credentials.confine(merged["apparmor"], stays=False)
        credentials.apply(merged, user, merged["seccomp"])
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        credentials.execute(list(request["argv"]), env)
    except BaseException as error:
        credentials.fail(sync, error)


def _before_userns(plan: Plan, pipes: bool) -> None:
    """What only the host's root may do."""
    from runtime.monitor import userns

    credentials.limits({**plan, "caps": None})
    if pipes:
        userns.give_pipes(plan)


def _terminal(request: Request, sync: _socket.socket) -> None:
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    master, slave = terminals.open_pty_in(root)
    os.close(root)
    rows, columns = request["window"]
    if rows and columns:
        terminals.set_window_size(master, rows, columns)
    sync.sendmsg([b"T"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, wire.pack_fds([master]))])
    os.close(master)
    terminals.make_controlling(slave)
    for target in range(3):
        os.dup2(slave, target)
    os.close(slave)
