"""Another process in the container: exec and health checks."""

from __future__ import annotations

import _signal as signal  # the C module: the Python one costs enum
import _socket
import marshal
import os

from runtime import cgroups
from runtime.kernel import namespaces, procfs, syscalls, terminals
from runtime.monitor import credentials, process, wire
from runtime.monitor.loop import READ, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.monitor.shapes import Plan, Request

__all__ = ["Execution", "spawn"]


class Execution:
    """A process that has been forked; ``master`` is its terminal's, once it exists."""

    __slots__ = ("error", "master", "on_end", "on_started", "pid", "sync")

    def __init__(self, pid: int, sync: _socket.socket) -> None:
        self.pid = pid
        self.sync = sync
        self.master = -1
        self.error: tuple[int, str] | None = None
        self.on_started: Callable[[Execution], None] = lambda execution: None
        self.on_end: Callable[[int], None] = lambda code: None


def spawn(
    loop: Loop,
    plan: Plan,
    request: Request,
    main_pid: int,
    own_pidns: int,
    stdio: tuple[int, int, int] | None,
    on_started: Callable[[Execution], None],
    on_end: Callable[[int], None],
) -> Execution:
    """Fork into the container's namespaces. ``on_started`` comes when the program runs (or ``error`` is
    set); ``on_end`` is for whoever reaps. Raises OSError when the container is going away."""
    names = [name for name in plan["namespaces"] if name != "pid"]
    fds = namespaces.namespace_fds(main_pid, names)
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        if "pid" in plan["namespaces"]:
            pidns = os.open(f"/proc/{main_pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
            try:
                syscalls.setns(pidns, syscalls.CLONE_NEWPID)
            finally:
                os.close(pidns)
        # The container sees the child from its first moment, so its title is ours for that moment.
        title = procfs.set_title("tuidock", "tuidock: entering a container")
        try:
            pid = os.fork()
            if pid == 0:
                _enter(plan, request, theirs, fds, stdio)
        finally:
            procfs.restore_title("tuidock-monitor", title)
            syscalls.setns(own_pidns, syscalls.CLONE_NEWPID)
    finally:
        for fd in fds.values():
            os.close(fd)
        theirs.close()
    execution = Execution(pid, ours)
    execution.on_started, execution.on_end = on_started, on_end
    ours.setblocking(False)
    loop.watch(ours.fileno(), READ, lambda mask: _hear(loop, execution))
    return execution


def _hear(loop: Loop, execution: Execution) -> None:
    try:
        data, ancillary, _flags, _address = execution.sync.recvmsg(65536, 64, _socket.MSG_CMSG_CLOEXEC)
    except BlockingIOError:
        return
    except OSError:
        data, ancillary = b"", []
    for level, kind, payload in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            execution.master = wire.unpack_fds(payload)[0]
    if data.startswith(b"F"):
        execution.error = marshal.loads(data[1:])
    if not data:
        loop.forget(execution.sync.fileno())
        execution.sync.close()
        execution.on_started(execution)


def _enter(
    plan: Plan,
    request: Request,
    sync: _socket.socket,
    fds: dict[str, int],
    stdio: tuple[int, int, int] | None,
) -> None:
    """In the child: never returns."""
    try:
        os.setsid()
        # Before the container can see us: not dumpable, so no ptrace and no way to our descriptors.
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        process.reset_signals()
        cgroups.detect().enter(plan["cgroup"])
        if stdio is not None:
            for target, source in enumerate(stdio):
                os.dup2(source, target)
        if plan["userns"]:
            _before_userns(plan, stdio is not None)
        process.refuse_imports()
        namespaces.enter_fds(fds)
        if plan["userns"]:
            from runtime.monitor import userns

            userns.take_root()
        os.chdir("/")
        if stdio is None:
            _terminal(request, sync)
        merged = {
            **plan,
            **{key: request[key] for key in ("caps", "seccomp", "tty", "user", "groups", "env", "cwd")},
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
            process.give_stdio(user)
        syscalls.close_range(3, 0xFFFFFFFF, syscalls.CLOSE_RANGE_CLOEXEC)
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
