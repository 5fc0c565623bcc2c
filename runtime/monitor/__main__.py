"""``python -I -S .../runtime/monitor/__main__.py CONTAINER-ID``: descriptor 3 is the starter's socket."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def main() -> None:
    """Read the plan, take the lock, live the container's life. What goes wrong is in ``monitor.log``."""
    import _socket
    import marshal

    from runtime import cgroups
    from runtime.kernel import locks, syscalls
    from runtime.monitor import wire

    syscalls.close_range(4, 0xFFFFFFFF, 0)
    starter = _socket.socket(fileno=3)
    os.set_inheritable(3, False)
    os.umask(0o077)
    buffer = wire.FrameBuffer()
    while (item := buffer.next()) is None:
        if not wire.receive(starter, buffer, 1 << 18):
            return
    plan = marshal.loads(item[1])
    errors = os.open(
        plan["dir"] + "/monitor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
    )
    os.dup2(errors, 2)
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

    from runtime.monitor.supervise import Monitor

    Monitor(plan, starter, lock).run()


if __name__ == "__main__":
    main()
