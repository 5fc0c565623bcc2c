"""A child in the container's pid namespace, what it says until it is the program, and its terminal."""

from __future__ import annotations

import _socket
import marshal
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from runtime.errors import CommandNotFound, CommandNotRunnable, Failed, InvalidInput
from runtime.kernel import syscalls

__all__ = ["Sync", "check_console", "connect_console", "fork_into", "hear", "pid_namespace", "write_pid_file"]

Sync: TypeAlias = _socket.socket


def pid_namespace(names: Iterable[str], joins: Mapping[str, str]) -> str | None:
    """A path to join, "" for a new one, None for the caller's."""
    return joins.get("pid", "") if "pid" in names else None


def fork_into(pidns: str | None, child: Callable[[Sync], None]) -> tuple[int, Sync]:
    """The child's pid, as we see it, and our end of its pair. ``child`` never returns.

    The namespace for children (pid_namespaces(7)) is ours again afterwards, so that hooks run in it.
    """
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if pidns == "":
            syscalls.unshare(syscalls.CLONE_NEWPID)
        elif pidns is not None:
            fd = os.open(pidns, os.O_RDONLY | os.O_CLOEXEC)
            try:
                syscalls.setns(fd, syscalls.CLONE_NEWPID)
            finally:
                os.close(fd)
        pid = os.fork()
        if pid == 0:
            try:
                ours.close()
                child(theirs)
            finally:
                os._exit(1)
    finally:
        if pidns is not None:
            syscalls.setns(own, syscalls.CLONE_NEWPID)
        os.close(own)
        theirs.close()
    return pid, ours


def hear(sync: Sync, warn: Callable[[str], None], run_hooks: Callable[[], None] | None = None) -> None:
    """Until the child is ready (``R``, or gone over into its program). Raises CommandNotFound,
    CommandNotRunnable, Failed, and what ``run_hooks`` raises."""
    ready = run_hooks is None
    try:
        while data := sync.recv(65536):
            kind, rest = data[:1], data[1:]
            if kind == b"W":
                for text in marshal.loads(rest):
                    warn(text)
            elif kind == b"H" and run_hooks is not None:
                run_hooks()
                sync.send(b"G")
            elif kind == b"R":
                ready = True
                break
            elif kind == b"F":
                code, message = marshal.loads(rest)
                raise {127: CommandNotFound, 126: CommandNotRunnable}.get(code, Failed)(message)
    except ConnectionError:
        ready = False
    finally:
        sync.close()
    if not ready:
        raise Failed("the container's process ended before it was ready")


def check_console(tty: bool, console_socket: Path | None, console: int) -> None:
    """Raises InvalidInput when the terminal and the socket for it do not go together."""
    if tty and console_socket is None and console < 0:
        raise InvalidInput("cannot allocate a terminal without --console-socket in detached mode")
    if not tty and console_socket is not None:
        raise InvalidInput("--console-socket needs process.terminal (or --tty)")


def connect_console(console_socket: Path | None, console: int) -> int:
    """The connected socket that the terminal's master is sent over; -1 without. Raises InvalidInput."""
    if console_socket is None:
        return console
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        connection.connect(str(console_socket))
    except OSError as error:
        raise InvalidInput(f"--console-socket {console_socket}: {error.strerror or error}") from error
    return connection.detach()


def write_pid_file(path: Path, pid: int) -> None:
    """Whole or not at all. Raises OSError."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(str(pid), encoding="ascii")
    fresh.replace(path)
