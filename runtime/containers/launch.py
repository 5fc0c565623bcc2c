"""Spawning a monitor and bringing its container to the first instruction.

The monitor makes the namespaces and mounts while we load the netlink code and make addresses; then we
connect the network, write the status, and say go.
"""

from __future__ import annotations

import _socket
import os
import sys
from pathlib import Path
from typing import Any

from runtime.context import Context
from runtime.errors import CommandNotFound, CommandNotRunnable, EngineError, Failed
from runtime.monitor import wire

__all__ = ["Launch", "settle_command"]

_PACKAGE_ROOT = Path(__file__).resolve().parent.parent.parent
_MONITOR = _PACKAGE_ROOT / "runtime" / "monitor" / "__main__.py"


def settle_command(ctx: Context) -> list[str]:
    """The program that brings the firewall in line with the port table, for a monitor to run."""
    path = repr(str(_PACKAGE_ROOT))
    boot = f"import sys; sys.path.insert(0, {path}); from runtime.network.settle import main; main()"
    return [sys.executable, "-I", "-c", boot, str(ctx.paths.state), str(ctx.paths.run)]


def _interpreter() -> str:
    """The real interpreter: a virtual environment's link would load site-packages for nothing."""
    return os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)


def _read_only_program(path: str) -> int:
    """A descriptor of the interpreter on a read-only mount of its own, or of the plain file.

    A container that gets hold of ``/proc/PID/exe`` of one of our processes then cannot write through it
    to the host's interpreter (CVE-2019-5736).
    """
    from runtime.kernel import mounts, syscalls

    try:
        return mounts.read_only_clone(path)
    except syscalls.SyscallError:  # before Linux 5.12 there is no mount_setattr(2)
        return os.open(path, os.O_PATH | os.O_CLOEXEC)


class Launch:
    """One start in progress."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._buffer = wire.FrameBuffer()
        self.pid = 0
        self.warnings: list[str] = []
        self.sock = self._spawn()

    def _spawn(self) -> _socket.socket:
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        python = _interpreter()
        program = _read_only_program(python)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.posix_spawn(
                f"/proc/self/fd/{program}",
                [python, "-I", "-S", str(_MONITOR), self._plan["id"], self._plan["root_state"]],
                {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
                file_actions=[
                    *((os.POSIX_SPAWN_DUP2, null, fd) for fd in range(3)),
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3),
                ],
                setsid=True,
                setsigmask=[],
            )
        finally:
            os.close(null)
            os.close(program)
            theirs.close()
        try:
            wire.send_with_fds(ours, wire.request(self._plan), [])
        except OSError:  # it died already: the first reply says so
            pass
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
            raise start_error(reply["code"], reply["message"])
        assert reply["op"] == wanted, reply
        return reply, self._buffer.take_fds()

    def network_namespace(self) -> int:
        """A descriptor of the container's network namespace, which exists now."""
        _reply, fds = self._reply("netns")
        return fds[0]

    def ready(self) -> None:
        """Everything is set up but the program does not run yet. Raises what stood in the way."""
        reply, _fds = self._reply("ready")
        self.pid = reply["pid"]
        self.warnings = list(reply["warnings"])

    def go(self, window: tuple[int, int] = (0, 0)) -> None:
        """Run the program. Raises CommandNotFound, CommandNotRunnable."""
        wire.send_with_fds(self.sock, wire.request({"op": "go", "window": window}), [])
        self._reply("started")

    def abandon(self) -> None:
        """The monitor sees us go and undoes what it made; wait until it has ended."""
        self.sock.shutdown(_socket.SHUT_WR)
        try:
            while self.sock.recv(4096):
                pass
        except OSError:
            pass
        self.sock.close()

    @property
    def buffer(self) -> wire.FrameBuffer:
        return self._buffer


def start_error(code: int, message: str) -> EngineError:
    """docker's exit codes as our exceptions."""
    if code == 127:
        return CommandNotFound(message, hint="check the command's name and the image's PATH")
    if code == 126:
        return CommandNotRunnable(message, hint="the file must be executable, for this machine, by this user")
    return Failed(message)
