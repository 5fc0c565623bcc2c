"""Talking to a container's monitor, and taking turns on a container."""

from __future__ import annotations

import _socket
import marshal
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runtime.context import Context
from runtime.errors import CommandNotFound, CommandNotRunnable, Conflict, EngineError, Failed
from runtime.kernel import locks
from runtime.kernel.flocks import Exclusive
from runtime.model.container import Container, ContainerStatus
from runtime.monitor import wire

__all__ = [
    "MonitorGone",
    "ask",
    "ask_with_fds",
    "check_running",
    "connect",
    "monitor_pid",
    "read_reply",
    "send",
    "start_error",
    "tell_and_wait",
    "turn",
]  # fmt: skip


class MonitorGone(Failed):
    """It ended while we talked: the container does not run any more."""


@contextmanager
def turn(ctx: Context, container_id: str, *, wait: bool = True) -> Iterator[bool]:
    """One verb at a time changes a container; the kernel drops the lock with its holder.

    Gives False only without ``wait``, when another has the turn. A container whose directory is gone has no
    turns: the verb finds that out itself.
    """
    try:
        fd = os.open(ctx.paths.container(container_id) / "turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        yield True
        return
    with Exclusive(fd, wait=wait) as ours:
        yield ours


def monitor_pid(ctx: Context, container_id: str) -> int:
    """The pid of the monitor that lives, or 0: asked of the kernel, so a reused pid cannot deceive."""
    return locks.holder(str(ctx.paths.container_run(container_id) / "lock"))


def connect(ctx: Context, container: Container) -> _socket.socket:
    """Raises Conflict when no monitor answers: the container is not running."""
    try:
        return wire.connect(str(ctx.paths.container_run(container.id)))
    except OSError as error:
        raise Conflict(f"container {container.name} is not running", subject=container.name) from error


def send(sock: _socket.socket, fields: dict[str, object], fds: list[int] | None = None) -> None:
    """A request, its descriptors with it. That the monitor is gone is told by the reply, which it may have
    left behind: see :func:`read_reply`."""
    try:
        wire.send_with_fds(sock, wire.request(fields), fds or [])
    except (BrokenPipeError, ConnectionResetError):
        pass


def read_reply(sock: _socket.socket, buffer: wire.FrameBuffer) -> dict[str, Any]:
    """The next reply; raises Failed when the monitor goes away instead. An exit frame counts as one."""
    while True:
        item = buffer.next()
        if item is not None:
            kind, payload = item
            if kind == wire.REPLY:
                reply: dict[str, Any] = marshal.loads(payload)
                return reply
            if kind == wire.EXIT:
                return {"exit": wire.EXIT_RECORD.unpack(payload)[0]}
            continue
        try:
            alive = wire.receive(sock, buffer)
        except OSError:
            alive = False
        if not alive:
            raise MonitorGone(
                "the container's monitor went away", hint="tuidock ps -a shows what became of it"
            )


def ask(ctx: Context, container: Container, operation: str, **fields: object) -> dict[str, Any]:
    """One request, one reply. Raises Conflict (not running) and Failed."""
    return ask_with_fds(ctx, container, operation, **fields)[0]


def ask_with_fds(
    ctx: Context, container: Container, operation: str, **fields: object
) -> tuple[dict[str, Any], list[int]]:
    """The reply and the descriptors that came with it, which are the caller's then. Raises as :func:`ask`."""
    sock = connect(ctx, container)
    buffer = wire.FrameBuffer()
    try:
        send(sock, {"op": operation, **fields})
        reply = read_reply(sock, buffer)
    finally:
        sock.close()
    if "error" in reply:
        raise Failed(f"container {container.name}: {reply['error']}", subject=container.name)
    return reply, buffer.take_fds()


def tell_and_wait(ctx: Context, container: Container, operation: str, **fields: object) -> int | None:
    """A request that the container's end answers: its exit code, None when the monitor was gone already."""
    try:
        reply = ask(ctx, container, operation, **fields)
    except (Conflict, MonitorGone):  # ended all the same
        return None
    code = reply.get("exit")
    return int(code) if code is not None else None


def check_running(container: Container) -> None:
    """Raises Conflict unless it runs."""
    if container.state.status is not ContainerStatus.RUNNING:
        raise Conflict(
            f"container {container.name} is not running",
            hint=f"tuidock start {container.name}",
            subject=container.name,
        )


def start_error(code: int, message: str) -> EngineError:
    """docker's exit codes as our exceptions."""
    if code == 127:
        return CommandNotFound(message, hint="check the command's name, and the PATH in the image")
    if code == 126:
        hint = (
            "the file must be executable, for this machine, by this user"
            if message.startswith("exec:")
            else None
        )
        return CommandNotRunnable(message, hint=hint)
    return Failed(message)
