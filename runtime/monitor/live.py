"""One container's monitor, from its first instruction.

Descriptor 3 is the starter's socket, which brings the plan; 4 the code (:mod:`runtime.monitor.archive`). With
``--starter`` for a name the process loads everything and then forks a monitor for each socket that it is
handed: a program which starts many containers pays the loading once and the monitors share its memory.
"""

from __future__ import annotations

import _socket
import os

from runtime.kernel import locks, process_calls
from runtime.monitor import archive, wire
from runtime.monitor.clients import Clients
from runtime.monitor.supervise import Monitor

__all__ = ["begin"]

_STARTER = 3


def begin(name: str) -> None:
    """Be a monitor, or the one who forks them."""
    # Nor is what we fork, from its first moment: no ptrace and no way to our descriptors from within a
    # container (CVE-2016-9962).
    process_calls.prctl(process_calls.PR_SET_DUMPABLE, 0)
    if name == "--starter":
        serve()
    elif os.fork() == 0:  # so that whoever spawned us has no child to reap when we end
        os.setsid()
        live()
        os._exit(0)  # the kernel takes all of it at once: see record.update


def live() -> None:
    """Read the plan, take the lock, live the container's life. What goes wrong is in ``monitor.log``."""
    process_calls.close_range(archive.DESCRIPTOR + 1, 0xFFFFFFFF, 0)
    os.set_inheritable(_STARTER, False)
    starter = _socket.socket(fileno=_STARTER)
    os.umask(0o077)
    buffer = wire.FrameBuffer()
    while (item := buffer.next()) is None:
        if not wire.receive(starter, buffer):
            return
    plan = Clients.fields(item[1])
    errors = os.open(
        plan["dir"] + "/monitor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
    )
    os.dup2(errors, 2)
    os.close(errors)
    process_calls.prctl(process_calls.PR_SET_NAME, b"tuidock-monitor")
    os.chdir("/")
    try:
        os.mkdir(plan["run"], 0o700)
    except FileExistsError:
        pass
    lock = os.open(plan["run"] + "/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not locks.hold(lock):
        fields: dict[str, object] = {
            "op": "failed",
            "code": 125,
            "message": "another monitor watches this container",
        }
        wire.send_with_fds(starter, wire.request(fields, wire.REPLY), [])
        return
    Monitor(plan, starter, lock).run()


def serve() -> None:
    """Fork monitors until whoever we serve closes its end."""
    import _signal
    import gc

    _load_everything()
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)
    server = _socket.socket(fileno=_STARTER)
    gc.collect()
    gc.freeze()
    while True:
        data, ancillary, _flags, _address = server.recvmsg(16, 64, _socket.MSG_CMSG_CLOEXEC)
        if not data:
            return
        handed = wire.unpack_fds(ancillary[0][2])[0]
        if os.fork() == 0:
            os.setsid()
            os.dup2(handed, _STARTER)
            server.detach()
            live()
            os._exit(0)
        os.close(handed)


def _load_everything() -> None:
    """What a monitor and its children load later, so that every fork has it."""
    from runtime import cgroups
    from runtime.monitor import entering, health, process, record, requests, restart  # noqa: F401

    cgroups.detect()
