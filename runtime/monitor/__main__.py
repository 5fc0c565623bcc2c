"""``python -I -S .../runtime/monitor/__main__.py CONTAINER-ID STATE-DIR``: one container's monitor.

Descriptor 3 is the starter's socket, which brings the plan. With ``--starter`` in the id's place the process
loads everything and then forks a monitor for each socket that it is handed, so that a program which starts
many containers pays the loading once and the monitors share its memory.
"""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def live() -> None:
    """Read the plan, take the lock, live the container's life. What goes wrong is in ``monitor.log``."""
    import _socket

    from runtime import cgroups
    from runtime.kernel import locks, syscalls
    from runtime.monitor import wire
    from runtime.monitor.clients import Clients
    from runtime.monitor.supervise import Monitor

    syscalls.close_range(4, 0xFFFFFFFF, 0)
    os.set_inheritable(3, False)
    starter = _socket.socket(fileno=3)
    os.umask(0o077)
    buffer = wire.FrameBuffer()
    while (item := buffer.next()) is None:
        if not wire.receive(starter, buffer, 1 << 18):
            return
    plan = Clients.fields(item[1])
    errors = os.open(
        plan["dir"] + "/monitor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
    )
    os.dup2(errors, 2)
    os.close(errors)
    syscalls.prctl(syscalls.PR_SET_NAME, b"tuidock-monitor")
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
    # Out of the caller's groups: the container must outlive whatever limits or ends the caller.
    backend = cgroups.detect()
    backend.create(plan["monitor_cgroup"], {}, None)
    backend.enter(plan["monitor_cgroup"])
    Monitor(plan, starter, lock).run()


def starter() -> None:
    """Until whoever we serve closes its end."""
    import _signal
    import _socket
    import gc

    import runtime.monitor.supervise  # noqa: F401 - loaded here so that every fork has it
    from runtime.monitor import wire

    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)
    server = _socket.socket(fileno=3)
    gc.collect()
    gc.freeze()
    while True:
        data, ancillary, _flags, _address = server.recvmsg(16, 64, _socket.MSG_CMSG_CLOEXEC)
        if not data:
            return
        handed = wire.unpack_fds(ancillary[0][2])[0]
        if os.fork() == 0:
            os.setsid()
            os.dup2(handed, 3)
            server.detach()
            live()
            os._exit(0)
        os.close(handed)


if __name__ == "__main__":
    if sys.argv[1] == "--starter":
        starter()
    elif os.fork() == 0:  # so that whoever spawned us has no child to reap when we end
        os.setsid()
        live()
