"""Another process in the container: exec and health checks. The monitor's side."""

from __future__ import annotations

import _signal as signal  # the C module: the Python one costs enum
import _socket
import marshal
import os
import sys

from runtime.kernel import process_calls, title
from runtime.monitor import wire
from runtime.monitor.loop import READ, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.monitor.shapes import Plan, Request

__all__ = ["Execution", "reaped", "spawn"]


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
    # A directory in /proc stays that process's, whoever gets its number later.
    main = os.open(f"/proc/{main_pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        if "pid" in plan["namespaces"]:
            pidns = os.open("ns/pid", os.O_RDONLY | os.O_CLOEXEC, dir_fd=main)
            try:
                process_calls.setns(pidns, process_calls.CLONE_NEWPID)
            finally:
                os.close(pidns)
        # The container sees the child from its first moment, so its title is ours for that moment.
        before = title.set_title("tuidock", "tuidock: entering a container")
        try:
            pid = os.fork()
            if pid == 0:
                _become(plan, request, theirs, main, stdio)
        finally:
            title.restore_title("tuidock-monitor", before)
            process_calls.setns(own_pidns, process_calls.CLONE_NEWPID)
    finally:
        os.close(main)
        theirs.close()
    execution = Execution(pid, ours)
    execution.on_started, execution.on_end = on_started, on_end
    ours.setblocking(False)
    loop.watch(ours.fileno(), READ, lambda mask: _heard(loop, execution))
    return execution


def reaped(loop: Loop, execution: Execution, code: int) -> None:
    """It is gone: what it had still said comes before its end, in whatever order the two are noticed."""
    while execution.sync.fileno() >= 0:
        if not _hear(loop, execution):  # somebody else got hold of its end
            _silent(loop, execution)
    execution.on_end(code)


def _hear(loop: Loop, execution: Execution) -> bool:
    """False when there is nothing to hear yet."""
    try:
        data, ancillary, _flags, _address = execution.sync.recvmsg(65536, 64, _socket.MSG_CMSG_CLOEXEC)
    except BlockingIOError:
        return False
    except OSError:
        data, ancillary = b"", []
    for level, kind, payload in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            execution.master = wire.unpack_fds(payload)[0]
    if data.startswith(b"F"):
        execution.error = marshal.loads(data[1:])
    if not data:
        _silent(loop, execution)
    return True


def _heard(loop: Loop, execution: Execution) -> None:
    _hear(loop, execution)


def _silent(loop: Loop, execution: Execution) -> None:
    """It says nothing more: the program runs, or ``error`` tells why not."""
    loop.forget(execution.sync.fileno())
    execution.sync.close()
    execution.on_started(execution)


def _become(
    plan: Plan, request: Request, sync: _socket.socket, main: int, stdio: tuple[int, int, int] | None
) -> None:
    """In the child, which never returns; the container sees it already."""
    try:
        process_calls.prctl(process_calls.PR_SET_PDEATHSIG, signal.SIGKILL)
        from runtime.monitor import entering

        entering.enter(plan, request, sync, main, stdio)
    except BaseException:  # the code could not even be loaded; the monitor sees us end
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(125)
