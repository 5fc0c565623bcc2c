"""Spawning a monitor and bringing its container to the first instruction.

The monitor makes the namespaces and mounts while we load the netlink code and make addresses; then we
connect the network, write the status, and say go.
"""

from __future__ import annotations

import _socket
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

from runtime.containers.control import send, start_error
from runtime.containers.monitor_code import open_archive
from runtime.context import Context
from runtime.errors import Failed
from runtime.monitor import archive, wire

__all__ = ["Launch", "Prepared", "Starter", "compress_command", "settle_command", "warmed"]

_PACKAGE_ROOT = Path(__file__).resolve().parent.parent.parent


def settle_command(ctx: Context) -> list[str]:
    """The program that brings the firewall in line with the port table, for a monitor to run."""
    path = repr(str(_PACKAGE_ROOT))
    boot = f"import sys; sys.path.insert(0, {path}); from runtime.network.settle import main; main()"
    return [sys.executable, "-I", "-S", "-c", boot, str(ctx.paths.state), str(ctx.paths.run)]


def compress_command(log: str, max_file: int) -> list[str]:
    """The program that compresses a log's rotated files, for a monitor to run."""
    program = str(_PACKAGE_ROOT / "runtime" / "monitor" / "compress.py")
    return [_interpreter(), "-I", "-S", program, log, str(max_file)]


def _interpreter() -> str:
    """The real interpreter: a virtual environment's link would load site-packages for nothing."""
    return os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)


def _read_only_program(path: str) -> int:
    """A descriptor of the interpreter on a read-only mount of its own, or of the plain file.

    A container that gets hold of ``/proc/PID/exe`` of one of our processes then cannot write through it
    to the host's interpreter (CVE-2019-5736).
    """
    from runtime.kernel import filesystems, syscalls

    program = filesystems.clone_tree(syscalls.AT_FDCWD, path, recursive=False)
    # Before Linux 5.12 there is no mount_setattr(2) and the clone stays as writable as the file.
    filesystems.set_attributes(program, syscalls.MS_RDONLY, recursive=False)
    return program


def _spawn(name: str, root_state: str, sock: _socket.socket) -> int:
    """A monitor process of its own, ``sock`` its descriptor 3; the pid."""
    python = _interpreter()
    code_fd, code_path = open_archive(root_state)
    fds: list[int] = []
    try:
        for fd in (
            code_fd,
            os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC),
            _read_only_program(python),
            os.dup(sock.fileno()),
        ):
            fds.append(_above(fd))
        code, null, program, socket = fds
        return os.posix_spawn(
            f"/proc/self/fd/{program}",
            [python, "-I", "-S", code_path, name, root_state],
            {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            file_actions=[
                *((os.POSIX_SPAWN_DUP2, null, fd) for fd in range(3)),
                (os.POSIX_SPAWN_DUP2, socket, 3),
                (os.POSIX_SPAWN_DUP2, code, archive.DESCRIPTOR),
            ],
            setsid=True,
            setsigmask=[],
        )
    finally:
        for fd in fds:
            os.close(fd)


def _above(fd: int) -> int:
    """The same, out of the way of the descriptors that the new process gets."""
    import fcntl

    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
    finally:
        os.close(fd)


class Starter:
    """A process with the monitor's code loaded that forks monitors for us (see ``monitor/live.py``).

    Worth it for a program that starts several containers; it ends with us.
    """

    running: ClassVar[dict[str, Starter]] = {}

    def __init__(self, root_state: str) -> None:
        self._root = root_state
        self._lock = threading.Lock()
        self._sock, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            self._pid = _spawn("--starter", root_state, theirs)
        finally:
            theirs.close()
        Starter.running[root_state] = self

    def hand(self, sock: _socket.socket) -> bool:
        """False when it is gone; the caller spawns by itself then."""
        try:
            with self._lock:
                wire.send_with_fds(self._sock, b"+", [sock.fileno()])
        except OSError:
            Starter.running.pop(self._root, None)
            return False
        return True

    def close(self) -> None:
        """End it and reap it; what it forked lives on."""
        Starter.running.pop(self._root, None)
        self._sock.close()
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


@contextmanager
def warmed(ctx: Context) -> Iterator[None]:
    """A starter for the time of several starts, unless one runs for longer already."""
    root = str(ctx.paths.state)
    if root in Starter.running:
        yield
        return
    starter = Starter(root)
    try:
        yield
    finally:
        starter.close()


class Prepared:
    """A monitor that is loading its code while its container is still being created."""

    waiting: ClassVar[dict[str, Prepared]] = {}

    def __init__(self, root_state: str) -> None:
        self.sock, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            self.spawned = _spawn("prepared", root_state, theirs)
        finally:
            theirs.close()
        Prepared.waiting[root_state] = self


class Launch:
    """One start in progress."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._buffer = wire.FrameBuffer()
        self.pid = 0
        self._spawned = 0
        self.warnings: list[str] = []
        self.sock = self._begin()

    def _begin(self) -> _socket.socket:
        prepared = Prepared.waiting.pop(self._plan["root_state"], None)
        if prepared is not None:
            ours, self._spawned = prepared.sock, prepared.spawned
        else:
            ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
            try:
                starter = Starter.running.get(self._plan["root_state"])
                if starter is None or not starter.hand(theirs):
                    self._spawned = _spawn(self._plan["id"], self._plan["root_state"], theirs)
            finally:
                theirs.close()
        send(ours, self._plan)
        return ours

    def _reply(self, wanted: str) -> tuple[dict[str, Any], list[int]]:
        from runtime.containers.control import read_reply

        try:
            reply = read_reply(self.sock, self._buffer)
        except Failed as error:
            log = Path(self._plan["dir"]) / "monitor.log"
            lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
            raise Failed(f"the container's monitor died{': ' + lines[-1] if lines else ''}") from error
        if reply["op"] == "failed":
            if reply["message"].startswith("unable to find "):
                raise Failed(reply["message"])  # docker's 125 for a user of the configuration
            raise start_error(reply["code"], reply["message"])
        assert reply["op"] == wanted, reply
        return reply, self._buffer.take_fds()

    def network_namespace(self) -> int:
        """A descriptor of the container's network namespace, which exists now."""
        _reply, fds = self._reply("netns")
        return fds[0]

    @property
    def nowhere(self) -> tuple[str, ...]:
        """See ``start._nowhere``."""
        found: tuple[str, ...] = self._plan["nowhere"]
        return found

    def ready(self) -> None:
        """Everything is set up but the program does not run yet. Raises what stood in the way."""
        reply, _fds = self._reply("ready")
        self._reap()
        self.pid = reply["pid"]
        self.warnings = list(reply["warnings"])

    def go(self, window: tuple[int, int] = (0, 0)) -> None:
        """Run the program. Raises CommandNotFound, CommandNotRunnable."""
        send(self.sock, {"op": "go", "window": window})
        self._reply("started")

    def _reap(self) -> None:
        """What we spawned forked the monitor and ended at once."""
        if self._spawned:
            with suppress(ChildProcessError):
                os.waitpid(self._spawned, 0)
            self._spawned = 0

    def abandon(self) -> None:
        """The monitor sees us go and undoes what it made; wait until it has ended."""
        self.sock.shutdown(_socket.SHUT_WR)
        try:
            while self.sock.recv(4096):
                pass
        except OSError:
            pass
        self.sock.close()
        self._reap()

    @property
    def buffer(self) -> wire.FrameBuffer:
        return self._buffer
